"""Leaky neurons as loops over time that plain autograd follows; nothing of ours but the constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from onchip import nn
from onchip.nn.neurons.leaky import Leaky
from onchip.surrogate import Sigmoid, Surrogate
from tests.oracle import Spike

__all__ = ["DECAYS", "KINDS", "SPIKING", "build", "decays_of", "written_out"]

KINDS: dict[str, Callable[..., Leaky]] = {"lif": nn.LIF, "alif": nn.ALIF, "cuba": nn.CubaLIF, "li": nn.LI}
SPIKING = [kind for kind in KINDS if kind != "li"]
"""Those that fire."""

DECAYS = {"lif": ["decay"], "alif": ["decay", "adaptation_decay"], "cuba": ["decay", "current_decay"], "li": ["decay"]}
"""The decays of each kind."""


def decays_of(kind: str, shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Random decays from 0.3 to 0.9, of the layer where the shape is ()."""
    return {name: 0.3 + 0.6 * torch.rand(shape, dtype=torch.float64) for name in DECAYS[kind]}


def build(kind: str, decays: dict[str, Tensor], **options: Any) -> Leaky:
    """The neurons in double precision, whose constants are rounded to none."""
    torch.set_default_dtype(torch.float64)
    try:
        return KINDS[kind](**decays, **options)
    finally:
        torch.set_default_dtype(torch.float32)


def written_out(
    kind: str,
    drive: Tensor,
    decays: dict[str, Tensor],
    *,
    threshold: float = 1.0,
    reset: str = "soft",
    surrogate: Surrogate = Sigmoid(),
    detach_reset: bool = False,
    adaptation: float = 0.2,
    recurrent: Tensor | None = None,
) -> Tensor:
    """Activity (T, B, features...) for a drive of that shape, and for `recurrent` weights from the step before."""
    v = a = i = torch.zeros_like(drive[0])
    sent: list[Tensor] = []
    for current in drive:
        if recurrent is not None and sent:
            current = current + sent[-1] @ recurrent.T
        if kind == "cuba":
            i = decays["current_decay"] * i + current
            current = i
        u = decays["decay"] * v + current
        if kind == "li":
            v = u
            sent.append(u)
            continue
        level = threshold + adaptation * a if kind == "alif" else threshold
        s: Tensor = Spike.apply(u - level, surrogate)
        r = s.detach() if detach_reset else s
        v = u - threshold * r if reset == "soft" else u * (1 - r)
        if kind == "alif":
            a = decays["adaptation_decay"] * a + s
        sent.append(s)
    return torch.stack(sent)
