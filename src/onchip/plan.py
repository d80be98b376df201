"""Reads a network as a chain of stages: synapses, the neurons they drive, and a pool, treated as one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
from onchip.neurons.base import Neuron
from onchip.neurons.readout import Readout
from onchip.neurons.ttfs import TTFS, TTFSReadout
from onchip.pooling import EarliestPool2d
from onchip.signals import Kind, Signal, Static
from onchip.synapse import Synapse, is_synapse, synapse_of

__all__ = ["Between", "Plan", "Stage", "plan_of", "validated"]

_WEIGHTLESS: dict[Kind, tuple[type[nn.Module], ...]] = {
    "steps": (nn.Flatten, nn.Identity, nn.Dropout, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d),
    "times": (nn.Flatten, nn.Identity, EarliestPool2d),
}


@dataclass(frozen=True)
class Stage:
    """Synapses and the neurons that they drive.

    Args:
        name: dotted path of the synaptic layer in the network.
        layer: the torch layer that holds weight and bias.
        synapse: its bilinear map.
        neuron: the neurons; a `Readout` where the network names none.
        pool: side of an average pool that the neurons may take in the same pass, or None.
    """

    name: str
    layer: nn.Module
    synapse: Synapse
    neuron: Neuron
    pool: int | None

    @property
    def weight(self) -> Tensor:
        """W (out, in...)."""
        weight = self.layer.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def bias(self) -> Tensor | None:
        """b (out,), or None."""
        bias = self.layer.bias
        assert bias is None or isinstance(bias, Tensor)
        return bias

    def fused_pool(self, drive: torch.Size) -> int | None:
        """Side of the average pool that the neurons can take in their own pass, for a drive (N, C, H, W).

        A ragged border is left to torch's own pool.
        """
        return self.pool if self.pool and not (drive[-1] % self.pool or drive[-2] % self.pool) else None

    def pooled(self, activity: Tensor) -> Tensor:
        """The stage's activity (T, B, C, H, W), average-pooled where the neurons have not done so."""
        if self.pool is None:
            return activity
        if min(activity.shape[-2:]) < self.pool:
            height, width = activity.shape[-2:]
            raise RequestError(
                f"AvgPool2d({self.pool}) after layer {self.name!r} got an image of {height}x{width}; "
                "use larger images or less pooling before it"
            )
        return F.avg_pool2d(activity.flatten(0, 1), self.pool).unflatten(0, activity.shape[:2])


@dataclass(frozen=True)
class Between:
    """A layer without weights between stages; ordinary autograd carries errors through it."""

    name: str
    module: nn.Module

    def __call__(self, signal: Signal, kind: Kind) -> Signal:
        """Applies the layer to each time step, or to the spike times, or once to a Static image."""
        if isinstance(signal, Static):
            return Static(self._apply(signal.image), signal.steps)
        if kind == "times":
            return self._apply(signal)
        return self._apply(signal.flatten(0, 1)).unflatten(0, signal.shape[:2])

    def _apply(self, signal: Tensor) -> Tensor:
        try:
            applied: Tensor = self.module(signal)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError) as error:
            raise RequestError(
                f"{type(self.module).__name__} {self.name!r} cannot take features of shape "
                f"{tuple(signal.shape[1:])}: {error}"
            ) from error
        if applied.shape[:1] != signal.shape[:1]:
            raise RequestError(
                f"{type(self.module).__name__} {self.name!r} mixes the samples of a batch; "
                "expected a layer that treats each on its own, such as nn.Flatten()"
            )
        return applied


@dataclass(frozen=True)
class Plan:
    """A network read from input to output.

    Args:
        kind: what its neurons exchange, activity over time steps or spike times.
        parts: stages and the weightless layers between them, in order.
    """

    kind: Kind
    parts: tuple[Stage | Between, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        return tuple(part for part in self.parts if isinstance(part, Stage))


def plan_of(model: nn.Module) -> Plan:
    """Reads a network.

    Raises:
        UnsupportedError: a module that no rule knows how to treat, by name.
        RequestError: neurons that do not follow synapses, or kinds of neurons that do not mix.
    """
    found = list(_leaves("", model))
    kinds: dict[Kind, str] = {m.signal: f"{type(m).__name__} {n!r}" for n, m in found if isinstance(m, Neuron)}
    if len(kinds) > 1:
        raise RequestError(
            f"the network mixes {kinds['steps']} and {kinds['times']}; neurons over time steps and neurons "
            "with spike times do not understand each other. Use one kind"
        )
    kind: Kind = next(iter(kinds), "steps")
    parts: list[Stage | Between] = []
    while found:
        name, module = found.pop(0)
        if is_synapse(module):
            parts.append(_stage(name, module, found, kind))
        elif type(module) in _WEIGHTLESS[kind]:
            parts.append(Between(name, module))
        elif isinstance(module, Neuron):
            raise RequestError(
                f"{type(module).__name__} {name!r} does not follow a Linear or Conv2d; put it right after one"
            )
        else:
            known = ", ".join(t.__name__ for t in (nn.Linear, nn.Conv2d, *_WEIGHTLESS[kind]))
            raise UnsupportedError(
                f"cannot treat {type(module).__name__} {name!r} in a network whose neurons exchange {kind}; "
                f"expected neurons, {known}, or a Sequential of these"
            )
    plan = Plan(kind, tuple(parts))
    if not plan.stages:
        raise RequestError("the network has no Linear or Conv2d layer; there is nothing to train")
    if kind == "times":
        _check_readout(plan.stages)
    return plan


def _check_readout(stages: tuple[Stage, ...]) -> None:
    """Raises RequestError unless a network of spike times has its read-out at the end, and only there."""
    for stage in stages[:-1]:
        if isinstance(stage.neuron, TTFSReadout):
            raise RequestError(
                f"TTFSReadout after layer {stage.name!r} is not at the end of the network; what it hands on "
                "are no spike times. Use nn.TTFS() there"
            )
    if isinstance(stages[-1].neuron, TTFS):
        raise RequestError(f"the last layer {stages[-1].name!r} drives TTFS neurons; end with nn.TTFSReadout() instead")


def _leaves(prefix: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    # named_modules() would skip the second use of a layer that occurs twice.
    if not isinstance(module, nn.Sequential):
        yield prefix or type(module).__name__, module
        return
    for name, child in module._modules.items():
        assert child is not None
        yield from _leaves(f"{prefix}.{name}" if prefix else name, child)


def _stage(name: str, layer: nn.Module, rest: list[tuple[str, nn.Module]], kind: Kind) -> Stage:
    """Takes the layer's neurons and their pool off the front of what is left of the network."""
    following = rest[0][1] if rest else None
    neuron = following if isinstance(following, Neuron) else None
    if neuron is not None:
        rest.pop(0)
    if kind == "times":
        if neuron is None:
            remedy = "nn.TTFS()" if rest else "nn.TTFSReadout()"
            raise RequestError(f"no neurons follow layer {name!r} in a network of spike times; add {remedy}")
        if isinstance(layer.bias, Tensor):
            raise UnsupportedError(
                f"layer {name!r} has a bias, which neurons with spike times do not take; build it with bias=False"
            )
    neuron = neuron or Readout()
    pool = _square_pool(rest[0][1]) if rest and neuron.fuses_pool and type(layer) is nn.Conv2d else None
    if pool is not None:
        rest.pop(0)
    return Stage(name, layer, synapse_of(name, layer), neuron, pool)


def _square_pool(module: nn.Module) -> int | None:
    """Side of an average pool over disjoint squares, or None for anything else."""
    if type(module) is not nn.AvgPool2d or module.ceil_mode or module.divisor_override is not None:
        return None
    sides = {_side(module.kernel_size), _side(module.stride)}
    side = sides.pop()
    return side if not sides and _side(module.padding) == 0 else None


def _side(size: int | tuple[int, ...]) -> int | None:
    if isinstance(size, int):
        return size
    return size[0] if len(set(size)) == 1 else None


def validated(signal: Signal, kind: Kind) -> Signal:
    """Returns the signal if neurons of this kind can take it.

    Raises:
        RequestError: the wrong kind or type of signal, no samples, or spike times out of range.
    """
    if isinstance(signal, Static) and kind == "times":
        raise RequestError("got a Static image; expected spike times (B, features...). Use encode.Latency()")
    if not isinstance(signal, Tensor | Static):
        raise RequestError(f"got {type(signal).__name__} as signal; expected a Tensor or onchip.Static")
    tensor = signal.image if isinstance(signal, Static) else signal
    if not tensor.is_floating_point():
        raise RequestError(f"got a signal of {tensor.dtype}; expected floating point. Use .float()")
    over_time = isinstance(signal, Tensor) and kind == "steps"
    if tensor.dim() < (3 if over_time else 2) or 0 in tensor.shape:
        expected = "(T, B, features...)" if over_time else "(B, features...)"
        remedy = ", or onchip.Static(image, steps=T)" if over_time else ""
        raise RequestError(
            f"got a signal of shape {tuple(tensor.shape)}; expected {expected}, none of them zero{remedy}"
        )
    if kind == "times":
        _check_times(tensor)
    return signal


def _check_times(times: Tensor) -> None:
    wrong = ~((times >= 0) & (times <= 1) | torch.isposinf(times))
    if bool(wrong.any()):
        raise RequestError(
            f"got a spike time of {times[wrong][0].item():g}; expected times in [0, 1], or inf for silent"
        )
