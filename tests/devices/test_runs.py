"""Devices in whole runs: named in the settings, in the record's ledger, and across a checkpoint."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from onchip.errors import RequestError, UnsupportedError
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.progress import ProgressListener

SPEC = RunConfig(
    rule="ssnn_bp",
    net="mlp-narrow",
    neuron="stochastic",
    synapses="pulsed:quantum=0.003;cycle_spread=0.3;bound_spread=0.1",
    train_size=200,
    epochs=2,
    lr=0.3,
)


class Stopping(ProgressListener):
    """Ends a run after its first epoch."""

    def epoch_ended(self, epoch: Any) -> None:
        raise KeyboardInterrupt


def test_a_run_tells_of_its_writes_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    data = load_data(SPEC)
    whole = train(SPEC, data)
    assert 0 < whole.ledger["cell_writes_mean"] <= whole.ledger["cell_writes_max"]
    assert whole.ledger["cells"] == whole.parameters
    assert whole.settings["synapses"] == SPEC.synapses
    with pytest.raises(KeyboardInterrupt):
        train(SPEC, data, save_to=tmp_path / "state", watch=Stopping())
    resumed = train(SPEC, data, save_to=tmp_path / "state", resume=True)
    assert resumed.test_accuracy == whole.test_accuracy
    assert resumed.ledger == whole.ledger
    assert [epoch.train_loss for epoch in resumed.history] == [epoch.train_loss for epoch in whole.history]


def test_an_optimizer_writes_no_cells() -> None:
    spec = dataclasses.replace(SPEC, synapses=None, optimizer="sgd", epochs=1)
    assert "cell_writes" not in train(spec, load_data(spec)).ledger


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"synapses": "pulse"}, RequestError, "unknown device 'pulse'; did you mean 'pulsed'"),
        ({"synapses": "pulsed:quanta=1"}, RequestError, "unknown option of device 'pulsed': 'quanta'"),
        ({"synapses": "pulsed:quantum=small"}, RequestError, "device 'pulsed', quantum got 'small'; expected float"),
        ({"synapses": "pulsed:quantum=1"}, RequestError, "no larger than the bound"),
        ({"synapses": "pulsed:lr=1"}, RequestError, "unknown option of device 'pulsed': 'lr'"),
        ({"neuron": "lif", "rule": "bp"}, UnsupportedError, "bp has errors that are real numbers"),
        (
            {"synapses": "ideal", "neuron": "lif", "rule": "kolen-pollack"},
            UnsupportedError,
            "by the weights' own",
        ),
        ({"clip": 1.0}, RequestError, "clip got 1.0; expected none with synapses"),
        ({"weight_decay": 0.1}, RequestError, "weight-decay got 0.1; expected none with synapses"),
    ],
)
def test_refuses(options: dict[str, Any], error: Any, said: str) -> None:
    data = load_data(SPEC)
    with pytest.raises(error, match=said):
        train(dataclasses.replace(SPEC, **options), data)
