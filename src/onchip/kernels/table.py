"""What compiled code can do, and the numbers that Python shares with it: the one table of both.

The C compiler gets the numbers as macros (`MACROS`), Triton's kernels import them. A surrogate derivative that is to
be compiled has a line in `Formula`, one in `_FORMULAS`, and its formula in kernels/neuron.h and
kernels/fused/surrogates.py; tests/kernels/test_table.py runs all exported ones on all kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle


class Formula(IntEnum):
    """Surrogate derivatives that compiled code has."""

    SIGMOID = 0
    ATAN = 1
    FAST_SIGMOID = 2
    TRIANGLE = 3
    RECTANGLE = 4


class Past(IntEnum):
    """How errors reach earlier steps: through which reset, or not at all."""

    RESET_SOFT = 0
    RESET_HARD = 1
    DETACHED_SOFT = 2
    DETACHED_HARD = 3
    NO_PAST = 4

    @classmethod
    def through(cls, *, hard: bool, detached: bool) -> Past:
        """Through time, with a hard or soft reset that is part of the derivative or detached from it."""
        return _THROUGH_TIME[hard + 2 * detached]


_THROUGH_TIME = Past.RESET_SOFT, Past.RESET_HARD, Past.DETACHED_SOFT, Past.DETACHED_HARD

CompiledSurrogate = tuple[int, float, float]
"""A number of `Formula`, and the two constants that the formula takes, called `first` and `second` there."""

_FORMULAS: dict[type[Surrogate], tuple[Formula, Callable[[Any], tuple[float, float]]]] = {
    Sigmoid: (Formula.SIGMOID, lambda psi: (psi.slope, 1.0)),
    ATan: (Formula.ATAN, lambda psi: (math.pi * psi.alpha / 2, psi.alpha / 2)),
    FastSigmoid: (Formula.FAST_SIGMOID, lambda psi: (psi.slope, 1.0)),
    Triangle: (Formula.TRIANGLE, lambda psi: (-1 / psi.width, 1 / psi.width)),
    Rectangle: (Formula.RECTANGLE, lambda psi: (psi.width / 2, 1 / psi.width)),
}


def compiled(surrogate: Surrogate) -> CompiledSurrogate | None:
    """What compiled code needs of a surrogate; None for those that only torch computes."""
    entry = _FORMULAS.get(type(surrogate))
    if entry is None:
        return None
    first, second = entry[1](surrogate)
    return entry[0], float(first), float(second)


@dataclass(frozen=True)
class Abilities:
    """What the scans of one kind of kernels take.

    Args:
        device: type of the device that they run on.
        dtypes: of the tensors.
        widest_pool: side of the largest average pool that is taken with the spikes.
        static_steps: most time steps T of neurons under a static drive, whose potentials are computed twice.
        largest_step: most numbers in one time step.
    """

    device: str
    dtypes: tuple[torch.dtype, ...]
    widest_pool: float
    static_steps: int
    largest_step: float

    def take(self, series: Tensor, pool: int | None = None) -> bool:
        """Whether they take a series (T, B, features...) of this type and size, with a pool of its spikes."""
        return (
            series.dtype in self.dtypes
            and (pool or 1) <= self.widest_pool
            and series.numel() <= self.largest_step * len(series)
        )


NATIVE = Abilities(
    "cpu", (torch.float32, torch.bfloat16), widest_pool=math.inf, static_steps=256, largest_step=math.inf
)
"""C code, with room for the potentials of `static_steps` steps on the stack. Only some scans take bfloat16."""

TRITON = Abilities(
    "cuda", (torch.float32, torch.bfloat16, torch.float16), widest_pool=8, static_steps=16, largest_step=2**30
)
"""Triton code. The p² membranes of a pooled cell are in registers at once, and so are the potentials of all static
steps; positions within a step are numbers of 32 bits, with room for the last block."""

SPARSE_DEPTH, SPARSE_WIDTH = 100, 64
"""Rows and columns of the dense matrix that are in the nearest cache at a time in a sparse product."""
WORDS_AT_ONCE = 4
"""Words of packed spikes that are read at once; rows of words are padded to a multiple of this."""

MACROS = {
    **{number.name: int(number) for number in (*Formula, *Past)},
    "STATIC_STEPS": NATIVE.static_steps,
    "SPARSE_DEPTH": SPARSE_DEPTH,
    "SPARSE_WIDTH": SPARSE_WIDTH,
    "WORDS_AT_ONCE": WORDS_AT_ONCE,
}
"""Numbers that the C sources get from the compiler's command line."""
