"""Resistive processing units: weights are conductances, changed by pulses where two spikes coincide."""

from typing import Literal

from onchip._types import checked
from onchip.devices.crossbar import Crossbar
from onchip.devices.pulses import CycleScale, Thinning
from onchip.devices.resistive import ResistiveCell, StuckAt
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule


@checked
def pulsed(
    rule: Rule,
    *,
    lr: float,
    quantum: float = 1e-3,
    bound: float = 0.6,
    asymmetry: float = 0.0,
    cycle_spread: float = 0.0,
    cycle_scale: CycleScale = "step",
    quantum_spread: float = 0.0,
    asymmetry_spread: float = 0.0,
    bound_spread: float = 0.0,
    softness: float = 0.0,
    stuck: float = 0.0,
    stuck_at: StuckAt = "initial",
    thinning: Thinning = "binomial",
    lr_scaling: LRScaling = "equal",
    bias: Literal["cells", "digital"] = "cells",
) -> Crossbar:
    """Crossbar cells that pulses move up and down, by unequal steps and within bounds.

        coincidences -> random numbers of pulses n↑, n↓; mean lr · (value of an error spike) / quantum per coincidence
        for each pulse:  w <- clip(w + s↑ (1 - γ w / b↑) (1 + c ξ), b↓, b↑)   or   w - s↓ (1 - γ w / b↓) (1 + c ξ)
        s↑ = quantum (1 + d ξ' + a),   s↓ = quantum (1 + d ξ' - a),   b↑, b↓ = ±bound (1 + ξ'')

    Pulses of both signs are applied, even if they cancel, so that asymmetry changes weights even where the gradient is
    zero. The pulses of one update are evenly mixed; under hard bounds (γ = 0) they are added up before the weight is
    clipped. A negative step size counts as 0.

    Limit: gradient descent with clipped weights as quantum goes to 0, without variation or stuck cells.

    Args:
        rule: Rule whose updates are written; its errors must be spikes.
        lr: Learning rate, at least 0. If lr times the value of an error spike is a whole number of quanta, the number
            of pulses is not random.
        quantum: Mean conductance step Δw of one pulse at weight 0, above 0, in units of the weights.
        bound: Mean of the largest weight, at least one quantum; the smallest is -bound.
        asymmetry: Mean a of the up-down asymmetry over cells, in quanta, in [-1, 1].
        cycle_spread: Cycle-to-cycle variation c: standard deviation of the step from pulse to pulse, as a fraction.
        cycle_scale: What it is a fraction of under soft bounds: the cell's `step` at its present weight, or its
            `quantum`, the step at weight 0.
        quantum_spread: Device-to-device variation d: standard deviation of the quantum from cell to cell, in quanta.
        asymmetry_spread: Standard deviation of a from cell to cell, in quanta.
        bound_spread: Standard deviation of each bound from cell to cell, as a fraction of the bound.
        softness: Fraction γ by which a step towards a bound is smaller at the bound than at 0; 0 for hard bounds, 1 for
            soft bounds.
        stuck: Fraction of cells that do not change, in [0, 1].
        stuck_at: Weight of the stuck cells: their `initial` weight, `zero`, or a random `bound`.
        thinning: How pulses are drawn from coincidences; `binomial` has less noise than `poisson`.
        lr_scaling: How the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: Whether biases are in `cells` whose input is always on, or in exact `digital` memory.

    Raises:
        RequestError: an option is out of range.
        UnsupportedError: the rule's errors are real numbers, or it uses its updates itself.

    Example:
        >>> import torch
        >>> from onchip import nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Stochastic(), nn.Linear(8, 3), nn.MeanReadout())
        >>> rule = rules.ssnn_bp(model)
        >>> device = pulsed(rule, lr=0.1, cycle_spread=0.3)
        >>> rule.backward(rule.forward(torch.ones(8, 2, 4)).softmax(-1)[..., 0].mean())
        >>> device.step()
        >>> device.summary()["cells"]
        67

    Reference: Gokmen and Vlasov 2016 (Front. Neurosci. 10:333); γ after Rasch et al. 2021 (AICAS, linear step).
    """
    cell = ResistiveCell(
        quantum=quantum,
        upper=bound,
        lower=-bound,
        asymmetry_up=asymmetry,
        asymmetry_down=asymmetry,
        cycle_spread=cycle_spread,
        cycle_scale=cycle_scale,
        quantum_spread=quantum_spread,
        asymmetry_spread=asymmetry_spread,
        upper_spread=bound_spread,
        lower_spread=bound_spread,
        softness_up=softness,
        softness_down=softness,
        stuck=stuck,
        stuck_at=stuck_at,
        thinning=thinning,
    )
    return Crossbar(rule, cell, lr=lr, lr_scaling=lr_scaling, bias=bias)
