"""Signals that end a command, as schedulers and closing terminals send them: each acts as Ctrl-C does."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = "SIGTERM", "SIGHUP"


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for SIGTERM and SIGHUP while the block runs, for the first one that comes.

    A signal that is ignored stays so: `nohup` ignores SIGHUP.
    """
    ending = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    ending = [number for number in ending if signal.getsignal(number) is signal.SIG_DFL]

    def stop(number: int, _: FrameType | None) -> None:
        for each in ending:  # a second one must not interrupt the end
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    for number in ending:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ending:
            signal.signal(number, signal.SIG_DFL)


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What shells report for a signal: 128 and its number."""
    number: int = interrupt.args[0] if interrupt.args else signal.SIGINT
    return 128 + number
