"""Files that other programs wrote from networks of their own: read with their conventions, the spikes are the same."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import interop
from tests.cases import spikes


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _larger(network: torch.nn.Module, factor: float) -> torch.nn.Module:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(("weight", "bias")):
                parameter.mul_(factor)
    return network


def _compared(graph: Any, path: Path, signal: Tensor, expected: Tensor, **options: Any) -> None:
    importlib.import_module("nir").write(str(path), graph)
    network = interop.load(path, **options)
    assert expected.sum() > 5
    torch.testing.assert_close(network(signal), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reset", ["hard", "soft"])
def test_snntorch(reset: Any, tmp_path: Path) -> None:
    """Its export writes the soft reset as a hard one without a word, so an import has to be told."""
    snn, export = pytest.importorskip("snntorch"), pytest.importorskip("snntorch.export_nir")
    options = {
        "init_hidden": True,
        "reset_mechanism": {"hard": "zero", "soft": "subtract"}[reset],
        "reset_delay": False,
    }
    first = snn.Leaky(beta=torch.full((8,), 0.6), threshold=torch.ones(8), **options)
    second = snn.Synaptic(alpha=torch.full((3,), 0.5), beta=torch.full((3,), 0.8), threshold=torch.ones(3), **options)
    if reset == "soft":  # snnTorch subtracts again where a membrane is above the threshold after that, and we do not
        second = snn.Leaky(beta=torch.full((3,), 0.5), threshold=torch.ones(3), **options)
    factor = {"hard": 6.0, "soft": 1.2}[reset]
    network = _larger(torch.nn.Sequential(torch.nn.Linear(6, 8), first, torch.nn.Linear(8, 3), second), factor)
    signal = spikes(20, 4, 6)
    graph = export.export_to_nir(network, signal[0, 0])
    importlib.import_module("snntorch.utils").reset(network)
    expected = torch.stack([network(step) for step in signal]).detach()
    _compared(graph, tmp_path / "network.nir", signal, expected, reader="snntorch", reset=reset)


@pytest.mark.parametrize("reader", ["spikingjelly", "nir"])
def test_spikingjelly(reader: str, tmp_path: Path) -> None:
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    base = importlib.import_module("spikingjelly.activation_based")
    export = importlib.import_module("spikingjelly.activation_based.nir_exchange.to_nir")
    linear = importlib.import_module("spikingjelly.activation_based.layer").Linear
    layers = [linear(6, 8), neuron.LIFNode(tau=2.0, v_reset=0.0), linear(8, 7), neuron.IFNode(v_reset=0.0)]
    last = [linear(7, 5), neuron.LIFNode(tau=3.0, decay_input=False, v_reset=0.0)]
    network = _larger(torch.nn.Sequential(*layers, *last), 4.0)
    signal = spikes(20, 4, 6)
    graph = export.export_to_nir(network, signal[0])
    importlib.import_module(f"{base.__name__}.functional").reset_net(network)
    expected = torch.stack([network(step) for step in signal]).detach()
    _compared(graph, tmp_path / "network.nir", signal, expected, reader=reader)


def test_sinabs(tmp_path: Path) -> None:
    layers = pytest.importorskip("sinabs.layers")
    activation, exchange = importlib.import_module("sinabs.activation"), importlib.import_module("sinabs.nir")
    options = {"tau_mem": torch.full((8,), 5.0), "batch_size": 4, "norm_input": False}
    network = _larger(
        torch.nn.Sequential(
            torch.nn.Linear(6, 8),
            layers.LIFSqueeze(spike_fn=activation.SingleSpike, spike_threshold=torch.ones(8), **options),
            torch.nn.Linear(8, 3),
            layers.ExpLeakSqueeze(tau_mem=torch.full((3,), 9.0), batch_size=4, norm_input=False),
        ),
        3.0,
    )
    signal = spikes(20, 4, 6)
    folded = signal.transpose(0, 1).flatten(0, 1)
    expected = network(folded).detach().unflatten(0, (4, 20)).transpose(0, 1)
    graph = exchange.to_nir(network, folded)
    nir = importlib.import_module("nir")
    network_of_ours, verdicts = interop.from_nir(graph, reader="sinabs", shape=(6,))
    assert isinstance(graph, nir.NIRGraph)
    assert "NIR cannot say a soft reset" in verdicts[1].reason
    torch.testing.assert_close(network_of_ours(signal), expected, rtol=1e-4, atol=1e-4)
