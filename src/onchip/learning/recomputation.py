"""Recomputation: a layer stores its input alone, and computes all else again when its error has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.nn.signals import Signal, Static, tensor_of

SCALES = 1, 4, 16
"""Parts of a spike in which average pools of squares of side 1, 2 and 4 count."""


class Kept:
    """A layer's input, and the state of the random numbers that its forward pass draws.

    Args:
        signal: The input, (T, B, features...) or `Static`.
        packed: Whether spikes are stored as bits, and counts as bytes; else the tensor itself is.
        draws: Whether the layer's neurons draw random numbers in training.
    """

    def __init__(self, signal: Signal, *, packed: bool, draws: bool) -> None:
        tensor = tensor_of(signal)
        self.scalars = tensor.numel()
        self._steps = signal.steps if isinstance(signal, Static) else None
        self._unpack: Callable[[], Tensor] = pack(tensor) if packed else lambda: tensor
        self._device = tensor.device
        self._random = self._state() if draws else None

    @contextmanager
    def again(self) -> Iterator[Signal]:
        """The input, in a block in which the same random numbers are drawn as then; draws after it go on as before."""
        tensor = self._unpack()
        signal = tensor if self._steps is None else Static(tensor, self._steps)
        if self._random is None:
            yield signal
            return
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):
            torch.set_rng_state(self._random[0])
            if len(self._random) > 1:
                torch.cuda.set_rng_state(self._random[1], self._device)
            yield signal

    def _state(self) -> tuple[Tensor, ...]:
        cuda = [torch.cuda.get_rng_state(self._device)] if self._device.type == "cuda" else []
        return (torch.get_rng_state(), *cuda)


def pack(tensor: Tensor) -> Callable[[], Tensor]:
    """Stores a tensor (T, ...) in as few bits as hold its values, and returns what makes the same tensor of them.

    Zeros and ones, as spikes are, take a bit; sums and averages of a few spikes a byte; all else stays as it is.
    """
    bits = _Bits.of(tensor)
    if bits is not None:
        return bits
    for scale in SCALES:
        octets = _Bytes.of(tensor, scale)
        if octets is not None:
            return octets
    return lambda: tensor


@dataclass(frozen=True)
class _Plan:
    """Shape, memory order and type of a tensor."""

    shape: torch.Size
    strides: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor: Tensor) -> _Plan:
        plan = torch.empty_like(tensor, device="meta")  # dense
        return cls(plan.shape, plan.stride(), tensor.dtype, tensor.device)

    def empty(self) -> Tensor:
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device=self.device)


@dataclass(frozen=True)
class _Bits:
    """Zeros and ones, eight time steps in a byte."""

    plan: _Plan
    parts: list[Tensor]

    @classmethod
    def of(cls, tensor: Tensor) -> _Bits | None:
        words: list[Tensor] = []
        for t, step in enumerate(tensor):
            ones = step.ne(0)
            if not torch.equal(ones.to(step.dtype), step):
                return None
            if t % 8 == 0:
                words.append(ones.to(torch.uint8))
            else:
                words[-1].add_(ones.view(torch.uint8), alpha=1 << t % 8)
        return cls(_Plan.of(tensor), words)

    def __call__(self) -> Tensor:
        tensor = self.plan.empty()
        for t, step in enumerate(tensor):
            step.copy_(self.parts[t // 8].bitwise_and(1 << t % 8).ne(0))
        return tensor


@dataclass(frozen=True)
class _Bytes:
    """Multiples of 1 / scale, of 255 at most."""

    plan: _Plan
    parts: list[Tensor]
    scale: int

    @classmethod
    def of(cls, tensor: Tensor, scale: int) -> _Bytes | None:
        octets: list[Tensor] = []
        for step in tensor:
            counts = step * scale
            octets.append(counts.clamp(0, 255).to(torch.uint8))
            if not torch.equal(octets[-1].to(step.dtype), counts):
                return None
        return cls(_Plan.of(tensor), octets, scale)

    def __call__(self) -> Tensor:
        tensor = self.plan.empty()
        for step, counts in zip(tensor, self.parts, strict=True):
            step.copy_(counts)
        return tensor.div_(self.scale)
