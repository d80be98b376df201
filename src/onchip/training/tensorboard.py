"""The curves of runs while they train, in files that TensorBoard shows."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onchip.errors import RequestError, unknown_name
from onchip.report.costs import COSTS
from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training.progress import ProgressListener

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

INTERVAL = 0.5
"""Least seconds between two points of the loss, of which each is a mean over the steps since the last."""
FLUSH = 2
"""Seconds after which a point is in its file."""


class TensorBoard:
    """Makes the listener of each run, and closes its curve with the run's result.

    Args:
        folder: The run's folder of curves, from its settings.

    Raises:
        RequestError: TensorBoard is not installed.
    """

    def __init__(self, folder: Callable[[RunConfig], Path]) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise RequestError(
                "the log tensorboard needs the package tensorboard; install it with pip install 'onchip[tensorboard]'"
            ) from error
        self._folder, self._curves = folder, list[Curves]()

    def __call__(self) -> "Curves":
        """The listener of the next run."""
        self._curves.append(Curves(self._folder))
        return self._curves[-1]

    def finished(self, config: RunConfig, record: Record) -> None:
        """Add the result of a run, beside its settings and its costs."""
        for curves in self._curves:
            if curves.config == config:
                curves.finish(record)

    def close(self) -> None:
        """Write what is not in the files yet."""
        for curves in self._curves:
            curves.close()


class Curves(ProgressListener):
    """The curves of one run: its loss over training steps, its accuracies, and the seconds of its epochs.

    Args:
        folder: The run's folder, from its settings.
    """

    config: RunConfig | None = None

    def __init__(self, folder: Callable[[RunConfig], Path]) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._step, self._losses, self._written = 0, list[float](), 0.0

    def run_begins(self, config: RunConfig) -> None:
        self.config = config

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Go on at the first step of the epoch: points at and after it are of an earlier try, and are not shown."""
        first = (epoch - 1) * steps
        if self._writer is None or self._step != first:
            self.close()
            self._writer, self._step = self._open(first), first
        self._losses.clear()

    def stepped(self, loss: float) -> None:
        self._step += 1
        self._losses.append(loss)
        if time.monotonic() - self._written >= INTERVAL:
            self._write_loss()

    def epoch_ended(self, epoch: Epoch) -> None:
        self._write_loss()
        if epoch.validation_accuracy is not None:
            self._add("accuracy/validation", epoch.validation_accuracy)
        self._add("seconds/epoch", epoch.seconds)

    def finish(self, record: Record) -> None:
        """Add the test accuracy; and settings and results for the tab that compares runs."""
        if record.test_accuracy is not None:
            self._step = int(record.ledger["steps"])
            if self._writer is None:  # an earlier try has trained all epochs
                self._writer = self._open(self._step)
            results = {"accuracy/test": record.test_accuracy}
            results |= {f"cost/{cost.name}": value for cost in COSTS if (value := cost.of(record)) is not None}
            settings = {name: value for name, value in record.settings.items() if value is not None}
            self._add_results(settings, results)
        self.close()

    def close(self) -> None:
        """Write what is not in the file yet."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _open(self, first: int) -> "SummaryWriter":
        from torch.utils.tensorboard import SummaryWriter

        assert self.config is not None, "the run has begun"
        folder = self._folder(self.config)
        _wait_for_a_later_name(folder)
        return SummaryWriter(str(folder), purge_step=first + 1, flush_secs=FLUSH)

    def _add_results(self, settings: dict[str, Any], results: dict[str, float]) -> None:
        """Add settings and results, as `add_hparams` does, but to the file of the curves.

        A file of their own would begin in the same second, if the run is short, and might be read before it.
        """
        from torch.utils.tensorboard.summary import hparams

        assert self._writer is not None, "it is open"
        file: Any = self._writer.file_writer
        for summary in hparams(settings, results):
            file.add_summary(summary, self._step)
        for name, value in results.items():
            self._add(name, value)

    def _write_loss(self) -> None:
        if self._losses:
            self._add("loss/training", sum(self._losses) / len(self._losses))
            self._losses.clear()
            self._written = time.monotonic()

    def _add(self, name: str, value: float) -> None:
        assert self._writer is not None, "an epoch has begun"
        self._writer.add_scalar(name, value, self._step)


def _wait_for_a_later_name(folder: Path) -> None:
    """Waits until a new file's name comes after those in the folder: TensorBoard reads files in the order of names.

    Names begin with the second of their creation, and go on with numbers that are no order, such as 9 and 10.
    """
    seconds = {path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*")}
    while f"{int(time.time()):010d}" in seconds:
        time.sleep(0.02)


LOGS = {"tensorboard": TensorBoard}


def log_named(name: str, folder: Callable[[RunConfig], Path]) -> TensorBoard:
    """The log of this name.

    Raises:
        RequestError: There is none, or what it needs is not installed.
    """
    if name not in LOGS:
        raise unknown_name("log", name, LOGS)
    return LOGS[name](folder)
