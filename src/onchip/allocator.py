"""Settings of the C library's allocator, for programs that need the same memory again at every step.

By default glibc hands large blocks back to the system as soon as they are free, and a new one costs a fault for each
page. A training step of `conv_wide` spent up to a fifth of its time so, one of the same network in plain torch a third
(docs/speed.md). The command line keeps memory until it ends; a library must not decide that, so importing it does not.
"""

import ctypes
import os

SETTINGS = {"MALLOC_MMAP_MAX_": (-4, 0), "MALLOC_TRIM_THRESHOLD_": (-1, 2**31 - 1)}
"""By glibc's names in the environment: numbers of the setting in `mallopt` (malloc.h) and its value. No block is mapped
on its own, and none at the heap's end is given back."""
OTHERS = "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES", "LD_PRELOAD"
"""More of the environment that says how memory is to be had."""


def keep() -> bool:
    """Lets this process, and those that it starts, keep the memory that it frees for itself.

    Returns:
        Whether that was done: not where there is no glibc, nor where the environment has settings of its own.
    """
    if any(name in os.environ for name in (*SETTINGS, *OTHERS)):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # other libraries have none, and Windows no CDLL of this kind
        return False
    done = [mallopt(number, value) for number, value in SETTINGS.values()]
    os.environ.update({name: str(value) for name, (_, value) in SETTINGS.items()})  # a new process reads them
    return all(done)
