"""A device with too little memory: how its error is recognized, and which batch would have fitted."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from onchip.errors import MemoryLimitError

MESSAGES = "DefaultCPUAllocator", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"
"""Parts of the messages of errors for which torch has no type."""


def ran_out(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on a GPU or on a CPU."""
    typed = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return typed or any(message in str(error) for message in MESSAGES)


@contextmanager
def enough(what: str, device: str) -> Iterator[None]:
    """Replace torch's error by one that names what did not fit into a device's memory.

    Raises:
        MemoryLimitError: Memory ran out in the block.
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
    """The largest half, quarter, eighth, ... of a batch with which a step fits into memory, determined by trial.

    Args:
        tried: A number of samples that does not fit.
        step: Takes a training step with that many samples, and keeps no memory.

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
    """Free memory that is no longer referenced."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def first_line(error: BaseException) -> str:
    """The first sentence of torch's message, without the place in its source with which some begin."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return re.sub(r"^\[enforce fail .*?\. ", "", line).split(". ")[0].rstrip(".")
