"""Progress on standard error: bars on a terminal, a line a run elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from onchip.records import Epoch, Record
from onchip.settings import RunSpec

__all__ = ["Bars", "bars"]


class Bars:
    """Watches runs: one bar for all of them, one for the epoch at hand.

    Args:
        progress: the bars' display; None shows none.
        runs: runs to come.
    """

    def __init__(self, progress: Progress | None, runs: int) -> None:
        self._progress = progress
        self._epochs = 0
        self._run = ""
        if progress is not None:
            self._all = progress.add_task("all runs", total=runs)
            self._epoch = progress.add_task("", total=None)

    def run_begins(self, spec: RunSpec) -> None:
        """Name the run beside its bar."""
        self._run, self._epochs = f"{spec.rule}, seed {spec.seed}", spec.epochs

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Begin the epoch's bar."""
        if self._progress is not None:
            what = f"{self._run}, epoch {epoch}/{self._epochs}"
            self._progress.reset(self._epoch, total=steps, description=what)

    def stepped(self) -> None:
        """Move the epoch's bar."""
        if self._progress is not None:
            self._progress.advance(self._epoch)

    def epoch_ended(self, epoch: Epoch) -> None:
        """Nothing: the next epoch's bar follows."""

    def finished(self, record: Record) -> None:
        """One line on a run that is over."""
        if record.test_accuracy is None:
            result = f"failed: {record.error}"
        else:
            result = f"test {100 * record.test_accuracy:.2f} %, {record.seconds:.1f} s"
        line = f"{record.label}, seed {record.seed}: {result}"
        if self._progress is None:
            typer.echo(line, err=True)
        else:
            self._progress.console.print(line, markup=False, highlight=False)
            self._progress.advance(self._all)


@contextmanager
def bars(runs: int) -> Iterator[Bars]:
    """Shows progress while the block runs."""
    if not sys.stderr.isatty():
        yield Bars(None, runs)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bars(progress, runs)
