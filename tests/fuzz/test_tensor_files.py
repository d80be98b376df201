"""Checkpoints, weights and stored samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onchip._sealed import read_sealed
from onchip.data.readers.sample_file import SampleFile
from onchip.runs import checkpoint
from tests.examples import record
from tests.fuzz.mutants import check_all, damaged, outcome

Count = Callable[[str, object], None]

IMAGES = torch.arange(48, dtype=torch.uint8).reshape(4, 1, 3, 4)
STATE: dict[str, Any] = {
    "model": {"1.weight": torch.linspace(-1, 1, 6).reshape(2, 3), "1.bias": torch.zeros(2)},
    "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "betas": (0.9, 0.99)}]},
    "random": torch.arange(16, dtype=torch.uint8),
    "best": None,
    "seconds": 1.25,
}


def test_a_damaged_checkpoint_is_refused(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint.save(path, STATE)
    digest = checkpoint.digest(STATE)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        state = outcome(lambda: checkpoint.load(path))
        assert state is None or checkpoint.digest(state) == digest

    check_all(damaged(path.read_bytes()), check, 150, record_property)


def test_damaged_weights_are_refused(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "w"
    checkpoint.save_weights(path, STATE["model"], record().to_json())
    whole = read_sealed(path)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        found = outcome(lambda: read_sealed(path))
        assert found is None or _same(found, whole)

    check_all(damaged(path.read_bytes()), check, 100, record_property)


def test_damaged_samples_are_a_miss(record_property: Count, tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "a.npy", "a" * 64, len(IMAGES))
    file.write([IMAGES.numpy()])

    def check(content: bytes) -> None:
        file.path.write_bytes(content)
        images = file.read()
        assert images is None or torch.equal(images[:], IMAGES)

    check_all(damaged(file.path.read_bytes()), check, 80, record_property)


def _same(found: tuple[dict[str, Tensor], dict[str, str]], whole: tuple[dict[str, Tensor], dict[str, str]]) -> bool:
    equal = found[0].keys() == whole[0].keys() and all(torch.equal(found[0][name], whole[0][name]) for name in whole[0])
    return equal and found[1] == whole[1]
