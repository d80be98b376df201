"""A resistive cell: each pulse changes its conductance by about one quantum."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from onchip.devices import pulses
from onchip.devices.cell import MemoryCell
from onchip.devices.pulses import Thinning
from onchip.errors import require, unknown_name
from onchip.nn.synapses import Synapse

StuckAt = Literal["initial", "zero", "bound"]


@dataclass(frozen=True)
class ResistiveCell(MemoryCell):
    """A cell that is moved up and down by pulses; `onchip.devices.pulsed` explains its options.

    Here both bounds, `upper` above 0 and `lower` below 0, and the softness at each bound are independent.

    Raises:
        RequestError: an option is out of range.
    """

    counts: ClassVar[bool] = True

    quantum: float = 1e-3
    upper: float = 0.6
    lower: float = -0.6
    asymmetry: float = 0.0
    cycle_spread: float = 0.0
    quantum_spread: float = 0.0
    asymmetry_spread: float = 0.0
    upper_spread: float = 0.0
    lower_spread: float = 0.0
    softness_up: float = 0.0
    softness_down: float = 0.0
    stuck: float = 0.0
    stuck_at: StuckAt = "initial"
    thinning: Thinning = "binomial"

    def __post_init__(self) -> None:
        least = min(self.upper, -self.lower)
        steps = f"a number above 0 that is no larger than the bound, {least}"
        checks = [
            (self.lower < 0 < self.upper, "bounds", f"{self.lower} and {self.upper}", "one on each side of 0"),
            (0 < self.quantum <= least, "quantum", self.quantum, steps),
            (-1.0 <= self.asymmetry <= 1.0, "asymmetry", self.asymmetry, "a number of quanta in [-1, 1]"),
        ]
        for name in ("cycle_spread", "quantum_spread", "asymmetry_spread", "upper_spread", "lower_spread"):
            spread = getattr(self, name)
            checks.append((0.0 <= spread < math.inf, name, spread, "a standard deviation of at least 0"))
        for name in ("softness_up", "softness_down", "stuck"):
            share = getattr(self, name)
            checks.append((0.0 <= share <= 1.0, name, share, "a share in [0, 1]"))
        for valid, name, value, expected in checks:
            require(valid, "a pulsed device", name, value, expected)
        for name, choices in (("stuck_at", get_args(StuckAt)), ("thinning", get_args(Thinning))):
            if getattr(self, name) not in choices:
                raise unknown_name(name, getattr(self, name), choices)

    def draw(self, weight: Tensor) -> dict[str, Tensor]:
        quanta = 1.0 + _spread(weight, self.quantum_spread)
        asymmetry = self.asymmetry + _spread(weight, self.asymmetry_spread)
        cells = {
            "up": (quanta + asymmetry).clamp_min_(0).mul_(self.quantum),
            "down": (quanta - asymmetry).clamp_min_(0).mul_(self.quantum),
            "upper": (1.0 + _spread(weight, self.upper_spread)).clamp_min_(0).mul_(self.upper),
            "lower": (1.0 + _spread(weight, self.lower_spread)).clamp_min_(0).mul_(self.lower),
        }
        if self.stuck:
            cells["stuck"] = torch.rand_like(weight) < self.stuck
        return cells

    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        outside = int(((weight > cells["upper"]) | (weight < cells["lower"])).sum())
        weight.clamp_(cells["lower"], cells["upper"])
        if self.stuck and self.stuck_at != "initial":
            bound = torch.where(torch.rand_like(weight) < 0.5, cells["lower"], cells["upper"])
            weight.copy_(torch.where(cells["stuck"], bound if self.stuck_at == "bound" else 0.0, weight))
        return outside

    def weight_update(self, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> Tensor:
        return pulses.coincidences(synapse, pre, pulses.error_spikes(delta, _spike_value(unit)))

    def bias_update(self, synapse: Synapse, delta: Tensor, unit: float | None) -> Tensor:
        return pulses.bias_coincidences(synapse, pulses.error_spikes(delta, _spike_value(unit)))

    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        drawn = pulses.draw_pulses(update, lr * _spike_value(unit) / self.quantum, self.thinning)
        up, down = drawn[0] * cells["up"], drawn[1] * cells["down"]
        after = self._moved(weight, cells, up, down)
        if self.cycle_spread:
            # The sum of n independent normal deviations is normal, with √n times the standard deviation.
            spread = (up * cells["up"] + down * cells["down"]).sqrt_()
            after += spread.mul_(torch.randn_like(weight)).mul_(self.cycle_spread)
        after = after.clamp_(cells["lower"], cells["upper"])
        weight.copy_(torch.where(cells["stuck"], weight, after) if self.stuck else after)
        return drawn.sum(0).to(torch.int64)

    def _moved(self, weight: Tensor, cells: dict[str, Tensor], up: Tensor, down: Tensor) -> Tensor:
        """Weights after evenly mixed pulses, whose total steps at weight 0 are `up` and `down`."""
        if not self.softness_up and not self.softness_down:
            return weight + (up - down)
        # dw = up (1 - γ w / upper) - down (1 - γ w / lower), solved exactly: steps depend on earlier pulses.
        tiny = 1e-6 * self.quantum  # for cells whose bound is 0
        rate = up * self.softness_up / cells["upper"].clamp_min(tiny)
        rate -= down * self.softness_down / cells["lower"].clamp_max(-tiny)
        reached = torch.where(rate > 0, -torch.expm1(-rate) / rate, 1.0)
        return weight + (up - down - rate * weight) * reached


def _spread(weight: Tensor, deviation: float) -> Tensor:
    """Normal numbers of this standard deviation, one per cell; none are drawn for 0."""
    return torch.randn_like(weight).mul_(deviation) if deviation else torch.zeros_like(weight)


def _spike_value(unit: float | None) -> float:
    assert unit is not None, "Rule refuses an update sink that counts spikes if its errors have none"
    return unit
