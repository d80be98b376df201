"""The arithmetic of a chip: traces, errors and weights of few bits."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from onchip._types import checked
from onchip.chips.bits import Bits, bits_of, digest
from onchip.chips.reading import chip as chip_named
from onchip.devices.cell import MemoryCell
from onchip.devices.crossbar import Crossbar
from onchip.errors import require
from onchip.kernels.grid import Rounding, power_of_two, rounded
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.ranks import ALONE, Ranks
from onchip.learning.rule import Rule
from onchip.nn.synapses import Synapse

HEADROOM = 4.0
"""How many times as large as the largest initial weight a weight may become, at least, if no bound is given."""


@checked
def chip(
    rule: Rule,
    profile: str = "loihi",
    *,
    lr: float,
    bound: float | None = None,
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Synapses with the bits of a chip: presynaptic factors and errors as traces, and weights, rounded as it rounds.

        x̂ = round(x),   δ̂ = round(δ),   w <- clip(round(w - lr Σ δ̂ ⊗ x̂), ±bound)

    x is the presynaptic factor of the rule, such as a trace, and δ its error at the drive, of which the chip keeps the
    positive and the negative part. Both have the trace bits, in steps of a power of two by which the largest value so
    far fits. Weights have the weight bits and a sign, in steps of bound / 2^bits. What the profile does not know is
    exact. Updates of a batch are summed before the weight is rounded: with a batch of one sample, a weight is rounded
    once per sample. This is the arithmetic alone: `onchip chips check` says which rules the chip can run.

    Limit: `ideal` as the bits grow.

    Args:
        rule: Rule whose updates are written; its errors may be spikes or real numbers.
        profile: A chip of `onchip chips`, or a path of a chip file, which ends with `.toml`.
        lr: Learning rate, at least 0; it is exact.
        bound: What weights stay below, a power of two; None for, in each layer, the power of two that is at least 4
            times its largest initial weight.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        RequestError: There is no such chip, or an option is out of range.
        UnsupportedError: The rule uses its updates itself, or the chip's synapses are analog.

    Example:
        >>> import torch
        >>> from onchip import nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> rule = rules.dfa(model)
        >>> device = chip(rule, "loihi", lr=0.1, bound=2.0)
        >>> rule.backward(rule.forward((torch.rand(6, 1, 4) < 0.5).float()).square().mean())
        >>> device.step()
        >>> bool((model[0].weight * 2**7 % 1 == 0).all())  # steps of 2 / 2^8
        True

    Reference: Davies et al. 2018 (Loihi, IEEE Micro 38(1)), section on the learning engine, for such formats; the facts
    of each chip with their sources: `onchip chips`.
    """
    found = chip_named(profile)
    cell = ChipCell(bits_of(found), bound, {"name": found.name, "digest": digest(found)})
    return Crossbar(rule, cell, lr=lr, lr_scaling=lr_scaling, bias=bias)


@dataclass(frozen=True)
class ChipCell(MemoryCell):
    """A weight of few bits that is updated by factors of few bits; `chip` explains its options."""

    bits: Bits
    bound: float | None = None
    profile: Mapping[str, str] = field(default_factory=dict)

    ranks: Ranks = ALONE
    stores_feedback: ClassVar[bool] = True
    per_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        valid = self.bound is None or (0.0 < self.bound < math.inf and math.frexp(self.bound)[0] == 0.5)
        require(valid, "chip", "bound", self.bound, "a power of two, such as 2 or 0.5, or none")

    def divide(self, ranks: Ranks) -> MemoryCell:
        return replace(self, ranks=ranks)

    def draw(self, weight: Tensor) -> dict[str, Tensor]:
        """The bound of the weights, and the largest presynaptic factor and error so far; all scalars."""
        bound = weight.new_tensor(self.bound or 0.0)
        if self.bound is None:
            bound = power_of_two(HEADROOM * weight.detach().abs().max())
        return {"bound": bound, "pre": torch.zeros_like(bound), "error": torch.zeros_like(bound)}

    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        outside = int((weight.abs() > cells["bound"]).sum())
        weight.copy_(self._weights(weight, cells, "nearest"))
        return outside

    def weight_update(
        self, synapse: Synapse, cells: dict[str, Tensor], pre: Tensor, delta: Tensor, unit: float | None
    ) -> Tensor:
        return synapse.weight_grad(self._factor(pre, cells["pre"]), self._factor(delta, cells["error"]))

    def bias_update(self, synapse: Synapse, cells: dict[str, Tensor], delta: Tensor, unit: float | None) -> Tensor:
        return synapse.bias_update(self._factor(delta, cells["error"]))

    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        after = self._weights(weight - lr * update, cells, self.bits.rounding)
        changed = after != weight
        weight.copy_(after)
        return changed

    def _weights(self, values: Tensor, cells: dict[str, Tensor], rounding: Rounding) -> Tensor:
        bits = self.bits.weight
        if bits is None:
            return values
        return rounded(values, cells["bound"] / 2**bits, 1 - 2**bits, 2**bits - 1, rounding=rounding)

    def _factor(self, values: Tensor, largest: Tensor) -> Tensor:
        """Values with the bits of a trace and a sign; `largest` becomes the largest value so far."""
        bits = self.bits.trace
        if bits is None or not (values.numel() or self.ranks.size > 1):
            return values
        found = values.abs().max() if values.numel() else torch.zeros_like(largest)
        torch.maximum(largest, self.ranks.largest(found), out=largest)
        states = 2**bits - 1
        return rounded(values, power_of_two(largest / states), -states, states, rounding=self.bits.rounding)
