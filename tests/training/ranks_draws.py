"""Random numbers that several processes share by construction: those of a whole batch, of which each takes its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from onchip.learning.noise import Gaussian, Rademacher

aten = torch.ops.aten
IN_PLACE = {getattr(aten, how).default: how for how in ("uniform_", "exponential_", "normal_")}
NEW = {aten.rand.default: "uniform_", aten.rand.generator: "uniform_", aten.randn.default: "normal_"}
LIKE = {aten.rand_like.default: "uniform_", aten.randn_like.default: "normal_"}


class SameDraws(TorchDispatchMode):
    """Each draw has a generator of its own, seeded by what was drawn before it: whole batches, of which a part stays.

    Args:
        steps: T.
        whole: Samples in the batch of all processes.
        own: Those of this process.
        seed: Of all draws.
    """

    def __init__(self, steps: int, whole: int, own: slice, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps, self._whole, self._own, self._seed = steps, whole, own, seed
        self._drawn = {"samples": 0, "shared": 0}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in IN_PLACE:
            return args[0].copy_(self._draw(args[0].shape, IN_PLACE[func], args[0].dtype, args[1:]))
        if func in LIKE:
            return self._draw(args[0].shape, LIKE[func], args[0].dtype)
        if func in NEW:
            return self._draw(torch.Size(args[0]), NEW[func], kwargs.get("dtype") or torch.get_default_dtype())
        if func is aten.randperm.default:
            return torch.randperm(args[0], generator=self._generator("shared"))
        return func(*args, **kwargs)

    def _draw(self, shape: torch.Size, how: str, dtype: torch.dtype, options: Any = ()) -> Tensor:
        local, steps = self._own.stop - self._own.start, self._steps
        if shape[:2] == (steps, local):
            return self._filled((steps, self._whole, *shape[2:]), how, dtype, options)[:, self._own]
        if shape[:1] == (local,):
            return self._filled((self._whole, *shape[1:]), how, dtype, options)[self._own]
        if shape[:1] == (steps * local,):
            whole = self._filled((steps, self._whole, *shape[1:]), how, dtype, options)
            return whole[:, self._own].flatten(0, 1)
        filled: Tensor = getattr(torch.empty(shape, dtype=dtype), how)(*options, generator=self._generator("shared"))
        return filled

    def _filled(self, shape: tuple[int, ...], how: str, dtype: torch.dtype, options: Any) -> Tensor:
        filled: Tensor = getattr(torch.empty(shape, dtype=dtype), how)(*options, generator=self._generator("samples"))
        return filled

    def _generator(self, what: str) -> torch.Generator:
        self._drawn[what] += 1
        return torch.Generator().manual_seed(1_000_000 * self._seed + 1000 * len(what) + self._drawn[what])


def draw_by_shape() -> None:
    """Makes noise be drawn in the activity's shape, from which the samples can be told; in this process, for good."""

    def signs(_: Rademacher, like: Tensor) -> Tensor:
        return torch.rand(like.shape, dtype=like.dtype).sub_(0.5).sign_()

    def normal(_: Gaussian, like: Tensor) -> Tensor:
        return torch.randn(like.shape, dtype=like.dtype)

    Rademacher.__call__ = signs  # type: ignore[method-assign, assignment]
    Gaussian.__call__ = normal  # type: ignore[method-assign, assignment]
