"""Runs of experiments go on after an interruption, and every setting has a checkpoint of its own."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from _records import checkpoint_of, train_missing
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.runs.record import read

TINY = RunConfig(net="mlp", train_size=60, steps=2, epochs=3, validation=0.0, augment="crop:1", threads=1)


def interrupt_after(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupts training after that many checkpoints."""
    save, left = checkpoint.save, [saves]

    def saved(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", saved)


def test_an_interrupted_run_goes_on_after_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_missing(tmp_path / "whole.jsonl", [TINY])
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            train_missing(tmp_path / "parts.jsonl", [TINY], checkpoints=tmp_path / "runs")
    assert checkpoint_of(TINY, tmp_path / "runs").exists()
    assert not read(tmp_path / "parts.jsonl")
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)  # a run that began again would be interrupted again
        train_missing(tmp_path / "parts.jsonl", [TINY], checkpoints=tmp_path / "runs")
    (whole,), (parts,) = read(tmp_path / "whole.jsonl"), read(tmp_path / "parts.jsonl")
    assert [epoch.train_loss for epoch in parts.history] == [epoch.train_loss for epoch in whole.history]
    assert parts.test_accuracy == whole.test_accuracy
    assert not list((tmp_path / "runs").iterdir())


def test_the_next_run_may_depend_on_the_record_before_it(tmp_path: Path) -> None:
    path, seen = tmp_path / "records.jsonl", []

    def configs() -> Any:
        for seed in range(2):
            seen.append(len(read(path)))
            yield replace(TINY, seed=seed, epochs=1)

    train_missing(path, configs())
    assert seen == [0, 1]


@pytest.mark.parametrize("changed", [{"seed": 1}, {"rule": "fbp:period=3"}, {"epochs": 4}, {"lr": 0.1}], ids=str)
def test_other_settings_have_another_checkpoint(changed: dict[str, Any]) -> None:
    other = RunConfig(**{**asdict(TINY), **changed})
    assert checkpoint_of(other, Path("runs")) != checkpoint_of(TINY, Path("runs"))
