"""A run that is interrupted, for tests of how it goes on."""

from onchip.runs.record import Epoch
from onchip.training.progress import ProgressListener


class StopAfter(ProgressListener):
    """Presses Ctrl-C when an epoch is over."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_ended(self, epoch: Epoch) -> None:
        if epoch.epoch == self.epoch:
            raise KeyboardInterrupt
