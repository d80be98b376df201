"""What a run reports while it trains."""

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch


class ProgressListener:
    """Receives the progress of one run. Subclasses override what they need; by default, nothing happens."""

    def run_begins(self, config: RunConfig) -> None:
        """A run with these settings is about to train."""

    def epoch_begins(self, epoch: int, steps: int) -> None:
        """Epoch number `epoch`, counted from 1, is about to take `steps` training steps."""

    def stepped(self) -> None:
        """One training step is done."""

    def epoch_ended(self, epoch: Epoch) -> None:
        """An epoch and its validation are done, and its checkpoint is written."""
