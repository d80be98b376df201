"""Processes that end when the one that started them ends. Imports no torch."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""


def end_with(parent: int) -> None:
    """Let Linux end this process when its parent ends, at once, even within compiled code; nothing on other systems.

    Args:
        parent: The parent's process number. To Linux, the parent is the thread that started this process, so that
            thread must not end earlier.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before Linux knew
            os._exit(1)
