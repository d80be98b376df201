"""Large buffers that are reused: each training step needs the same ones.

Linux's allocator returns blocks above 32 MiB to the system as soon as they are free, and a fresh one costs a page
fault per page. On the machine of docs/speed.md that took twice as long as the scan that filled it.
"""

import ctypes
import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from onchip.kernels.tracing import traced

LARGE = 32 * 2**20
"""Bytes from which glibc asks the system for memory of its own (DEFAULT_MMAP_THRESHOLD_MAX)."""

_free: list[Tensor] = []
_before_new: Callable[[], None] | None = None


def empty(shape: tuple[int, ...], strides: tuple[int, ...], like: Tensor) -> Tensor:
    """A tensor without values, dense in the order of its strides, of a tensor's type and device.

    A large one on a CPU takes the memory of one that is gone, if there was one of its size.
    """
    size = math.prod(shape) * like.element_size()
    if size < LARGE or _before_new is not None or like.device.type != "cpu" or traced():
        if _before_new is not None:
            _before_new()
        return torch.empty_strided(shape, strides, dtype=like.dtype, device=like.device)
    # The tensor keeps the loan alive; when both are gone, the memory is free again.
    memory = _taken(size)
    loan = (ctypes.c_char * size).from_address(memory.data_ptr())
    weakref.finalize(loan, _free.append, memory).atexit = False
    return torch.frombuffer(loan, dtype=like.dtype).as_strided(shape, strides)


def empty_like(like: Tensor) -> Tensor:
    """As torch's, by `empty`."""
    plan = torch.empty_like(like, device="meta")
    return empty(tuple(plan.shape), plan.stride(), like)


@contextmanager
def unshared(before_new: Callable[[], None]) -> Iterator[None]:
    """New memory for each buffer in a block, however large it is, and a call before it is allocated."""
    global _before_new
    before, _before_new = _before_new, before_new
    try:
        yield
    finally:
        _before_new = before


def release() -> None:
    """Returns all free buffers to the system."""
    _free.clear()


def _taken(size: int) -> Tensor:
    for index, memory in enumerate(_free):
        if memory.numel() == size:
            return _free.pop(index)
    # Nothing fits: the free buffers belong to another network or batch, and would only take up memory.
    release()
    return torch.empty(size, dtype=torch.uint8)
