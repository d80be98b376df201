"""How a worker process begins. This imports no torch, so that it watches its parent before it loads anything."""

import os
import threading
import time
import warnings
from typing import Any

from onchip.runs.processes import end_with

INTERVAL = 0.1
"""Seconds between two looks at the parent."""


def begin(parent: int, by_signal: bool) -> None:
    """End this process when its parent ends; its warnings are one line each.

    Args:
        parent: The parent's process number.
        by_signal: Whether the thread that started this process does not end before the parent, so that Linux may
            do this by a signal.
    """
    if by_signal:
        end_with(parent)
    warnings.formatwarning = _one_line
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # also if it ended before this process could look
        time.sleep(INTERVAL)
    os._exit(1)


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {message}\n"
