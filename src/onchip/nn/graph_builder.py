"""Reads a network as a chain of stages: synapses, the neurons they drive, and a pool, treated as one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
from onchip.nn.graph import LayerGraph, Node, Skip, SynapticLayer, WeightlessLayer
from onchip.nn.neurons.base import Neuron
from onchip.nn.neurons.readout import Readout
from onchip.nn.neurons.stochastic import MeanReadout
from onchip.nn.neurons.ttfs import TTFSReadout
from onchip.nn.pooling import EarliestPool2d
from onchip.nn.residual import Residual
from onchip.nn.signals import Kind, Signal, Static
from onchip.nn.synapses import is_synapse, known_layers, synapse_of

__all__ = ["LayerGraph", "Node", "Skip", "SynapticLayer", "WeightlessLayer", "build_graph", "validated"]

_POOLS = nn.AvgPool1d, nn.MaxPool1d, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d
_WEIGHTLESS: dict[Kind, tuple[type[nn.Module], ...]] = {
    "steps": (nn.Flatten, nn.Identity, nn.Dropout, *_POOLS),
    "streams": (nn.Flatten, nn.Identity),
    "times": (nn.Flatten, nn.Identity, EarliestPool2d),
}
_READOUTS: dict[Kind, type[Neuron]] = {"streams": MeanReadout, "times": TTFSReadout}
"""What must close a network; after `steps`, `Readout` is taken where none is named."""


def build_graph(model: nn.Module) -> LayerGraph:
    """Reads a network.

    Raises:
        UnsupportedError: a module that no rule knows how to treat, by name.
        RequestError: neurons that do not follow synapses, or kinds of neurons that do not mix.
    """
    found = list(_leaves("", model))
    kinds: dict[Kind, str] = {m.signal: f"{type(m).__name__} {n!r}" for n, m in found if isinstance(m, Neuron)}
    if len(kinds) > 1:
        raise RequestError(
            f"the network mixes {' and '.join(kinds[kind] for kind in sorted(kinds))}; neurons over time steps, with "
            "spike times or with random spike trains do not understand each other. Use one kind"
        )
    kind: Kind = next(iter(kinds), "steps")
    parts: list[Node] = []
    while found:
        name, module = found.pop(0)
        if isinstance(module, Skip):
            parts.append(module)
        elif is_synapse(module):
            parts.append(_stage(name, module, found, kind))
        elif type(module) in _WEIGHTLESS[kind]:
            parts.append(WeightlessLayer(name, module))
        elif isinstance(module, Neuron):
            raise RequestError(
                f"{type(module).__name__} {name!r} does not follow a layer with weights; put it right after one of "
                f"{known_layers()}"
            )
        else:
            known = ", ".join((known_layers(), *(t.__name__ for t in _WEIGHTLESS[kind])))
            raise UnsupportedError(
                f"cannot treat {type(module).__name__} {name!r} in a network whose neurons exchange {kind}; "
                f"expected neurons, {known}, or a Sequential of these"
            )
    plan = LayerGraph(kind, tuple(parts))
    for part in parts if kind != "steps" else ():
        if isinstance(part, Skip):
            raise UnsupportedError(
                f"Residual {part.name!r} adds spikes, and those of a network that exchanges {kind} do not add up; "
                "use LIF or IF neurons"
            )
    if not plan.layers:
        raise RequestError(f"the network has no layer with weights; nothing can be trained. Add a {known_layers()}")
    if kind in _READOUTS:
        _check_readout(plan.layers, _READOUTS[kind])
    return plan


def _check_readout(stages: tuple[SynapticLayer, ...], readout: type[Neuron]) -> None:
    """Raises RequestError unless the network has its read-out at the end, and only there."""
    for stage in stages[:-1]:
        if isinstance(stage.neuron, readout):
            raise RequestError(
                f"{readout.__name__} after layer {stage.name!r} is not at the end of the network; what it hands on "
                f"are no {readout.signal}. Use other neurons there"
            )
    last = stages[-1]
    if not isinstance(last.neuron, readout):
        raise RequestError(
            f"the last layer {last.name!r} drives {type(last.neuron).__name__} neurons; end with "
            f"nn.{readout.__name__}() instead"
        )


def _leaves(prefix: str, module: nn.Module) -> Iterator[tuple[str, nn.Module | Skip]]:
    # named_modules() would skip the second use of a layer that occurs twice.
    if isinstance(module, Residual):
        yield from _residual(prefix or type(module).__name__, module)
        return
    if not isinstance(module, nn.Sequential):
        yield prefix or type(module).__name__, module
        return
    for name, child in module._modules.items():
        assert child is not None
        yield from _leaves(f"{prefix}.{name}" if prefix else name, child)


def _residual(name: str, module: Residual) -> Iterator[tuple[str, nn.Module | Skip]]:
    body = list(_leaves(f"{name}.body", module.body))
    if not any(isinstance(part, nn.Module) and is_synapse(part) for _, part in body):
        raise RequestError(
            f"Residual {name!r} has no layer with weights in its body, so an error would cross it unseen; put one there"
        )
    yield name, Skip(name, "fork")
    yield from body
    if module.shortcut is not None:
        yield name, Skip(name, "turn")
        yield from _leaves(f"{name}.shortcut", module.shortcut)
    yield name, Skip(name, "join")


def _stage(name: str, layer: nn.Module, rest: list[tuple[str, nn.Module | Skip]], kind: Kind) -> SynapticLayer:
    """Takes the layer's neurons and their pool off the front of what is left of the network."""
    following = rest[0][1] if rest else None
    neuron = following if isinstance(following, Neuron) else None
    if neuron is not None:
        rest.pop(0)
    if neuron is None and kind in _READOUTS:
        remedy = f"neurons that exchange {kind}" if rest else f"nn.{_READOUTS[kind].__name__}()"
        raise RequestError(f"no neurons follow layer {name!r} in a network of spike {kind}; add {remedy}")
    if kind == "times" and isinstance(layer.bias, Tensor):
        raise UnsupportedError(
            f"layer {name!r} has a bias, which neurons with spike times do not take; build it with bias=False"
        )
    neuron = neuron or Readout()
    synapse = synapse_of(name, layer)
    pool = _square_pool(rest[0][1]) if rest and neuron.fuses_pool and synapse.spatial_axes == 2 else None
    if pool is not None:
        rest.pop(0)
    return SynapticLayer(name, layer, synapse, neuron, pool)


def _square_pool(module: nn.Module | Skip) -> int | None:
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


TYPES = torch.float32, torch.float64, torch.bfloat16, torch.float16


def validated(signal: Signal, plan: LayerGraph) -> Signal:
    """Returns the signal if a network can take it.

    Raises:
        RequestError: the wrong kind or type of signal, no samples, spike times out of range, or another device or
            type than the weights'.
    """
    kind = plan.kind
    if isinstance(signal, Static) and kind == "times":
        raise RequestError("got a Static image; expected spike times (B, features...). Use encode.Latency()")
    if isinstance(signal, Static) and kind == "streams":
        raise RequestError(
            "got a Static image; expected spikes (T, B, features...). Use encode.RandomPhase(steps) or "
            "encode.Poisson(steps)"
        )
    if not isinstance(signal, Tensor | Static):
        raise RequestError(f"got {type(signal).__name__} as signal; expected a Tensor or onchip.Static")
    tensor = signal.image if isinstance(signal, Static) else signal
    if not tensor.is_floating_point():
        raise RequestError(f"got a signal of {tensor.dtype}; expected floating point. Use .float()")
    over_time = isinstance(signal, Tensor) and kind != "times"
    if tensor.dim() < (3 if over_time else 2) or 0 in tensor.shape:
        expected = "(T, B, features...)" if over_time else "(B, features...)"
        remedy = ", or onchip.Static(image, steps=T)" if over_time else ""
        raise RequestError(
            f"got a signal of shape {tuple(tensor.shape)}; expected {expected}, none of them zero{remedy}"
        )
    _check_place(tensor, plan)
    if kind == "times":
        _check_times(tensor)
    if kind == "streams":
        _check_spikes(tensor)
    return signal


def _check_place(signal: Tensor, plan: LayerGraph) -> None:
    """Raises RequestError unless the signal and all weights are on one device, and of one type."""
    for stage in plan.layers:
        layer, weight = f"{type(stage.module).__name__} {stage.name!r}", stage.parameter
        if weight.device != signal.device:
            raise RequestError(
                f"{layer} is on device {str(weight.device)!r} and the signal on {str(signal.device)!r}; expected one "
                "device. Use signal.to(...) or rule.to(...), which moves the network and its feedback"
            )
        if weight.dtype not in TYPES:
            known = ", ".join(str(dtype).removeprefix("torch.") for dtype in TYPES)
            raise RequestError(f"{layer} has weights of {weight.dtype}; expected {known}. Use model.float()")
        if weight.dtype != signal.dtype and not torch.is_autocast_enabled(signal.device.type):
            raise RequestError(
                f"{layer} has weights of {weight.dtype} and the signal is of {signal.dtype}; expected one type. "
                "Use signal.to(...)"
            )


def _check_spikes(spikes: Tensor) -> None:
    first = spikes[0]  # who sends numbers in place of spikes does so at once; to look at all steps costs as much as one
    wrong = first * first != first
    if bool(wrong.any()):
        raise RequestError(
            f"got a spike of {first[wrong][0].item():g}; expected 0 or 1 at each step. Use encode.RandomPhase(steps)"
        )


def _check_times(times: Tensor) -> None:
    wrong = ~((times >= 0) & (times <= 1) | torch.isposinf(times))
    if bool(wrong.any()):
        raise RequestError(
            f"got a spike time of {times[wrong][0].item():g}; expected times in [0, 1], or inf for silent"
        )
