"""NIR files whose bytes are damaged, or whose datasets hold something else."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from hypothesis import strategies as st

from onchip import interop, nn
from tests.fuzz.mutants import check_all, damaged, outcome

Count = Callable[[str, object], None]

ODD: tuple[Any, ...] = (
    *(0, 1, -1, 1e300, -1e300, np.nan, np.inf, 1e-300, 2**63 - 1, -(2**63), True, np.uint8(200), np.float16(0.1)),
    *("", "x", "LIF", "NIRGraph", "Input", b"\xff", np.zeros(0), np.zeros((0, 3)), np.ones(3), np.ones((2, 2))),
    *(np.full((2, 6, 6), 1e308), np.array([2**40, 2**40]), np.array([-1, -1]), np.ones((1, 1, 1, 1))),
    *(np.array(["a", "b"], dtype=object), np.array([["input", "output"]], dtype=object)),
)
"""Values that a dataset of a good file does not have."""


def _written(path: Path) -> Path:
    first = [
        nn.Conv2d(1, 2, 3),
        nn.LIF(decay=torch.rand(2, 1, 1), learn_decay=True),
        nn.AvgPool2d(2),
        nn.Conv2d(2, 2, 1),
    ]
    second = [nn.Recurrent(nn.Conv2d(2, 2, 1), nn.CubaLIF()), nn.Flatten(), nn.Linear(18, 3), nn.IF()]
    block = nn.Residual(nn.Sequential(nn.Linear(3, 3), nn.LIF()))
    model = nn.Sequential(*first, *second, block, nn.Linear(3, 3), nn.LI())
    interop.export(path, model, (1, 8, 8), approximate=True)
    return path


def _changed(path: Path, seed: int) -> None:
    """Deletes or replaces up to three objects of a file."""
    draw = random.Random(seed)
    names: list[str] = []
    with h5py.File(path, "r+") as file:
        file.visit(names.append)
        for name in draw.choices(names, k=draw.randint(1, 3)):
            if name not in file:
                continue
            value = draw.choice(ODD)
            whole = file[name][()] if isinstance(file[name], h5py.Dataset) else None
            if draw.random() < 0.3 and isinstance(whole, np.ndarray) and whole.dtype.kind == "f" and whole.size:
                whole.reshape(-1)[draw.randrange(whole.size)] = draw.choice([0.0, -1.0, 1e300, np.nan, np.inf])
                value = whole
            del file[name]
            if draw.random() < 0.8:
                file[name] = value


def test_damaged_bytes_are_refused_or_read(record_property: Count, tmp_path: Path) -> None:
    content = _written(tmp_path / "good.nir").read_bytes()
    path = tmp_path / "damaged.nir"

    def check(mutant: bytes) -> None:
        path.write_bytes(mutant)
        outcome(lambda: interop.load(path))

    check_all(damaged(content), check, 100, record_property)


def test_changed_datasets_are_refused_or_read(record_property: Count, tmp_path: Path) -> None:
    good, path = _written(tmp_path / "good.nir"), tmp_path / "changed.nir"

    def check(seed: int) -> None:
        shutil.copy(good, path)
        _changed(path, seed)
        outcome(lambda: interop.load(path))

    check_all(st.integers(0, 2**32), check, 100, record_property)
