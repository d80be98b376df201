"""Small networks of every kind, with inputs that keep them awake."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip import nn, rules
from onchip.errors import UnsupportedError
from onchip.learning.rule import Rule
from onchip.nn.spike_train import BernoulliTrain

__all__ = [
    "CASES",
    "Case",
    "agree",
    "gradients",
    "learn",
    "loss_of",
    "pairs",
    "scaled",
    "some_pairs",
    "spikes",
    "targets_of",
    "times",
    "whole",
]


def spikes(*shape: int) -> Tensor:
    """A spike train (T, B, features...) with spikes in half of all steps."""
    return (torch.rand(*shape) < 0.5).float()


def times(*shape: int) -> Tensor:
    """Spike times (B, features...) of which a quarter never come."""
    drawn = torch.rand(*shape)
    return torch.where(torch.rand(*shape) < 0.25, torch.inf, drawn)


def scaled(model: nn.Sequential, factor: float) -> nn.Sequential:
    """The network with larger, more excitatory weights: torch's own leave deep spiking layers silent."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(factor).add_(0.3 * parameter.std())
    return model


def loss_of(output: Tensor) -> Tensor:
    """A loss whose error differs from one step, sample and class to the next."""
    slope = torch.linspace(-1.0, 1.0, output.numel(), dtype=output.dtype, device=output.device).view_as(output)
    return (output * slope).sum() + output.square().mean()


def whole(rule: Rule, loss: Callable[[Tensor], Tensor] = loss_of) -> Tensor:
    """A loss of all that a forward pass put out: more than its output, where layers have read-outs."""
    return torch.stack([loss(output) for output in rule.outputs]).sum()


def targets_of(output: Tensor) -> Tensor:
    """A label for each sample of an output (T, B, classes) or (B, classes)."""
    return torch.arange(output.shape[-2], device=output.device) % output.shape[-1]


def learn(rule: Rule, loss: Callable[[Tensor], Tensor] = loss_of, *, share: float = 1.0) -> None:
    """The backward pass of any rule, with a loss of all outputs, and labels for rules that project targets."""
    rule.backward(whole(rule, loss), targets=targets_of(rule.outputs[0]), share=share)


def gradients(model: torch.nn.Module) -> dict[str, Tensor]:
    """A copy of every gradient, by parameter name."""
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def agree(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-10) -> None:
    """Asserts that gradients are equal but for rounding in double precision."""
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


@dataclass(frozen=True)
class Case:
    """A network and an input for it; both come from torch's global generator."""

    name: str
    build: Callable[[], nn.Sequential]
    signal: Callable[[], Tensor]

    @property
    def parts(self) -> frozenset[str]:
        """Its kind of neurons, its kind of synapses, and whether it is recurrent, as its name says."""
        return frozenset(self.name.split("-"))


def _lif_linear() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(learn_decay=True), nn.Linear(8, 7), nn.IF(), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 3.0)


def _lif_conv() -> nn.Sequential:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.LIF(), nn.AvgPool2d(2)]
    second = [nn.Conv2d(4, 5, 3), nn.LIF(reset="hard", detach_reset=True, threshold=0.5), nn.MaxPool2d(2)]
    return scaled(nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(5, 3)), 3.0)


def _lif_recurrent() -> nn.Sequential:
    first = [nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF())]
    second = [nn.Linear(8, 7), nn.Recurrent(nn.Linear(7, 7), nn.LIF(reset="hard", learn_decay=True))]
    return scaled(nn.Sequential(*first, *second, nn.Linear(7, 3)), 2.0)


def _lif_recurrent_conv() -> nn.Sequential:
    recurrent = nn.Recurrent(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.LIF())
    layers = [nn.Conv2d(2, 4, 3, padding=1), recurrent, nn.AvgPool2d(2), nn.Flatten()]
    return scaled(nn.Sequential(*layers, nn.Linear(36, 3)), 2.0)


def _ttfs_linear() -> nn.Sequential:
    layers = [nn.Linear(6, 8, bias=False), nn.TTFS(), nn.Linear(8, 7, bias=False), nn.TTFS()]
    return scaled(nn.Sequential(*layers, nn.Linear(7, 3, bias=False), nn.TTFSReadout()), 2.0)


def _ttfs_conv() -> nn.Sequential:
    first = [nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.TTFS(), nn.EarliestPool2d(2)]
    second = [nn.Conv2d(6, 5, 3, bias=False), nn.TTFS(), nn.Flatten()]
    return scaled(nn.Sequential(*first, *second, nn.Linear(20, 3, bias=False), nn.TTFSReadout()), 2.0)


def _stream_linear() -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.Stochastic(), nn.Linear(8, 7), nn.Stochastic(gate="count")]
    return scaled(nn.Sequential(*layers, nn.Linear(7, 3), nn.MeanReadout()), 2.0)


def _stream_conv() -> nn.Sequential:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.Stochastic(), nn.AvgPool2d(2)]
    second = [nn.Conv2d(4, 5, 3), nn.Stochastic(train=BernoulliTrain(), potential="filter"), nn.Flatten()]
    return scaled(nn.Sequential(*first, *second, nn.Linear(20, 3), nn.MeanReadout()), 2.0)


def _lif_conv1d() -> nn.Sequential:
    first = [nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.LIF(), nn.AvgPool1d(2)]
    second = [nn.Conv1d(4, 6, 2, dilation=2), nn.LIF(reset="hard"), nn.MaxPool1d(2), nn.Flatten()]
    return scaled(nn.Sequential(*first, *second, nn.Linear(6, 3)), 3.0)


def _stream_conv1d() -> nn.Sequential:
    first = [nn.Conv1d(2, 4, 3, dilation=2), nn.Stochastic()]
    second = [nn.Conv1d(4, 5, 2, stride=2), nn.Stochastic(), nn.Flatten()]
    return scaled(nn.Sequential(*first, *second, nn.Linear(10, 3), nn.MeanReadout()), 2.0)


def _stream_recurrent() -> nn.Sequential:
    first = [nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.Stochastic())]
    second = [nn.Linear(8, 7), nn.Recurrent(nn.Linear(7, 7), nn.Stochastic(potential="filter"))]
    return scaled(nn.Sequential(*first, *second, nn.Linear(7, 3), nn.MeanReadout()), 2.0)


def _adaptive_linear() -> nn.Sequential:
    first, second = nn.ALIF(learn_decay=True), nn.CubaLIF(learn_decay=True)
    layers = [nn.Linear(6, 8), first, nn.Linear(8, 7), second, nn.Linear(7, 3), nn.LI(learn_decay=True)]
    return scaled(nn.Sequential(*layers), 3.0)


def _adaptive_recurrent() -> nn.Sequential:
    first = [nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.ALIF(adaptation=0.4))]
    second = [nn.Linear(8, 7), nn.Recurrent(nn.Linear(7, 7), nn.CubaLIF(reset="hard"))]
    return scaled(nn.Sequential(*first, *second, nn.Linear(7, 3), nn.LI()), 2.0)


def _adaptive_conv() -> nn.Sequential:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.CubaLIF(), nn.AvgPool2d(2)]
    second = [nn.Conv2d(4, 5, 3), nn.ALIF(reset="hard", threshold=0.5), nn.AvgPool2d(2)]
    return scaled(nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(5, 3), nn.LI(decay=0.5)), 3.0)


CASES = [
    Case("lif-linear", _lif_linear, lambda: spikes(4, 3, 6)),
    Case("lif-conv", _lif_conv, lambda: spikes(4, 3, 2, 8, 8)),
    Case("lif-recurrent", _lif_recurrent, lambda: spikes(5, 3, 6)),
    Case("lif-recurrent-conv", _lif_recurrent_conv, lambda: spikes(4, 3, 2, 6, 6)),
    Case("stream-linear", _stream_linear, lambda: spikes(4, 3, 6)),
    Case("stream-recurrent", _stream_recurrent, lambda: spikes(5, 3, 6)),
    Case("stream-conv", _stream_conv, lambda: spikes(4, 3, 2, 8, 8)),
    Case("ttfs-linear", _ttfs_linear, lambda: times(5, 6)),
    Case("ttfs-conv", _ttfs_conv, lambda: times(5, 2, 8, 8)),
    Case("lif-conv1d", _lif_conv1d, lambda: spikes(4, 3, 2, 17)),
    Case("stream-conv1d", _stream_conv1d, lambda: spikes(4, 3, 2, 9)),
    Case("adaptive-linear", _adaptive_linear, lambda: spikes(4, 3, 6)),
    Case("adaptive-recurrent", _adaptive_recurrent, lambda: spikes(5, 3, 6)),
    Case("adaptive-conv", _adaptive_conv, lambda: spikes(4, 3, 2, 8, 8)),
]


@functools.cache
def pairs() -> tuple[tuple[str, Case], ...]:
    """Every rule with every network that it can train."""
    return tuple((name, case) for name in rules.__all__ for case in CASES if _trains(name, case))


@functools.cache
def some_pairs() -> tuple[tuple[str, Case], ...]:
    """Some of `pairs`, less than half: each rule meets every kind of neurons and of synapses that it can train.

    Each rule has its first two networks, the next ones are those that show it most that is new, the least met first,
    and every network meets at least two rules.
    """
    chosen: list[tuple[str, Case]] = []

    def met(case: Case) -> int:
        return sum(case is other for _, other in chosen)

    for name in rules.__all__:
        own = [case for of, case in pairs() if of == name]
        left = {part for case in own for part in case.parts}
        for case in own[:2]:
            chosen.append((name, case))
            left -= case.parts
        while left:
            best = max(own, key=lambda case: (len(case.parts & left), -met(case)))
            chosen.append((name, best))
            left -= best.parts
    for case in CASES:
        others = [pair for pair in pairs() if pair[1] is case and pair not in chosen]
        chosen += others[: max(0, 2 - met(case))]
    return tuple(chosen)


def _trains(name: str, case: Case) -> bool:
    try:
        getattr(rules, name)(case.build())
    except UnsupportedError:
        return False
    return True
