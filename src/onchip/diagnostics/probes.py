"""Looks at a run now and then: gradients beside the true ones, activity, feedback. They are kept in its record."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from onchip.diagnostics.activity import activity
from onchip.diagnostics.alignment import alignment
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal
from onchip.runs.record import Probe

DIGITS = 6
"""Significant digits that are kept: no figure shows more."""


class Probes:
    """Looks at evenly spread training steps; what it sees changes no weight and no random number.

    For each layer, by its name: `cosine` and `norm_ratio` to the gradient of backpropagation (`observe.alignment`),
    `gradient_variance`, `feedback_cosine` between W and the B that a rule keeps beside it, and of hidden layers
    `rate`, `passing`, and the shares of `silent`, `dead` and `saturated` neurons (`observe.activity`).

    Looks come at the end of their part of the training, before the feedback is refreshed: just after a copy it
    agrees with backpropagation by construction. A look costs about a step of backpropagation and two forward passes.

    Args:
        times: looks; 0 never looks.
        epochs: of the training.
        steps: training steps an epoch.

    Example:
        >>> sorted(Probes(times=4, epochs=2, steps=10).at)
        [4, 8, 14, 18]
    """

    def __init__(self, times: int, epochs: int, steps: int) -> None:
        total = epochs * steps
        last = [math.ceil(part * total / times) - 1 for part in range(1, times + 1)]
        # The variance needs the next step's gradient too, which after an epoch a resumed run would not have.
        self.at = {step - 1 if (step + 1) % steps == 0 and steps > 1 else step for step in last}
        self._steps = steps
        self._seen: list[Probe] = []
        self._before: dict[str, Tensor] | None = None

    @property
    def seen(self) -> tuple[Probe, ...]:
        """What was seen so far."""
        return tuple(self._seen)

    def look(self, step: int, rule: Rule, model: nn.Module, signal: Signal, loss: Callable[[Tensor], Tensor]) -> None:
        """To be called at every training step, when `rule.backward` has filled the gradients and nothing has used them.

        Args:
            step: training steps before this one.
            rule: what trains the network.
            model: the network.
            signal: the step's batch.
            loss: the network's output -> the loss, a scalar.
        """
        if self._before is not None:
            for name, variance in _variances(self._before, _gradients(rule)):
                self._seen[-1].layers[name]["gradient_variance"] = variance
            self._before = None
        if step not in self.at:
            return
        devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
        with torch.random.fork_rng(devices=list(devices)):
            self._seen.append(Probe(step, _layers(rule, model, signal, loss)))
        if (step + 1) % self._steps:
            self._before = {name: gradient.clone() for name, gradient in _gradients(rule).items()}

    def state(self) -> list[dict[str, Any]]:
        """All that was seen, for a checkpoint at an epoch's end."""
        return [vars(probe) for probe in self._seen]

    def restore(self, state: Iterable[dict[str, Any]]) -> None:
        """Take over what `state` gave."""
        self._seen = [Probe(**probe) for probe in state]


def _layers(
    rule: Rule, model: nn.Module, signal: Signal, loss: Callable[[Tensor], Tensor]
) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {stage.name: {} for stage in rule.layers}
    for name, aligned in alignment(model, signal, loss).items():
        found[name] |= {"cosine": _short(aligned.cosine), "norm_ratio": _short(aligned.norm_ratio)}
    for stage in rule.layers:
        feedback = rule.feedback_weights().get(stage.name)
        if feedback is not None:
            weight, other = stage.weight.detach().flatten().double(), feedback.detach().flatten().double()
            norms = (weight.norm() * other.norm()).item()
            found[stage.name]["feedback_cosine"] = _short((weight @ other).item() / norms) if norms > 0 else None
    for name, active in activity(model, [signal]).items():
        shares = {key: getattr(active, key) / active.units for key in ("silent", "dead", "saturated")}
        values = {"rate": active.rate, "passing": active.passing, **shares}
        found[name] |= {key: _short(value) for key, value in values.items()}
    return found


def _gradients(rule: Rule) -> dict[str, Tensor]:
    parameters = {stage.name: stage.parameter for stage in rule.layers}
    return {name: weight.grad for name, weight in parameters.items() if weight.grad is not None}


def _variances(before: dict[str, Tensor], now: dict[str, Tensor]) -> Iterable[tuple[str, float | None]]:
    """Variance of a weight's gradient between batches, mean over the layer, from those of two steps in a row."""
    for name in before.keys() & now.keys():
        yield name, _short((before[name] - now[name]).double().square().mean().item() / 2)


def _short(value: float | None) -> float | None:
    return float(f"{value:.{DIGITS}g}") if value is not None and math.isfinite(value) else None
