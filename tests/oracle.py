"""Independent formulas of what the engine computes: plain loops over time, torch autograd, nothing of ours.

Modules are read for their constants only. Where a rule's gradient is no derivative, the value of a product
and the paths of its derivative are taken from different weights or inputs: y.detach() + (z - z.detach()) has
the value of y and the derivative of z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.nn import LI, EarliestPool2d, Readout, Recurrent, TTFSReadout
from onchip.nn.neurons import ALIF, LIF, TTFS, CubaLIF
from onchip.nn.neurons.leaky import Leaky
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle

__all__ = ["Spike", "run_steps", "run_times", "slope_of"]

Loss = Callable[[Tensor], Tensor]


def slope_of(surrogate: Surrogate, x: Tensor) -> Tensor:
    """ψ(x), written down once more."""
    if isinstance(surrogate, Sigmoid):
        grown = torch.exp(-surrogate.slope * x.abs())
        return surrogate.slope * grown / (1 + grown) ** 2
    if isinstance(surrogate, ATan):
        return surrogate.alpha / (2 * (1 + (math.pi / 2 * surrogate.alpha * x) ** 2))
    if isinstance(surrogate, FastSigmoid):
        return (1 + surrogate.slope * x.abs()) ** -2
    if isinstance(surrogate, Triangle):
        return F.relu(1 - x.abs() / surrogate.width) / surrogate.width
    if isinstance(surrogate, Rectangle):
        return (x.abs() < surrogate.width / 2).to(x.dtype) / surrogate.width
    raise NotImplementedError(surrogate)


class Spike(torch.autograd.Function):
    """A spike where the distance to the threshold is at least 0, with ψ as derivative."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *errors: Tensor) -> tuple[Tensor, None]:
        (distance,) = ctx.saved_tensors
        return errors[0] * slope_of(ctx.surrogate, distance), None


class _Cell:
    """One layer of leaky neurons, a step at a time."""

    def __init__(self, neuron: Leaky, online: bool) -> None:
        self.neuron, self.online = neuron, online
        self.states: dict[str, Tensor] = {}

    def constant(self, name: str) -> Tensor:
        raw = getattr(self.neuron, f"{name}_parameter")
        return torch.as_tensor(self.neuron.constant(name), dtype=torch.float64) if raw is None else torch.sigmoid(raw)

    def filters(self) -> list[Tensor]:
        names = ["current_decay", "decay"] if isinstance(self.neuron, CubaLIF) else ["decay"]
        return [self.constant(name).detach() for name in names]

    def kept(self, name: str, like: Tensor) -> Tensor:
        """A state, without its past where rules learn online."""
        state = self.states.get(name, torch.zeros_like(like))
        return state.detach() if self.online else state

    def filtered(self, name: str, decay: Tensor, now: Tensor, learnt: str) -> Tensor:
        """decay · state + now; online, a learnt decay gets its error from a trace of the states."""
        before = self.kept(name, now)
        if not self.online:
            return decay * before + now
        eligible = decay.detach() * self.kept(learnt, now) + before
        self.states[learnt] = eligible
        return decay.detach() * before + now + decay * eligible - (decay * eligible).detach()

    def __call__(self, drive: Tensor) -> Tensor:
        neuron, decay = self.neuron, self.constant("decay")
        if isinstance(neuron, CubaLIF):
            drive = self.states["current"] = self.filtered(
                "current", self.constant("current_decay"), drive, "by_current"
            )
            if self.online:  # what the current has learnt goes on in the membrane
                through = decay.detach() * self.kept("through", drive) + self.states["by_current"]
                self.states["through"] = through
                learnt = self.constant("current_decay") * (through - self.states["by_current"])
                drive = drive + learnt - learnt.detach()
        u = self.filtered("membrane", decay, drive, "by_decay")
        if isinstance(neuron, LI):
            self.states["membrane"] = u
            return u
        assert isinstance(neuron, LIF | ALIF)
        constants, level = neuron.membrane(), torch.zeros_like(u)
        if isinstance(neuron, ALIF):
            level = neuron.rise * self.kept("adaptation", u)
        s: Tensor = Spike.apply(u - constants.threshold - level, neuron.surrogate)
        r = s.detach() if constants.detach_reset else s
        self.states["membrane"] = u * (1 - r) if constants.hard else u - constants.threshold * r
        if isinstance(neuron, ALIF):
            self.states["adaptation"] = self.constant("adaptation_decay") * self.kept("adaptation", u) + s
        return s


def run_steps(
    model: nn.Sequential,
    frames: Tensor,
    *,
    feedback: Sequence[Tensor] | None = None,
    online: bool = False,
    traced: bool = True,
    recurs: bool = True,
    taps: list[list[Tensor]] | None = None,
) -> Tensor:
    """Output (T, B, classes) of a network of leaky neurons for frames (T, B, features...).

    Args:
        model: modules in order.
        frames: input at each step.
        feedback: weights that errors come through, for each synapse but the first, where that of a recurrent
            connection follows the synapse of its layer; W if None.
        online: no derivative through time, and traces at the synapses' inputs.
        traced: whether there are such traces.
        recurs: whether the derivative passes through recurrent connections.
        taps: if given, collects at each step what each synapse but the first receives, before it is flattened, and
            cuts it off there.
    """
    neurons = {module: module.neuron if isinstance(module, Recurrent) else module for module in model}
    cells = {module: _Cell(neuron, online) for module, neuron in neurons.items() if isinstance(neuron, Leaky)}
    sent: dict[nn.Module, Tensor] = {}
    traces: dict[tuple[int, int], Tensor] = {}
    outputs = []
    for frame in frames:
        h, index, layer = frame, 0, 0
        arrived: list[Tensor] = []
        for place, module in enumerate(model):
            if (
                isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Flatten)
                and len(arrived) < layer
                and taps is not None
            ):
                arrived.append(h)
                h = h.detach()
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
                after = cells.get(model[place + 1]) if place + 1 < len(model) else None
                trace = _trace(traces, index, h, after) if online and traced and after is not None else None
                down = feedback[index - 1] if index and feedback is not None else None
                h = _drive(module, h, down, trace)
                index, layer = index + 1, layer + 1
            elif isinstance(module, Recurrent):
                last = sent.get(module, torch.zeros_like(h))
                last = last.detach() if online or not recurs else last
                trace = _trace(traces, index, last, cells[module]) if online and traced else None
                down = feedback[index - 1] if feedback is not None and not online and recurs else None
                synapse = module.recurrent
                assert isinstance(synapse, nn.Linear | nn.Conv2d)
                h = sent[module] = cells[module](h + _drive(synapse, last, down, trace))
                index += 1
            elif isinstance(module, Leaky):
                h = cells[module](h)
            elif not isinstance(module, Readout):
                h = module(h)
        outputs.append(h)
        if taps is not None:
            taps.append(arrived)
    return torch.stack(outputs)


def _trace(traces: dict[tuple[int, int], Tensor], index: int, x: Tensor, after: _Cell) -> Tensor:
    """What of its past a synapse remembers at this step: one leaky filter after the other."""
    trace = x.detach()
    for number, decay in enumerate(after.filters()):
        trace = trace + decay * traces.get((index, number), torch.zeros_like(trace))
        traces[index, number] = trace
    return trace


def run_times(model: nn.Sequential, times: Tensor, *, feedback: Sequence[Tensor] | None = None) -> Tensor:
    """Logits (B, classes) of a network of TTFS neurons for spike times (B, features...)."""
    h, index = times, 0
    total = delay = torch.empty(0)
    late = torch.zeros_like(times)  # 0, with the derivative that the times of silent neurons have
    for module in model:
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            down = feedback[index - 1] if index and feedback is not None else None
            fired = torch.isfinite(h)
            total = _drive(module, fired.to(h.dtype), None, None)
            delay = _drive(module, torch.where(fired, h, 0.0) + late, down, None)
            index += 1
        elif isinstance(module, TTFS):
            h = _first_spike(total, delay, module.clip)
            late = _firing(total, delay, module.surrogate)
        elif isinstance(module, TTFSReadout):
            h = 2 * total - delay
        elif isinstance(module, EarliestPool2d):
            side = module.kernel_size
            squares, behind = (each.unfold(2, side, side).unfold(3, side, side).flatten(-2) for each in (h, late))
            first = squares.argmin(-1, keepdim=True)
            h, late = squares.gather(-1, first).squeeze(-1), behind.gather(-1, first).squeeze(-1)
        else:
            h, late = module(h), module(late)
    return h


def _first_spike(total: Tensor, delay: Tensor, clip: float) -> Tensor:
    start = total - delay - 1 >= 0
    mid = ~start & (2 * total - delay > 0)
    safe_total = torch.where(mid, total, 0.0)
    safe_delay = torch.where(mid, delay, 0.0)
    crossing = (2 + safe_delay) / (1 + safe_total)
    if math.isfinite(clip):
        by_total = (-crossing / (1 + safe_total)).detach().clamp(-clip, clip)
        by_delay = (1 / (1 + safe_total)).detach().clamp(-clip, clip)
        path = by_total * safe_total + by_delay * safe_delay
        crossing = crossing.detach() + (path - path.detach())
    return torch.where(mid, crossing - 1, torch.where(start, 0.0, torch.inf))


def _firing(total: Tensor, delay: Tensor, surrogate: Surrogate | None) -> Tensor:
    """0, with the derivative -ψ(u) by the potential u at the end of the window."""
    if surrogate is None:
        return torch.zeros_like(total)
    end = 2 * total - delay
    slope = slope_of(surrogate, end.detach())
    return -slope * (end - end.detach())


def _drive(layer: nn.Linear | nn.Conv1d | nn.Conv2d, x: Tensor, down: Tensor | None, trace: Tensor | None) -> Tensor:
    """W x + b, with the error sent down through `down` and the weights' gradient taken from `trace`."""
    value = _product(layer, x, layer.weight, layer.bias)
    if down is None and trace is None:
        return value
    path = _product(layer, x, layer.weight.detach() if down is None else down, None)
    update = _product(layer, x.detach() if trace is None else trace, layer.weight, layer.bias)
    return value.detach() + (path - path.detach()) + (update - update.detach())


def _product(layer: nn.Linear | nn.Conv1d | nn.Conv2d, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if isinstance(layer, nn.Linear):
        return F.linear(x, weight, bias)
    convolve = F.conv1d if isinstance(layer, nn.Conv1d) else F.conv2d
    return convolve(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)
