"""Trains one run of the queue of gpu.py, in a process of its own, from its last epoch on and until time is over.

A checkpoint is written after each epoch, so a run that is stopped loses the epoch that it was in. It is stopped where
the next epoch would not fit.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from _gpu_queue import State, pieces
from onchip._files import write_whole
from onchip.data import Dataset
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.progress import ProgressListener

MARGIN = 1.15
"""How much longer than the longest epoch so far the next may take."""


class OutOfTime(Exception):
    """The time of this call is over; the checkpoint has all epochs that were completed."""


class Clock(ProgressListener):
    """Notes the progress of a run, and ends it in time.

    Args:
        progress: The file of the progress.
        until: When to stop, by `time.monotonic`.
    """

    def __init__(self, progress: Path, until: float) -> None:
        self.progress, self.until = progress, until
        self.completed, self.longest, self.steps, self.taken, self.begin = 0, 0.0, 1, 0, 0.0

    def run_begins(self, config: RunConfig) -> None:
        self.epochs = config.epochs

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self.begin, self.steps, self.taken = time.monotonic(), steps, 0

    def stepped(self, loss: float) -> None:
        self.taken += 1
        if time.monotonic() > self.until:
            raise OutOfTime

    def epoch_ended(self, epoch: Epoch) -> None:
        spent = time.monotonic() - self.begin
        self.completed, self.longest = self.completed + 1, max(self.longest, spent)
        reached = {"epochs": epoch.epoch, "seconds_per_epoch": spent, "validation": epoch.validation_accuracy}
        write_whole(self.progress, json.dumps({**reached, "train_loss": epoch.train_loss}) + "\n")
        print(f"epoch {epoch.epoch} of {self.epochs}: loss {epoch.train_loss:.4f}, {spent:.1f} s", flush=True)
        if epoch.epoch < self.epochs and time.monotonic() + MARGIN * self.longest > self.until:
            raise OutOfTime

    def seconds_per_epoch(self) -> float:
        """Of the last epoch, or what the steps of an unfinished one promise."""
        return self.longest or (time.monotonic() - self.begin) * self.steps / max(self.taken, 1)


def work(config: RunConfig, data: Dataset, state: Path, clock: Clock) -> dict[str, Any]:
    """Trains on; says whether the run is finished, and its record if it is."""
    try:
        record = train(config, data, save_to=state, resume=True, watch=clock)
    except OutOfTime:
        answer: dict[str, Any] = {"finished": False, "completed": clock.completed}
        return {**answer, "seconds_per_epoch": clock.seconds_per_epoch()}
    return {"finished": True, "completed": clock.completed, "record": json.loads(record.to_json())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("piece")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="the folder in which the pictures lie")
    parser.add_argument("--until", type=float, required=True, help="when to stop, in seconds since the epoch")
    parser.add_argument("--answer", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    until = time.monotonic() + options.until - time.time()  # loading this script took some of the time, too
    state = State(options.out.resolve())
    answer = options.answer.resolve()
    (piece,) = (each for each in pieces(options.device, options.tiny) if each.name == options.piece)
    assert piece.config is not None, "the queue starts this script for training runs alone"
    options.work.mkdir(parents=True, exist_ok=True)
    os.chdir(options.work)
    data = load_data(piece.config, root=Path.cwd())
    clock = Clock(state.progress(piece), until)
    write_whole(answer, json.dumps(work(piece.config, data, state.checkpoint(piece), clock)))


if __name__ == "__main__":
    main()
