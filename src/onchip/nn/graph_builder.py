"""Reads a network into a graph: each synaptic layer with its neurons and their pool, and what lies between."""

from collections.abc import Iterator

import torch
from torch import nn

from onchip.errors import RequestError, UnsupportedError
from onchip.nn.graph import LayerGraph, Node, SkipConnection, SynapticLayer, WeightlessLayer
from onchip.nn.neurons import readout_of
from onchip.nn.neurons.base import Neuron
from onchip.nn.recurrent import Recurrent
from onchip.nn.residual import Residual
from onchip.nn.signals import TIME_STEPS, SignalKind
from onchip.nn.synapses import is_synapse, known_layers, synapse_of

Module = nn.Module | SkipConnection


def build_graph(model: nn.Module) -> LayerGraph:
    """Reads a network.

    Raises:
        UnsupportedError: a module that no rule can treat, by name.
        RequestError: neurons that do not follow synapses, kinds of neurons that do not mix, or no read-out where the
            neurons need one.
    """
    modules = list(_flattened("", model))
    kind = _kind_of(modules)
    nodes: list[Node] = []
    while modules:
        name, module = modules.pop(0)
        if isinstance(module, SkipConnection):
            if not kind.residual:
                raise UnsupportedError(
                    f"Residual {name!r} adds activity, and {kind.name} cannot be added; use LIF or IF neurons"
                )
            nodes.append(module)
        elif is_synapse(module):
            nodes.append(_synaptic_layer(name, module, modules, kind))
        elif type(module) in kind.weightless:
            nodes.append(WeightlessLayer(name, module))
        elif isinstance(module, Neuron | Recurrent):
            raise RequestError(
                f"{type(module).__name__} {name!r} does not follow a layer with weights; put it right after one of "
                f"{known_layers()}"
            )
        else:
            known = ", ".join((known_layers(), *(t.__name__ for t in kind.weightless)))
            raise UnsupportedError(
                f"cannot treat {type(module).__name__} {name!r} in a network whose neurons exchange {kind.name}; "
                f"expected neurons, {known}, or a Sequential of these"
            )
    graph = LayerGraph(kind, tuple(nodes))
    if not graph.layers:
        raise RequestError(f"the network has no layer with weights; nothing can be trained. Add a {known_layers()}")
    _check_readout(graph)
    return graph


def _kind_of(modules: list[tuple[str, Module]]) -> SignalKind:
    """How the network's neurons exchange activity; over time steps where it has none.

    Raises:
        RequestError: neurons of different kinds.
    """
    named = ((name, m.neuron if isinstance(m, Recurrent) else m) for name, m in modules)
    kinds = {m.signal: f"{type(m).__name__} {name!r} ({m.signal.name})" for name, m in named if isinstance(m, Neuron)}
    if len(kinds) > 1:
        raise RequestError(
            f"the network mixes {' and '.join(sorted(kinds.values()))}; neurons over time steps, with spike times or "
            "with random spike trains cannot exchange signals. Use one kind"
        )
    return next(iter(kinds), TIME_STEPS)


def _check_readout(graph: LayerGraph) -> None:
    """Raises RequestError unless the network has its read-out at the end, and only there."""
    readout = readout_of(graph.kind)
    for layer in graph.layers[:-1]:
        if layer.neuron.readout and not layer.neuron.optional:
            raise RequestError(
                f"{type(layer.neuron).__name__} after layer {layer.name!r} is not at the end of the network; its "
                "output is no signal between neurons. Use other neurons there"
            )
    if readout.optional:
        return
    last = graph.layers[-1]
    if not last.neuron.readout:
        raise RequestError(
            f"the last layer {last.name!r} drives {type(last.neuron).__name__} neurons; end with "
            f"nn.{readout.__name__}() instead"
        )


def _flattened(prefix: str, module: nn.Module) -> Iterator[tuple[str, Module]]:
    # named_modules() would skip the second use of a layer that occurs twice.
    if isinstance(module, Residual):
        yield from _residual(prefix or type(module).__name__, module)
        return
    if not isinstance(module, nn.Sequential):
        yield prefix or type(module).__name__, module
        return
    for name, child in module._modules.items():
        assert child is not None
        yield from _flattened(f"{prefix}.{name}" if prefix else name, child)


def _residual(name: str, module: Residual) -> Iterator[tuple[str, Module]]:
    body = list(_flattened(f"{name}.body", module.body))
    if not any(isinstance(part, nn.Module) and is_synapse(part) for _, part in body):
        raise RequestError(
            f"Residual {name!r} has no layer with weights in its body, so an error would cross it unnoticed; put one "
            "there"
        )
    yield name, SkipConnection(name, "fork")
    yield from body
    if module.shortcut is not None:
        yield name, SkipConnection(name, "turn")
        yield from _flattened(f"{name}.shortcut", module.shortcut)
    yield name, SkipConnection(name, "join")


def _synaptic_layer(name: str, module: nn.Module, rest: list[tuple[str, Module]], kind: SignalKind) -> SynapticLayer:
    """Takes the layer's neurons and their pool off the front of the rest of the network."""
    synapse = synapse_of(name, module)
    following = rest[0][1] if rest else None
    readout, recurrent = readout_of(kind), None
    if isinstance(following, Recurrent):
        neuron, recurrent = following.neuron, _recurrent(*rest.pop(0))
    elif isinstance(following, Neuron):
        neuron = following
        rest.pop(0)
    elif readout.optional:
        neuron = readout()
    else:
        remedy = f"neurons that exchange {kind.name}" if rest else f"nn.{readout.__name__}()"
        raise RequestError(f"no neurons follow layer {name!r} in a network of {kind.name}; add {remedy}")
    if not kind.bias and isinstance(module.bias, torch.Tensor):
        raise UnsupportedError(
            f"layer {name!r} has a bias, which neurons with {kind.name} do not take; build it with bias=False"
        )
    fuses = neuron.fuses_pool and synapse.spatial_axes == 2 and recurrent is None  # whose spikes go on unpooled
    pool = _square_pool(rest[0][1]) if rest and fuses else None
    if pool is not None:
        rest.pop(0)
    return SynapticLayer(name, module, synapse, neuron, pool, recurrent)


def _recurrent(name: str, module: Module) -> SynapticLayer:
    """The synapses of a recurrent connection."""
    assert isinstance(module, Recurrent)
    name = f"{name}.recurrent"
    return SynapticLayer(name, module.recurrent, synapse_of(name, module.recurrent), module.neuron, None)


def _square_pool(module: Module) -> int | None:
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
