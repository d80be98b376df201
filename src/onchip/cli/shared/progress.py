"""Progress on standard error: bars on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from onchip._text import one_line
from onchip.cli.shared.terminal import is_muted, say
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training.progress import ProgressListener

QUIET = 2.0
"""Seconds of reading that need no line."""


class Bars:
    """Makes a bar for each run, below one for all of them.

    Args:
        progress: the bars' display; None shows none.
        runs: runs to come.
    """

    def __init__(self, progress: Progress | None, runs: int) -> None:
        self._progress = progress
        self._bars: dict[tuple[str, int, object], TaskID] = {}
        if progress is not None:
            self._all = progress.add_task("all runs", total=runs)

    def __call__(self) -> Bar:
        """The bar of the next run; it appears when the run begins."""
        return Bar(self._progress, self._bars)

    def finished(self, record: Record) -> None:
        """One line on a run that is over, in place of its bar."""
        if record.test_accuracy is None:
            result = f"failed: {record.error}"
        else:
            result = f"test {100 * record.test_accuracy:.2f} %, {record.seconds:.1f} s"
        line = one_line(f"{record.title}, seed {record.seed}: {result}")
        if self._progress is None:
            say(line, error=True)
            return
        self._progress.console.print(line, markup=False, highlight=False)
        self._progress.advance(self._all)
        bar = self._bars.pop((record.label, record.seed, record.settings.get("synapses")), None)
        if bar is not None:
            self._progress.remove_task(bar)


class Bar(ProgressListener):
    """Watches one run, and shows its steps over all epochs: in a bar, or else in a line per epoch.

    Args:
        progress: the bars' display; None shows none.
        bars: the bars that are shown, by rule, seed and synapses.
    """

    def __init__(self, progress: Progress | None, bars: dict[tuple[str, int, object], TaskID]) -> None:
        self._progress, self._bars = progress, bars

    def run_begins(self, config: RunConfig) -> None:
        """Show the bar."""
        synapses = f" with {config.synapses}" if config.synapses else ""
        self._run, self._epochs = one_line(f"{config.rule}{synapses}, seed {config.seed}"), config.epochs
        if self._progress is not None:
            self._bar = self._progress.add_task(self._run, total=None)
            self._bars[config.rule, config.seed, config.synapses] = self._bar

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Move the bar to the beginning of the epoch; a resumed run does not begin at the first."""
        if self._progress is not None:
            self._progress.update(self._bar, total=self._epochs * steps, completed=(epoch - 1) * steps)

    def stepped(self, loss: float) -> None:
        """Move the bar."""
        if self._progress is not None:
            self._progress.advance(self._bar)

    def epoch_ended(self, epoch: Epoch) -> None:
        """Print the epoch, where there is no bar."""
        if self._progress is None:
            accuracy = epoch.validation_accuracy
            validated = "" if accuracy is None else f"validation {100 * accuracy:.2f} %, "
            result = f"loss {epoch.train_loss:.4g}, {validated}{epoch.seconds:.1f} s"
            say(f"{self._run}: epoch {epoch.epoch} of {self._epochs}, {result}", error=True)


@contextmanager
def bars(runs: int) -> Iterator[Bars]:
    """Shows progress while the block runs."""
    if not sys.stderr.isatty() or is_muted():
        yield Bars(None, runs)
        return
    with _display() as progress:
        yield Bars(progress, runs)


@contextmanager
def reading() -> Iterator[None]:
    """Shows the progress of what the block reads, if it takes long: a bar, or else a line and one for each tenth."""
    from onchip.data.progress import watching  # torch takes seconds: only when something is read

    with contextlib.ExitStack() as stack:
        display = stack.enter_context(_display()) if sys.stderr.isatty() and not is_muted() else None
        begin, tasks, shown = time.monotonic(), dict[str, TaskID](), dict[str, int]()

        def show(what: str, done: int, total: int) -> None:
            if display is not None:
                if what not in tasks:
                    tasks[what] = display.add_task(one_line(what), total=total)
                display.update(tasks[what], completed=done)
            elif done * 10 // total > shown.get(what, -1) and time.monotonic() - begin > QUIET:
                shown[what] = done * 10 // total
                say(f"{what}: {done:,} of {total:,}", error=True)

        stack.enter_context(watching(show))
        yield


def _display() -> Progress:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)
