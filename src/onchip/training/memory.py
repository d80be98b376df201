"""A device with too little memory: which error says so, and which batch would have fitted."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from onchip.errors import MemoryLimitError

__all__ = ["enough", "first_line", "fitting", "ran_out", "release"]


SAYINGS = "DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"
"""Of errors that torch gives no type of their own."""


def ran_out(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on a CPU."""
    typed = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return typed or any(saying in str(error) for saying in SAYINGS)


@contextmanager
def enough(what: str, device: str) -> Iterator[None]:
    """Says what did not fit into a device's memory, in place of torch's own error.

    Raises:
        MemoryLimitError: memory ran out in the block.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise MemoryLimitError(
            f"{what} does not fit into the memory of {device!r}: {first_line(error)}. Free some, or take another device"
        ) from error


def fitting(tried: int, step: Callable[[int], None]) -> int | None:
    """The largest half, quarter, eighth, ... of a batch with which a step has the memory it needs, found by trying.

    Args:
        tried: samples that are too many.
        step: takes a training step with so many samples, and keeps nothing.

    Returns:
        Samples, or None if not even one fits.
    """
    while tried > 1:
        tried //= 2
        release()
        try:
            step(tried)
            return tried
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
    return None


def release() -> None:
    """Gives back what nobody holds any more, so that others find it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def first_line(error: BaseException) -> str:
    """The first sentence of what torch says of it, without the place in its own source that some begin with."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[enforce fail .*?\. ", "", line).split(". ")[0].rstrip(".")
