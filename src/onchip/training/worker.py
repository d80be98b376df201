"""How a worker process begins. This imports no torch, so that it watches its parent before it loads anything."""

import ctypes
import os
import signal
import sys
import threading
import time
import warnings
from typing import Any

INTERVAL = 0.1
"""Seconds between two looks at the parent."""
PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def begin(parent: int, by_signal: bool) -> None:
    """End this process when its parent ends; its warnings are one line each.

    Args:
        parent: The parent's process number.
        by_signal: Let Linux do this, at once, even within compiled code. To Linux, the parent is the thread that
            started this process; it must not end before the parent does.
    """
    if by_signal and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    warnings.formatwarning = _one_line
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # also if it ended before this process could look
        time.sleep(INTERVAL)
    os._exit(1)


def _one_line(message: Warning | str, *_: Any, **__: Any) -> str:
    return f"warning: {message}\n"
