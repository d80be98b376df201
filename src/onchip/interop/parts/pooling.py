"""Pools of averages and of sums."""

from typing import Any, ClassVar

import numpy as np
import torch

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Found, Shape, Shapes, WeightlessReader, WeightlessWriter, Written

Pair = tuple[int, int]


class PoolConverter(WeightlessWriter, WeightlessReader):
    """`AvgPool2d` to and from AvgPool2d; with `divisor_override=1` it is SumPool2d."""

    layers: ClassVar[tuple[type, ...]] = (torch.nn.AvgPool2d,)
    nodes: ClassVar[tuple[str, ...]] = ("AvgPool2d", "SumPool2d")

    def write(self, module: torch.nn.AvgPool2d, shapes: Shapes, conventions: Conventions) -> Written:
        kernel, stride, padding = _pair(module.kernel_size), _pair(module.stride), _pair(module.padding)
        sums = module.divisor_override == 1
        refused = ""
        if module.divisor_override is not None and not sums:
            refused = f"NIR has no pool that divides by {module.divisor_override}"
        if any(padding) and not module.count_include_pad and not sums:
            refused = "NIR's averages count the padding; build the pool with count_include_pad=True"
        plain = torch.nn.AvgPool2d(kernel, stride, padding)(torch.zeros(1, *shapes[0], device="meta"))
        if module.ceil_mode and tuple(plain.shape[1:]) != shapes[1]:
            refused = "NIR has no pool over ragged borders (ceil_mode=True)"
        geometry = kernel, stride, padding
        return pool("SumPool2d" if sums else "AvgPool2d", geometry, shapes[0], conventions, refused)

    def read(self, found: Found, shape: Shape, conventions: Conventions) -> torch.nn.Module:
        if found.kind == "Conv2d":
            return _average(found, shape)
        kernel, stride, padding = (_whole(found, name) for name in ("kernel_size", "stride", "padding"))
        halves = any(2 * p > k for p, k in zip(padding, kernel, strict=True))
        if min(*kernel, *stride) < 1 or min(padding) < 0 or halves:
            raise UnsupportedError(
                f"{found.kind} {found.name!r} has kernel_size {kernel}, stride {stride}, padding {padding}; expected "
                "a kernel and a stride from 1, and padding of at most half of the kernel"
            )
        if found.kind == "SumPool2d":
            return torch.nn.AvgPool2d(kernel, stride, padding, divisor_override=1)
        return _pool(kernel, stride, padding)


class AdaptivePoolConverter(WeightlessWriter):
    """`AdaptiveAvgPool2d`, which for maps of one size is a plain pool if its windows are disjoint."""

    layers: ClassVar[tuple[type, ...]] = (torch.nn.AdaptiveAvgPool2d,)

    def write(self, module: torch.nn.AdaptiveAvgPool2d, shapes: Shapes, conventions: Conventions) -> Written:
        before, after = shapes[0][1:], shapes[1][1:]
        ragged = any(i % o for i, o in zip(before, after, strict=True))
        windows = tuple(i // o for i, o in zip(before, after, strict=True))
        refused = f"windows of {before} on {after} overlap, which NIR's pools do not" if ragged else ""
        size: Pair = (windows[0], windows[1])
        return pool("AvgPool2d", (size, size, (0, 0)), shapes[0], conventions, refused)


def pool(kind: str, geometry: tuple[Pair, Pair, Pair], shape: Shape, conventions: Conventions, refused: str) -> Written:
    """The node of a pool of some kernel, stride and padding, for an input of a shape."""
    reader = conventions.reader
    if kind == "SumPool2d" and any(geometry[2]) and not reader.pads_sums:
        refused = refused or f"{reader.name} {reader.version} ignores the padding of sums"
    if kind == "AvgPool2d" and reader.averages == "convolution" and not refused:
        return _convolution(geometry, shape)
    fields = {name: np.array(pair) for name, pair in zip(("kernel_size", "stride", "padding"), geometry, strict=True)}
    return Written(kind, fields, "unsupported" if refused else "faithful", refused)


def _convolution(geometry: tuple[Pair, Pair, Pair], shape: Shape) -> Written:
    """A convolution that computes averages, for readers without average pools."""
    kernel, stride, padding = geometry
    fields = {
        "input_shape": np.array(shape[1:]),
        "weight": _averaging(shape[0], kernel),
        "stride": np.array(stride),
        "padding": np.array(padding),
        "dilation": np.array((1, 1)),
        "groups": 1,
        "bias": np.zeros(shape[0], np.float32),
    }
    reason = "written as a convolution, because the reader leaves average pools out"
    typed = kernel[0] == kernel[1]
    return Written("Conv2d", fields, reason=reason, memory={"stands_for": "AvgPool2d"}, typed=typed)


def _average(found: Found, shape: Shape) -> torch.nn.Module:
    """The pool that a convolution stands for."""
    weight, (stride, padding) = found.numbers("weight"), (_whole(found, name) for name in ("stride", "padding"))
    kernel = weight.shape[2:]
    if weight.ndim != 4 or not np.array_equal(weight, _averaging(len(weight), (kernel[0], kernel[1]))):
        raise UnsupportedError(f"Conv2d {found.name!r} stands for an average pool, and does not compute averages")
    return _pool((kernel[0], kernel[1]), stride, padding)


def _averaging(maps: int, kernel: Pair) -> Any:
    """Weights (maps, maps, kernel height, kernel width) of averages within each map."""
    same = np.eye(maps, dtype=np.float32)[:, :, None, None]
    return np.broadcast_to(same / np.float32(kernel[0] * kernel[1]), (maps, maps, *kernel)).copy()


def _pool(kernel: Pair, stride: Pair, padding: Pair) -> torch.nn.Module:
    """An average pool, in its shortest form."""
    plain = kernel[0] == kernel[1] and kernel == stride and not any(padding)
    return torch.nn.AvgPool2d(kernel[0]) if plain else torch.nn.AvgPool2d(kernel, stride, padding)


def _pair(size: Any) -> Pair:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _whole(found: Found, name: str) -> Pair:
    values = found.numbers(name).reshape(-1)
    if values.size not in (1, 2) or (values != np.round(values)).any() or values.max() > 2**31 - 1:
        raise UnsupportedError(
            f"{found.kind} {found.name!r} has {name} of {values[:4].tolist()}; expected whole numbers"
        )
    both = np.broadcast_to(values, 2)
    return int(both[0]), int(both[1])
