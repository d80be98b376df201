"""Resistive processing units: weights are conductances, and two spikes that meet move them."""

from __future__ import annotations

from typing import Literal

from onchip.devices.crossbar import Crossbar
from onchip.devices.pulses import Thinning
from onchip.devices.resistive import Resistive, StuckAt
from onchip.learning.lr_scaling import LRScaling
from onchip.learning.rule import Rule

__all__ = ["pulsed"]


def pulsed(
    rule: Rule,
    *,
    lr: float,
    quantum: float = 1e-3,
    bound: float = 0.6,
    asymmetry: float = 0.0,
    cycle_spread: float = 0.0,
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
    """Cells of a crossbar that pulses move up and down, neither equally nor for ever.

        coincidences -> pulses n↑, n↓ by chance, lr · (worth of an error spike) / quantum each in the mean
        w <- clip(w + Σ↑ s↑ (1 - γ w / b↑) - Σ↓ s↓ (1 - γ w / b↓) + c √(n↑ s↑² + n↓ s↓²) ξ, b↓, b↑)
        s↑ = quantum (1 + d ξ' + a),   s↓ = quantum (1 + d ξ' - a),   b↑, b↓ = ±bound (1 + ξ'')

    Pulses of both signs act, those that would cancel too, so that asymmetry drives weights away even where the
    gradient is zero. The pulses of a step are taken as evenly mixed. A step of negative size is none.

    Limit: gradient descent with clipped weights as quantum goes to 0, without faults.

    Args:
        rule: whose updates they take; its errors must be spikes.
        lr: learning rate. One that makes lr times the worth of an error spike a whole number of quanta needs no chance.
        quantum: what a pulse changes at weight 0, above 0.
        bound: largest weight, at least a quantum.
        asymmetry: a, in [-1, 1]; in the mean over cells.
        cycle_spread: c, standard deviation from pulse to pulse, in quanta.
        quantum_spread: d, from cell to cell, of the quantum, in quanta.
        asymmetry_spread: from cell to cell, of a.
        bound_spread: from cell to cell, of each bound by itself, as a share of it.
        softness: γ, by how much a pulse towards a bound is smaller there than at 0: 0 for hard bounds, 1 for soft.
        stuck: share of cells that no pulse moves.
        stuck_at: where they are: at their `initial` weight, at `zero`, or at a `bound`, either by chance.
        thinning: how coincidences become pulses; `binomial` is the less noisy.
        lr_scaling: how the learning rate is shared among layers; see `onchip.learning.lr_scaling`.
        bias: whether biases lie in `cells` whose input is always on, or in `digital` memory, which is exact.

    Raises:
        RequestError: a number out of range.
        UnsupportedError: a rule whose errors are real numbers, or one that needs its updates for itself.

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
    cell = Resistive(
        quantum=quantum,
        upper=bound,
        lower=-bound,
        asymmetry=asymmetry,
        cycle_spread=cycle_spread,
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
