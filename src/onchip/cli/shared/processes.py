"""One command in several processes, of which one prints."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onchip.cli.shared import terminal
from onchip.errors import OnchipError
from onchip.runs.launch import launched

if TYPE_CHECKING:
    from onchip.learning.ranks import Ranks


@contextmanager
def silent_but_first() -> Iterator[None]:
    """Mutes all processes but the first while the block runs."""
    rank, _ = launched()
    with terminal.muted() if rank else contextlib.nullcontext():
        yield


@contextmanager
def processes(device: str) -> Iterator[Ranks]:
    """The processes that train together while the block runs: those that a launcher started.

    What all refuse for the same reason, and what one alone fails on, is printed by one of them.
    """
    from onchip.learning.ranks import Ranks  # torch takes seconds: only when something runs

    ranks = Ranks.join(device)
    try:
        yield ranks
    except (OnchipError, OSError):
        terminal.mute(not ranks.fails_first())
        raise
    ranks.leave()
