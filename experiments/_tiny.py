"""What makes any experiment small: tiny data, two short epochs, one seed, and folders of its own.

`tiny` puts small doubles in the place of the three functions by which experiments reach data and training, before they
are imported. An experiment needs no code for it, as long as it loads by `onchip.data.load` or `load_data`, trains by
`train`, and names its files by `FOLDER`, its seeds by `SEEDS` and its pages by `DOCS`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import _records
import _tables
import onchip.data
import onchip.training.builder
import onchip.training.loop
import onchip.training.sweep
from onchip.data import Dataset, Split
from onchip.data.datasets import find
from onchip.data.samples import IMAGES
from onchip.data.split import Samples
from onchip.data.stratify import stratified_order
from onchip.runs.config import RunConfig
from onchip.runs.record import Record

__all__ = ["tiny"]

ROOT = Path(__file__).resolve().parent.parent
TRAINED, MEASURED = 10, 10
"""Samples to train on, and of validation and test."""
EPOCHS, BATCH = 2, 10
PICTURES = (3, 32, 32)
"""The shape of samples of `folder:PATH`."""

_load, _train = onchip.data.load, onchip.training.loop.train
_trained: dict[str, Record] = {}


@contextlib.contextmanager
def tiny(folder: Path) -> Iterator[None]:
    """Whatever is imported and run in this block is tiny, and writes below this folder only.

    Args:
        folder: An empty folder, which becomes the working directory. It gets copies of the pages of docs/.
    """
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=lambda _, names: [n for n in names if n.endswith(".ipynb")])
    (folder / "experiments").symlink_to(ROOT / "experiments")  # settings name files in it
    before = Path.cwd()
    with contextlib.ExitStack() as changed:
        for module, name, double in (
            (onchip.data, "load", load),
            (onchip.training.builder, "load_data", load_data),
            (onchip.training.loop, "train", train),
            (onchip.training.sweep, "train", train),
            (_records, "load_data", load_data),
            (_records, "train", train),
            (_records, "FOLDER", folder / "written" / "records"),
            (_tables, "DOCS", folder / "docs"),
            (_tables, "SEEDS", _tables.SEEDS[:1]),
        ):
            changed.enter_context(mock.patch.object(module, name, double))
        changed.enter_context(mock.patch.dict(os.environ, {"ONCHIP_DATA": str(folder)}))
        _records.FOLDER.mkdir(parents=True)
        _trained.clear()
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def load(name: str, *, train_size: int | None = None, validation: float = 0.1, **_: Any) -> Dataset:
    """A few samples of a data set that needs no files, or noise of the shape and the classes of another one."""
    info = find(name).info
    if info is not None and info.embedded:
        data = _load(name, validation=validation)
        parts = [few(part, TRAINED if part is data.train else MEASURED) for part in (data.train, data.test)]
        aside = few(data.validation, MEASURED) if len(data.validation) else data.validation
        return dataclasses.replace(data, train=parts[0], validation=aside, test=parts[1])
    shape, classes = (PICTURES, 10) if info is None else (info.shape, info.classes)
    kind = IMAGES if info is None else info.kind
    steps = () if info is None or not kind.over_time else (info.steps or 1,)
    drawn = torch.Generator().manual_seed(0)

    def noise(count: int) -> Split:
        stored = torch.randint(0, 256, (count, *steps, *shape), generator=drawn, dtype=torch.uint8)
        return Split(stored // 128 if steps else stored, torch.arange(count) % classes, kind)

    splits = noise(TRAINED), noise(MEASURED if validation else 0), noise(MEASURED)
    return Dataset(name, tuple(map(str, range(classes))), *splits)


def few(samples: Samples, count: int) -> Samples:
    """So many samples of all classes."""
    return samples.take(stratified_order(samples.sample_labels, 0)[:count])


def load_data(config: RunConfig, **_: Any) -> Dataset:
    return load(config.data, validation=config.validation)


def train(config: RunConfig, data: Dataset, **options: Any) -> Record:
    """A short run, whose record says what it would have had otherwise, because tables ask for that.

    Runs that differ in nothing but their length, rate, data size or seed are one run here.
    """
    small = dataclasses.replace(
        config,
        epochs=min(config.epochs, EPOCHS),
        batch_size=min(config.batch_size, BATCH),
        train_size=None,
        lr=RunConfig().lr,
        seed=0,
        device="cpu",
    )
    key = json.dumps([dataclasses.asdict(small), data.shape, len(data.validation)])
    files = any(options.get(name) is not None for name in ("model", "weights"))
    if files or key not in _trained:
        short = {name: value for name, value in options.items() if name not in ("save_to", "resume", "watch")}
        _trained[key] = _train(small, data, **short)
    return dataclasses.replace(
        _trained[key],
        settings=dataclasses.asdict(config),
        seed=config.seed,
        epochs=config.epochs,
        train_size=config.train_size or _trained[key].train_size,
    )
