"""A resistive cell: each pulse changes its conductance by about one quantum."""

import math
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from onchip.devices import pulses
from onchip.devices.cell import MemoryCell
from onchip.devices.pulses import CycleScale, Thinning
from onchip.errors import require, unknown_name
from onchip.nn.synapses import Synapse

StuckAt = Literal["initial", "zero", "bound"]


@dataclass(frozen=True)
class ResistiveCell(MemoryCell):
    """A cell that is moved up and down by pulses; `onchip.devices.pulsed` explains its options.

    Here both bounds, `upper` above 0 and `lower` below 0, the asymmetries of both directions and the softness at each
    bound are independent. Further options, for presets:

    Args:
        softness_spread_up: Standard deviation of the softness towards `upper` from cell to cell.
        softness_spread_down: The same towards `lower`.
        own_bounds: Whether softness refers to the bounds of each cell, or to their means.
        folded: Whether negative draws of steps and bounds count by their size, or as 0.

    Raises:
        RequestError: an option is out of range.
    """

    counts: ClassVar[bool] = True

    quantum: float = 1e-3
    upper: float = 0.6
    lower: float = -0.6
    asymmetry_up: float = 0.0
    asymmetry_down: float = 0.0
    cycle_spread: float = 0.0
    quantum_spread: float = 0.0
    asymmetry_spread: float = 0.0
    upper_spread: float = 0.0
    lower_spread: float = 0.0
    softness_up: float = 0.0
    softness_down: float = 0.0
    softness_spread_up: float = 0.0
    softness_spread_down: float = 0.0
    own_bounds: bool = True
    folded: bool = False
    cycle_scale: CycleScale = "step"
    stuck: float = 0.0
    stuck_at: StuckAt = "initial"
    thinning: Thinning = "binomial"

    def __post_init__(self) -> None:
        least = min(self.upper, -self.lower)
        steps = f"a number above 0 that is no larger than the bound, {least}"
        checks = [
            (self.lower < 0 < self.upper, "bounds", f"{self.lower} and {self.upper}", "one on each side of 0"),
            (0 < self.quantum <= least, "quantum", self.quantum, steps),
            (-1.0 <= self.asymmetry_up <= 1.0, "asymmetry", self.asymmetry_up, "a number of quanta in [-1, 1]"),
            (-1.0 <= self.asymmetry_down <= 1.0, "asymmetry", self.asymmetry_down, "a number of quanta in [-1, 1]"),
        ]
        for name in (field.name for field in fields(self) if "_spread" in field.name):
            spread = getattr(self, name)
            checks.append((0.0 <= spread < math.inf, name, spread, "a standard deviation of at least 0"))
        for name in ("softness_up", "softness_down", "stuck"):
            share = getattr(self, name)
            checks.append((0.0 <= share <= 1.0, name, share, "a share in [0, 1]"))
        for valid, name, value, expected in checks:
            require(valid, "a pulsed device", name, value, expected)
        for name, kind in (("stuck_at", StuckAt), ("thinning", Thinning), ("cycle_scale", CycleScale)):
            choices = get_args(kind)
            if getattr(self, name) not in choices:
                raise unknown_name(name, getattr(self, name), choices)

    def draw(self, weight: Tensor) -> dict[str, Tensor]:
        quanta, asymmetry = 1.0 + _spread(weight, self.quantum_spread), _spread(weight, self.asymmetry_spread)
        cells = {
            "up": self._positive(quanta + (self.asymmetry_up + asymmetry)).mul_(self.quantum),
            "down": self._positive(quanta - (self.asymmetry_down + asymmetry)).mul_(self.quantum),
            "upper": self._positive(1.0 + _spread(weight, self.upper_spread)).mul_(self.upper),
            "lower": self._positive(1.0 + _spread(weight, self.lower_spread)).mul_(self.lower),
        }
        if self.stuck:
            cells["stuck"] = torch.rand_like(weight) < self.stuck
        softness = self.softness_up, self.softness_spread_up, self.softness_down, self.softness_spread_down
        if any(softness):
            upper = cells["upper"] if self.own_bounds else torch.full_like(weight, self.upper)
            lower = cells["lower"] if self.own_bounds else torch.full_like(weight, self.lower)
            cells["slope_up"] = _slope(upper, *softness[:2])
            cells["slope_down"] = _slope(lower, *softness[2:])
        return cells

    def _positive(self, drawn: Tensor) -> Tensor:
        return drawn.abs_() if self.folded else drawn.clamp_min_(0)

    def program(self, weight: Tensor, cells: dict[str, Tensor]) -> int:
        outside = int(((weight > cells["upper"]) | (weight < cells["lower"])).sum())
        weight.clamp_(cells["lower"], cells["upper"])
        if self.stuck and self.stuck_at != "initial":
            bound = torch.where(torch.rand_like(weight) < 0.5, cells["lower"], cells["upper"])
            weight.copy_(torch.where(cells["stuck"], bound if self.stuck_at == "bound" else 0.0, weight))
        return outside

    def weight_update(
        self, synapse: Synapse, cells: dict[str, Tensor], pre: Tensor, delta: Tensor, unit: float | None
    ) -> Tensor:
        return pulses.coincidences(synapse, pre, pulses.error_spikes(delta, _spike_value(unit)))

    def bias_update(self, synapse: Synapse, cells: dict[str, Tensor], delta: Tensor, unit: float | None) -> Tensor:
        return pulses.bias_coincidences(synapse, pulses.error_spikes(delta, _spike_value(unit)))

    def write(self, weight: Tensor, cells: dict[str, Tensor], update: Tensor, lr: float, unit: float | None) -> Tensor:
        drawn = pulses.draw_pulses(update, lr * _spike_value(unit) / self.quantum, self.thinning)
        after = self._in_turn(weight, cells, drawn) if "slope_up" in cells else self._at_once(weight, cells, drawn)
        weight.copy_(torch.where(cells["stuck"], weight, after) if self.stuck else after)
        return drawn.sum(0).to(torch.int64)

    def _in_turn(self, weight: Tensor, cells: dict[str, Tensor], drawn: Tensor) -> Tensor:
        """Weights after these pulses up and down, (2, ...), applied one by one where steps depend on the weight."""
        return pulses.apply_in_turn(weight, cells, drawn, self.cycle_spread, self.cycle_scale)

    def _at_once(self, weight: Tensor, cells: dict[str, Tensor], drawn: Tensor) -> Tensor:
        """The same for steps that do not depend on the weight, so that only their sum counts."""
        up, down = drawn[0] * cells["up"], drawn[1] * cells["down"]
        after = weight + (up - down)
        if self.cycle_spread:
            # The sum of n independent normal deviations is normal, with √n times the standard deviation.
            spread = (up * cells["up"] + down * cells["down"]).sqrt_()
            after += spread.mul_(torch.randn_like(weight)).mul_(self.cycle_spread)
        return after.clamp_(cells["lower"], cells["upper"])


def _spread(weight: Tensor, deviation: float) -> Tensor:
    """Normal numbers of this standard deviation, one per cell; none are drawn for 0."""
    return torch.randn_like(weight).mul_(deviation) if deviation else torch.zeros_like(weight)


def _slope(bound: Tensor, softness: float, spread: float) -> Tensor:
    """Relative change of a step per unit of the weight, softness / bound; 0 for cells whose bound is 0."""
    share = (softness + _spread(bound, spread)).abs() if spread else torch.full_like(bound, softness)
    return torch.where(bound == 0, 0.0, share / bound)


def _spike_value(unit: float | None) -> float:
    assert unit is not None, "Rule refuses an update sink that counts spikes if its errors have none"
    return unit
