"""Networks in double precision for comparisons with a formula: every option of neuron, synapse and pool."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor

from onchip import nn
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle
from tests.cases import Case, scaled

__all__ = ["ONLINE", "RECURRENT", "STACKS", "TIMED"]


def _built(*layers: torch.nn.Module, factor: float = 3.0) -> Callable[[], nn.Sequential]:
    """Makes copies of the layers with weights drawn anew."""

    def build() -> nn.Sequential:
        model = nn.Sequential(*(copy.deepcopy(layer) for layer in layers))
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.reset_parameters()
        return scaled(model, factor).double()

    return build


def _dense(name: str, neuron: nn.LIF | nn.ALIF, *, bias: bool = True, steps: int = 5) -> Case:
    first, second, last = nn.Linear(5, 7, bias=bias), nn.Linear(7, 6, bias=bias), nn.Linear(6, 3, bias=bias)
    return Case(name, _built(first, neuron, second, neuron, last), lambda: _frames(steps, 4, 5))


def _recurrent(name: str, neuron: nn.LIF, *, bias: bool = False) -> Case:
    first = [nn.Linear(5, 7), nn.Recurrent(nn.Linear(7, 7, bias=bias), neuron)]
    second = [nn.Linear(7, 6), nn.Recurrent(nn.Linear(6, 6, bias=bias), copy.deepcopy(neuron))]
    return Case(name, _built(*first, *second, nn.Linear(6, 3)), lambda: _frames(6, 4, 5))


def _conv(
    name: str,
    pool: torch.nn.Module,
    *,
    neuron: nn.LIF | None = None,
    first: nn.Conv2d | None = None,
    second: nn.Conv2d | None = None,
) -> Case:
    neuron = neuron or nn.LIF(threshold=0.5)
    first = first or nn.Conv2d(2, 4, 3, padding=1)
    second = second or nn.Conv2d(4, 4, 3, padding=1)
    inputs = math.prod(second(pool(first(torch.zeros(1, 2, 9, 9)))).shape)
    layers = [first, neuron, pool, second, neuron, nn.Flatten(), nn.Linear(inputs, 3)]
    return Case(name, _built(*layers), lambda: _frames(4, 2, 2, 9, 9))


def _frames(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


STACKS = [
    _dense("soft", nn.LIF()),
    _dense("soft-detached", nn.LIF(decay=0.8, detach_reset=True)),
    _dense("hard", nn.LIF(reset="hard", threshold=0.8)),
    _dense("hard-detached", nn.LIF(reset="hard", detach_reset=True)),
    _dense("if-soft", nn.IF()),
    _dense("if-soft-detached", nn.IF(detach_reset=True)),
    _dense("if-hard", nn.IF(reset="hard", threshold=1.5)),
    _dense("if-hard-detached", nn.IF(reset="hard", detach_reset=True)),
    _dense("learnt", nn.LIF(learn_decay=True)),
    _dense("learnt-detached", nn.LIF(learn_decay=True, detach_reset=True)),
    _dense("learnt-hard", nn.LIF(decay=0.7, learn_decay=True, reset="hard")),
    _dense("learnt-hard-detached", nn.LIF(decay=0.7, learn_decay=True, reset="hard", detach_reset=True)),
    _dense("no-leftover", nn.LIF(decay=0.0)),
    _dense("no-bias", nn.LIF(), bias=False),
    _dense("one-step", nn.LIF(), steps=1),
    *(
        _dense(type(surrogate).__name__, nn.LIF(surrogate=surrogate, threshold=0.7))
        for surrogate in (Sigmoid(2.0), ATan(3.0), FastSigmoid(5.0), Triangle(1.5), Rectangle(2.0))
    ),
    _dense("alif", nn.ALIF(adaptation=0.4)),
    _dense("alif-hard", nn.ALIF(reset="hard", threshold=0.8)),
    _dense("cuba", nn.CubaLIF()),
    _dense("cuba-hard-learnt", nn.CubaLIF(reset="hard", decay=0.7, learn_decay=True)),
    Case(
        "leaky-readout",
        _built(nn.Linear(5, 7), nn.LIF(), nn.Linear(7, 3), nn.LI(learn_decay=True)),
        lambda: _frames(5, 4, 5),
    ),
    Case("only-a-readout", _built(nn.Linear(5, 3)), lambda: _frames(5, 4, 5)),
    Case("spikes-out", _built(nn.Linear(5, 7), nn.LIF(), nn.Linear(7, 3), nn.LIF()), lambda: _frames(5, 4, 5)),
    Case("linear-twice", _built(nn.Linear(5, 7), nn.Linear(7, 6), nn.LIF(), nn.Linear(6, 3)), lambda: _frames(5, 4, 5)),
    _recurrent("recurrent", nn.LIF()),
    _recurrent("recurrent-detached", nn.LIF(decay=0.8, detach_reset=True)),
    _recurrent("recurrent-hard", nn.LIF(reset="hard", threshold=0.8, surrogate=ATan(2.0))),
    _recurrent("recurrent-learnt", nn.LIF(decay=0.7, learn_decay=True)),
    _recurrent("recurrent-bias", nn.IF(threshold=1.5), bias=True),
    Case(
        "recurrent-last",
        _built(nn.Linear(5, 3), nn.Recurrent(nn.Linear(3, 3, bias=False), nn.LIF())),
        lambda: _frames(6, 4, 5),
    ),
    Case(
        "recurrent-conv",
        _built(
            nn.Conv2d(2, 3, 3),
            nn.Recurrent(nn.Conv2d(3, 3, 3, padding=1), nn.LIF(threshold=0.7)),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 3),
        ),
        lambda: _frames(4, 2, 2, 6, 6),
    ),
    _conv("average-pool", nn.AvgPool2d(3)),
    _conv("average-pool-hard", nn.AvgPool2d(3), neuron=nn.LIF(reset="hard", learn_decay=True)),
    _conv("average-pool-detached", nn.AvgPool2d(3), neuron=nn.LIF(learn_decay=True, detach_reset=True)),
    _conv("average-pool-ragged", nn.AvgPool2d(2)),
    _conv("average-pool-overlapping", nn.AvgPool2d(3, stride=2, padding=1)),
    _conv("average-pool-ceiling", nn.AvgPool2d(2, ceil_mode=True)),
    _conv("average-pool-oblong", nn.AvgPool2d((3, 1))),
    _conv("adaptive-pool", nn.AdaptiveAvgPool2d(3)),
    _conv("max-pool", nn.MaxPool2d(2)),
    _conv("no-pool", nn.Identity()),
    _conv("stride", nn.AvgPool2d(2), first=nn.Conv2d(2, 4, 3, stride=2, padding=1), second=nn.Conv2d(4, 4, 2)),
    _conv("stride-ragged", nn.Identity(), first=nn.Conv2d(2, 4, 4, stride=(2, 3)), second=nn.Conv2d(4, 4, 2, stride=2)),
    _conv("dilation", nn.Identity(), first=nn.Conv2d(2, 4, 3, dilation=2), second=nn.Conv2d(4, 4, 2, dilation=(1, 2))),
    _conv(
        "groups", nn.AvgPool2d(3), first=nn.Conv2d(2, 4, 3, padding=1, groups=2), second=nn.Conv2d(4, 8, 3, groups=4)
    ),
    _conv("same", nn.AvgPool2d(3), first=nn.Conv2d(2, 4, (3, 5), padding="same"), second=nn.Conv2d(4, 4, 1)),
    _conv("no-bias-conv", nn.AvgPool2d(3), first=nn.Conv2d(2, 4, 3, padding=(0, 1), bias=False)),
]
"""Networks of leaky neurons."""

_SOME = "soft", "hard", "if", "learnt", "alif", "cuba", "average-pool", "max", "stride"
ONLINE = [case for case in STACKS if case.name.startswith(_SOME)]
"""Some of them, for rules whose formula is slower to follow."""

RECURRENT = [case for case in STACKS if case.name.startswith("recurrent")]
"""Those with a recurrent connection."""


def _times(*shape: int) -> Callable[[], Tensor]:
    def draw() -> Tensor:
        return torch.where(torch.rand(*shape) < 0.25, torch.inf, _frames(*shape))

    return draw


def _timed_dense(clip: float, surrogate: Surrogate | None = None) -> Case:
    first, second = nn.Linear(6, 8, bias=False), nn.Linear(8, 7, bias=False)
    neurons = nn.TTFS(clip=clip, surrogate=surrogate)
    layers = [first, neurons, second, copy.deepcopy(neurons), nn.Linear(7, 3, bias=False), nn.TTFSReadout()]
    name = f"dense-clip-{clip}" + ("" if surrogate is None else f"-{type(surrogate).__name__}")
    return Case(name, _built(*layers, factor=2.0), _times(6, 6))


def _timed_conv(clip: float, surrogate: Surrogate | None = None, **options: int) -> Case:
    first, second = nn.Conv2d(2, 5, 3, bias=False, padding=1, **options), nn.Conv2d(5, 4, 2, bias=False)  # type: ignore[arg-type]
    pool = nn.EarliestPool2d(2)
    inputs = math.prod(second(pool(first(torch.zeros(1, 2, 9, 9)))).shape)
    neurons = nn.TTFS(clip=clip, surrogate=surrogate)
    layers = [first, neurons, pool, second, copy.deepcopy(neurons), nn.Flatten()]
    readout = [nn.Linear(inputs, 3, bias=False), nn.TTFSReadout()]
    name = f"conv-clip-{clip}" + ("" if surrogate is None else f"-{type(surrogate).__name__}")
    name += "".join(f"-{key}" for key in options)
    return Case(name, _built(*layers, *readout, factor=2.0), _times(4, 2, 9, 9))


TIMED = [
    _timed_dense(math.inf),
    _timed_dense(1.0),
    _timed_dense(0.3),
    _timed_conv(math.inf),
    _timed_conv(1.0),
    _timed_conv(math.inf, stride=2),
    _timed_dense(1.0, Triangle(2.0)),
    _timed_conv(1.0, Triangle(2.0)),
]
"""Networks of TTFS neurons."""
