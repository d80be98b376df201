"""Frozen backpropagation in a VGG-7 of a quarter of the width on CIFAR-10, of which we have the JPEG files.

    python experiments/fbp_cifar10_quarter.py            trains what experiments/records/fbp_cifar10_quarter*.jsonl lack
    python experiments/fbp_cifar10_quarter.py --table    writes the tables in docs/fbp.md from the records

The data are pictures in one folder per class, `cifar10-jpeg/train` and `cifar10-jpeg/test` in the data folder
(ONCHIP_DATA). Spike times, images shifted and mirrored at random; the 10,000 test images are evaluated once per run,
after its last step. The learning rate of all rules is the one with which BP was best on validation images, after three
epochs on 15,000 images, with a seed that is used for nothing else.

A run takes most of an hour, so it is stored after each epoch under runs/, and goes on from there after an interruption.
Rows come in the order of their importance, and the table lists those that were not trained yet as well.

Reference: Goupy et al. 2025 (arXiv 2505.13741), whose VGG-7 is four times as wide and trained some 20 times as long.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from _records import FOLDER, train_missing
from _tables import command
from onchip import allocator
from onchip.data.root import data_root
from onchip.runs.config import RunConfig
from onchip.runs.record import read

RECORDS = FOLDER / "fbp_cifar10_quarter.jsonl"
TUNING = FOLDER / "fbp_cifar10_quarter_tuning.jsonl"
CHECKPOINTS = FOLDER.parent.parent / "runs" / "fbp_cifar10_quarter"

TUNING_SEED = 1000
TRIED = (
    *((1e-3, "fan", 64), (2e-3, "fan", 64), (4e-3, "fan", 64), (1e-3, "equal", 64), (5e-4, "equal", 64)),
    *((2.5e-4, "equal", 64),),
)
"""Learning rate, its scaling over layers and samples per step."""

BASE = RunConfig(
    data="folder:cifar10-jpeg",
    validation=0.0,
    net="16C3-32C3-P2-64C3-64C3-P2-128C3-128C3-P2-10",
    neuron="ttfs",
    augment="crop:4,flip",
    optimizer="adam",
    threads=1,
)


def tuning() -> Iterator[RunConfig]:
    """The runs that choose the learning rate."""
    for lr, lr_scaling, batch_size in TRIED:
        yield replace(
            BASE,
            train_size=15_000,
            validation=0.1,
            epochs=3,
            seed=TUNING_SEED,
            lr=lr,
            lr_scaling=lr_scaling,  # type: ignore[arg-type]
            batch_size=batch_size,
        )


def run() -> None:
    allocator.keep()
    os.chdir(data_root())  # where folder:cifar10-jpeg is
    train_missing(TUNING, tuning())


if __name__ == "__main__":
    command(__doc__, "fbp.md", dict, run)
