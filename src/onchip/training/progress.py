"""What a run reports while it trains."""

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch


class ProgressListener:
    """Receives the progress of one run. Subclasses override what they need; by default, nothing happens."""

    def run_begins(self, config: RunConfig) -> None:
        """A run with these settings is about to train."""

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Epoch number `epoch`, counted from 1, is about to take `steps` training steps."""

    def stepped(self, loss: float) -> None:
        """One training step is done, whose batch had this loss."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """An epoch and its validation are done, and its checkpoint is written."""


class Listeners(ProgressListener):
    """Several listeners to one run.

    Args:
        listeners: Each is told everything, in this order.
    """

    def __init__(self, *listeners: ProgressListener) -> None:
        self._listeners = listeners

    def run_begins(self, config: RunConfig) -> None:
        for listener in self._listeners:
            listener.run_begins(config)

    def epoch_begins(self, epoch: int, steps: int) -> None:
        for listener in self._listeners:
            listener.epoch_begins(epoch, steps)

    def stepped(self, loss: float) -> None:
        for listener in self._listeners:
            listener.stepped(loss)

    def epoch_ended(self, epoch: Epoch) -> None:
        for listener in self._listeners:
            listener.epoch_ended(epoch)
