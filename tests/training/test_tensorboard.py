"""Curves for TensorBoard, read back by TensorBoard's own reader."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import onchip
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch
from onchip.training import tensorboard
from onchip.training.progress import ProgressListener
from onchip.training.tensorboard import Curves, TensorBoard

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer")

SETTINGS: dict[str, Any] = {"net": "2C3-P2", "train_size": 64, "steps": 2, "epochs": 3, "seeds": 1, "lr": 0.01}


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every curve of a run, as TensorBoard reads it: points that a later try replaces are gone."""
    events = reader.EventAccumulator(str(folder)).Reload()
    return {name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]}


class Interrupt(ProgressListener):
    """Ends the program in the second epoch."""

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self.epoch = epoch

    def stepped(self, loss: float) -> None:
        if self.epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("number", [0, 7, 8, 9])
def test_an_interrupted_comparison_leaves_curves_that_go_on_and_equal_its_records(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the numbers in the names of files, which are read in the order of their names."""
    monkeypatch.setattr(writer, "_global_uid", writer.AtomicCounter(number))
    with pytest.raises(KeyboardInterrupt):
        onchip.compare(["bp", "fbp:period=3"], out=tmp_path, log="tensorboard", progress=Interrupt, **SETTINGS)
    folder = tmp_path / "tensorboard"
    assert max(step for step, _ in curves(folder / "bp-seed0")["loss/training"]) >= 2, "readable before the end"
    records = onchip.compare(out=tmp_path, log="tensorboard", resume=True)
    assert {each.name for each in folder.iterdir()} == {"bp-seed0", "fbp_period=3-seed0"}
    for record, name in zip(records, ("bp-seed0", "fbp_period=3-seed0"), strict=True):
        seen = curves(folder / name)
        steps = record.ledger["steps"] // 3
        validated = [(epoch.epoch * steps, epoch.validation_accuracy) for epoch in record.history]
        assert dict(seen["accuracy/validation"]) == pytest.approx(dict(validated))
        assert dict(seen["accuracy/test"]) == pytest.approx({3 * steps: record.test_accuracy})
        bits = record.ledger["transport_value_bits"] + record.ledger["transport_index_bits"]
        assert dict(seen["cost/bits"]) == pytest.approx({3 * steps: bits / record.ledger["steps"]})
        at = [step for step, _ in seen["loss/training"]]
        assert at == sorted(set(at))
        assert at[-1] == 3 * steps
    onchip.compare(["dfa"], out=tmp_path, force=True, **{**SETTINGS, "epochs": 1})
    assert not folder.exists(), "a comparison that replaces it does not show curves of the earlier one"


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(0.0, [(1, 8.0), (2, 1.0), (3, 2.0), (4, 3.0), *((step, 4.0) for step in (5, 6, 7, 8))]),
     (1e9, [(4, 3.5), (8, 4.0)])],
    ids=["every step", "every epoch"],
)  # fmt: skip
def test_a_point_of_the_loss_is_the_mean_since_the_last_one(
    interval: float, expected: list[tuple[int, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "INTERVAL", interval)
    one = TensorBoard(lambda config: tmp_path / config.rule)()
    one.run_begins(RunConfig(rule="bp"))
    for epoch in (1, 2):
        one.epoch_begins(epoch, 4)
        for loss in (8.0, 1.0, 2.0, 3.0):
            one.stepped(loss)
        one.epoch_ended(Epoch(epoch, 3.5, 0.25, 1.5))
    one.epoch_begins(2, 4)  # its worker was lost before the checkpoint: the epoch comes again
    for loss in (4.0, 4.0, 4.0, 4.0):
        one.stepped(loss)
    one.epoch_ended(Epoch(2, 4.0, 0.5, 1.5))
    one.close()
    seen = curves(tmp_path / "bp")
    assert seen["loss/training"] == expected
    assert seen["accuracy/validation"] == [(4, 0.25), (8, 0.5)]


def test_workers_report_to_the_process_that_writes_curves(tmp_path: Path) -> None:
    onchip.compare(["bp", "dfa"], out=tmp_path, log="tensorboard", jobs=2, **SETTINGS)
    for name in ("bp-seed0", "dfa-seed0"):
        assert {"loss/training", "accuracy/test"} <= set(curves(tmp_path / "tensorboard" / name))


def test_what_cannot_be_written_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="unknown log 'tensorbord'; did you mean 'tensorboard'"):
        onchip.compare(["bp"], out=tmp_path / "a", log="tensorbord", **SETTINGS)
    with pytest.raises(RequestError, match="log need out"):
        onchip.compare(["bp"], log="tensorboard", **SETTINGS)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(RequestError, match=r"install it with pip install 'onchip\[tensorboard\]'"):
        onchip.compare(["bp"], out=tmp_path / "a", log="tensorboard", **SETTINGS)
    assert not (tmp_path / "a").exists()


def test_curves_before_the_first_epoch_are_none(tmp_path: Path) -> None:
    Curves(lambda config: tmp_path / config.rule).close()
    assert not list(tmp_path.iterdir())
