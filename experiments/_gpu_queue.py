"""The pieces of work for a machine with a GPU, in order, and what of them is done.

All that a later call needs lies in one folder: `results.jsonl`, an entry per attempt at a piece; `tests.jsonl`, an
entry per test; `runs/`, per training run a checkpoint and its progress; and logs, which are only for reading.
"""

from __future__ import annotations

import functools
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fbp_cifar10
import opzo
import ssnn
from _records import read_lines
from onchip.runs import provenance
from onchip.runs.config import RunConfig

__all__ = ["ARCHIVE", "DATA", "ROOT", "Piece", "State", "code", "pieces"]

ROOT = Path(__file__).resolve().parent.parent
COMMIT = ROOT / "commit.json"
"""Which code a packed copy is of, which has no history."""

DATA = "folder:cifar10-jpeg"
ARCHIVE = "cifar10-jpeg.tar.xz"
SHORT = 20
"""Epochs of the first row of each rule, which a piece or two can finish."""

VGG7 = replace(fbp_cifar10.RECIPE, data=DATA)
CONV5 = replace(opzo.SGD, data=DATA, net="conv5", train_size=None, steps=6, batch_size=128, augment="crop:4,flip")
CONV_SSNN = replace(ssnn.BASE, data=DATA, net="conv-wide", steps=8, batch_size=50)

ROWS: tuple[tuple[str, RunConfig, int, float], ...] = (
    ("vgg7-1x", replace(VGG7, rule="bp"), 300, 20.0),
    ("vgg7-1000x", replace(VGG7, rule="fbp:period=100;transport=top:0.1"), 300, 20.0),
    ("vgg7-10000x", replace(VGG7, rule="fbp:period=100;transport=top:0.01"), 300, 20.0),
    *(
        (f"conv5-{name}", replace(CONV5, rule=rule), 300, 25.0)
        for name, rule in (
            ("ottt", "ottt"),
            ("opzo", "opzo"),
            ("opzo-local", "opzo:local=true"),
            ("dfa", "dfa"),
            ("dkp", "dkp"),
        )
    ),
    ("ssnn-clipped", replace(CONV_SSNN, **ssnn.CLIPPED), 100, 5.0),
    ("ssnn", replace(CONV_SSNN, **ssnn.OURS), 100, 15.0),
)
"""Name, settings, epochs of the paper (of SSNN-BP: ours), and a guess at the seconds of an epoch on an H100."""

TINY: dict[str, Any] = {"data": "digits", "net": "2C3-P2", "train_size": 64, "batch_size": 16, "augment": None}
TINY_EPOCHS = 3


@dataclass(frozen=True)
class Piece:
    """Some work with a result of its own, which may take several calls.

    Args:
        name: Its name in `--only` and in the results.
        about: What it is, for the list.
        minutes: A guess at its duration.
        least: Minutes that must be left for it to begin.
        command: The script and its options, without those for its output; empty for tests and training.
        config: The settings of a training run; None for other work.
    """

    name: str
    about: str
    minutes: float
    least: float
    command: tuple[str, ...] = ()
    config: RunConfig | None = None


def pieces(device: str, tiny: bool = False) -> list[Piece]:
    """The queue: what shows whether the code runs, what shows how fast, then accuracies, short runs first."""
    return [
        Piece("tests", "tests/gpu", 6.0, 1.0),
        Piece("scan", "bandwidth of the scans", 1.0, 1.0, ("scan.py", "--device", device, *_small(tiny, "scan"))),
        *(
            Piece(f"step-{net}", f"images/s of {net}, beside spikingjelly", 3.0, 3.0, _step(net, device, tiny))
            for net in ("conv_rgb", "conv5")
        ),
        *_trainings(device, tiny),
    ]


def _step(net: str, device: str, tiny: bool) -> tuple[str, ...]:
    return "gpu.py", "--net", net, "--device", device, *_small(tiny, "step")


def _small(tiny: bool, what: str) -> tuple[str, ...]:
    """Options of a benchmark with which it takes a second on a CPU."""
    options = {"scan": ("--elements", "4096"), "step": ("--batch", "2", "--rules", "dfa")}
    return ("--rounds", "2", "--threads", "1", *options[what]) if tiny else ()


def _trainings(device: str, tiny: bool) -> Iterator[Piece]:
    plan = [("short", 0), *(("long", seed) for seed in range(3))]
    for length, seed in plan[:1] if tiny else plan:
        for name, config, epochs, guess in ROWS:
            used = TINY_EPOCHS if tiny else (SHORT if length == "short" else epochs)
            own = replace(config, device=device, seed=seed, epochs=used, **(TINY if tiny else {}))
            about = f"{own.net}, {own.rule}, {used} epochs, seed {seed}"
            yield Piece(f"{name}-{length}-{seed}", about, used * guess / 60, 1.5, config=own)


@functools.cache
def code() -> dict[str, Any]:
    """Which code runs: the commit of this checkout, or that of which this is a packed copy, and whether it is that."""
    if COMMIT.exists():
        return dict(json.loads(COMMIT.read_text(encoding="utf-8")))
    own = provenance.code()
    if own.commit is None:
        return {"commit": None, "clean": None}
    asked = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {"commit": own.commit, "clean": not asked.stdout.strip()}


class State:
    """What is done, in the folder of the results.

    Args:
        out: The folder; made if it is missing.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.results, self.tests = out / "results.jsonl", out / "tests.jsonl"
        for folder in ("runs", "logs"):
            (out / folder).mkdir(parents=True, exist_ok=True)

    def checkpoint(self, piece: Piece) -> Path:
        return self.out / "runs" / f"{piece.name}.safetensors"

    def progress(self, piece: Piece) -> Path:
        return self.out / "runs" / f"{piece.name}.json"

    def log(self, piece: Piece) -> Path:
        return self.out / "logs" / f"{piece.name}.txt"

    def last(self, piece: Piece) -> dict[str, Any]:
        """The last attempt at a piece; its status is `waiting` if there was none."""
        attempts = [entry for entry in read_lines(self.results) if entry["piece"] == piece.name]
        return attempts[-1] if attempts else {"status": "waiting"}

    def epochs(self, piece: Piece) -> tuple[int, float | None]:
        """Epochs that a run has behind it, and the seconds of one, as far as they are known."""
        if not self.progress(piece).exists():
            return 0, None
        read = json.loads(self.progress(piece).read_text(encoding="utf-8"))
        return read["epochs"], read["seconds_per_epoch"]

    def status(self, piece: Piece) -> str:
        """One of done, running, failed and waiting. What failed under other code waits again."""
        last = self.last(piece)
        if last["status"] == "failed" and last["code"] != code():
            return "running" if self.checkpoint(piece).exists() else "waiting"
        return {"stopped": "running"}.get(last["status"], last["status"])

    def minutes(self, piece: Piece) -> float:
        """A guess at the minutes that a piece still takes."""
        if self.status(piece) == "done":
            return 0.0
        epochs, seconds = self.epochs(piece)
        if piece.config is None or seconds is None:
            return piece.minutes
        return (piece.config.epochs - epochs) * seconds / 60
