"""A network read into a graph of layers, and the one function that runs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.errors import OnchipError, RequestError
from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import Signal, SignalKind, expanded, per_sample, tensor_of
from onchip.nn.synapses import Synapse

TYPES = torch.float32, torch.float64, torch.bfloat16, torch.float16


# Nothing here is compared by its fields (eq=False): that is more than torch.compile can follow.
@dataclass(frozen=True, eq=False)
class SynapticLayer:
    """Synapses and the neurons that they drive.

    Args:
        name: Dotted path of the module with the weights in the network.
        module: The torch module that holds weight and bias.
        synapse: Its bilinear map.
        neuron: The neurons; a `Readout` where the network names none.
        pool: Side of an average pool that the neurons may take in the same pass, or None.
        recurrent: Synapses from the neurons to themselves, one time step later, or None.
    """

    name: str
    module: nn.Module
    synapse: Synapse
    neuron: Neuron
    pool: int | None
    recurrent: SynapticLayer | None = None

    @property
    def parameter(self) -> Tensor:
        """What an optimizer trains, of W's shape."""
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def weight(self) -> Tensor:
        """W (out, in...) that the synapses have: the parameter, or computed from it by the layer."""
        return self.synapse.weight_of(self.module)

    @property
    def bias(self) -> Tensor | None:
        """b (out,), or None."""
        bias = self.module.bias
        assert bias is None or isinstance(bias, Tensor)
        return bias

    def drive(self, synaptic_input: Signal, product: Callable[[Tensor], Tensor]) -> Signal:
        """The neurons' drive (K, B, features...), or `Static`.

        Args:
            synaptic_input: What the synapses are applied to, as `neuron.synaptic_input` returns it.
            product: The forward product, from (N, in...) to (N, out...).

        Raises:
            RequestError: the synapses cannot take features of this shape.
        """

        def checked(folded: Tensor) -> Tensor:
            self.synapse.check(self.name, folded.shape)
            return product(folded)

        return per_sample(checked, synaptic_input)

    def fused_pool(self, drive: Signal) -> int | None:
        """Side of the average pool that the neurons can take in their own pass; ragged borders are left to torch."""
        height, width = tensor_of(drive).shape[-2:]
        return self.pool if self.pool and not (height % self.pool or width % self.pool) else None

    def pooled(self, activity: Tensor) -> Tensor:
        """The layer's activity (T, B, C, H, W), average-pooled where the neurons have not done so.

        Raises:
            RequestError: maps smaller than the pool, or spikes that must not be averaged.
        """
        if self.pool is None:
            return activity
        pool, (height, width) = self.pool, activity.shape[-2:]
        if min(height, width) < pool:
            raise RequestError(
                f"AvgPool2d({pool}) after layer {self.name!r} got an image of {height}x{width}; "
                "use larger images or less pooling before it"
            )
        if not self.neuron.pools_spikes:
            raise RequestError(
                f"AvgPool2d({pool}) after layer {self.name!r} got an image of {height}x{width}, which is no multiple "
                f"of {pool}x{pool}; neurons that send spikes only need images that are"
            )
        return expanded(per_sample(lambda maps: F.avg_pool2d(maps, pool), activity))


@dataclass(frozen=True, eq=False)
class WeightlessLayer:
    """A layer without weights between synaptic layers; ordinary autograd carries errors through it."""

    name: str
    module: nn.Module

    def __call__(self, features: Tensor) -> Tensor:
        """Applies the layer to (N, features...)."""
        try:
            applied: Tensor = self.module(features)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, IndexError) as error:
            raise RequestError(
                f"{type(self.module).__name__} {self.name!r} cannot take features of shape "
                f"{tuple(features.shape[1:])}: {error}"
            ) from error
        if applied.shape[:1] != features.shape[:1]:
            raise RequestError(
                f"{type(self.module).__name__} {self.name!r} mixes the samples of a batch; "
                "expected a layer that treats each on its own, such as nn.Flatten()"
            )
        return applied


@dataclass(frozen=True, eq=False)
class SkipConnection:
    """A place at which a signal leaves the chain of layers, or returns to it.

    Args:
        name: Name of the `Residual`.
        role: `fork` stores the signal, `turn` continues with the stored one and stores the body's instead, `join`
            adds both.
    """

    name: str
    role: Literal["fork", "turn", "join"]

    def __call__(self, signal: Signal, stored: list[Signal]) -> Signal:
        """The signal that goes on; `stored`, the innermost skip's signal last, is changed.

        Raises:
            RequestError: the two signals of a join have different shapes.
        """
        if self.role == "fork":
            stored.append(signal)
            return signal
        other = stored.pop()
        if self.role == "turn":
            stored.append(signal)
            return other
        body, skipped = expanded(signal), expanded(other)
        if body.shape != skipped.shape:
            raise RequestError(
                f"Residual {self.name!r} adds activity of shape {tuple(skipped.shape[2:])} and "
                f"{tuple(body.shape[2:])}; expected one shape. Give it a shortcut, such as "
                "nn.Sequential(nn.Conv2d(..., 1, stride=2), nn.LIF())"
            )
        return body + skipped


Node = SynapticLayer | WeightlessLayer | SkipConnection


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A network read from input to output.

    Args:
        kind: How its neurons exchange activity.
        nodes: Synaptic layers, weightless layers between them, and where skip connections begin and end, in order.
    """

    kind: SignalKind
    nodes: tuple[Node, ...]

    @property
    def layers(self) -> tuple[SynapticLayer, ...]:
        """The synaptic layers in order; everywhere, the index of a layer is its position here.

        A recurrent connection is an entry of its own, right after the layer whose neurons it connects.
        """
        return tuple(layer for node in self.feedforward for layer in (node, node.recurrent) if layer is not None)

    @property
    def feedforward(self) -> tuple[SynapticLayer, ...]:
        """The synaptic layers without recurrent connections."""
        return tuple(node for node in self.nodes if isinstance(node, SynapticLayer))

    @property
    def positions(self) -> tuple[int, ...]:
        """Index of each of the `feedforward` layers in `layers`."""
        widths = (1 if layer.recurrent is None else 2 for layer in self.feedforward)
        return tuple(accumulate(widths, initial=0))[:-1]

    def unpooled(self) -> LayerGraph:
        """The same network with every average pool a node of its own."""
        nodes: list[Node] = []
        for node in self.nodes:
            if isinstance(node, SynapticLayer) and node.pool is not None:
                nodes += [replace(node, pool=None), WeightlessLayer(f"pool of {node.name}", nn.AvgPool2d(node.pool))]
            else:
                nodes.append(node)
        return LayerGraph(self.kind, tuple(nodes))

    def with_layers(
        self, synapse: Callable[[SynapticLayer], Synapse] | None, neuron: Callable[[SynapticLayer], Neuron] | None
    ) -> LayerGraph:
        """The same network with another synapse or other neurons at each layer; None leaves them as they are."""

        def replaced(node: SynapticLayer) -> SynapticLayer:
            neurons = node.neuron if neuron is None else neuron(node)
            layer = connected(node, neurons)
            return replace(layer, recurrent=layer.recurrent and connected(layer.recurrent, neurons))

        def connected(layer: SynapticLayer, neurons: Neuron) -> SynapticLayer:
            return replace(layer, synapse=layer.synapse if synapse is None else synapse(layer), neuron=neurons)

        nodes = (replaced(node) if isinstance(node, SynapticLayer) else node for node in self.nodes)
        return LayerGraph(self.kind, tuple(nodes))

    @property
    def receivers(self) -> dict[int, int]:
        """Where hidden activity arrives: position in `nodes` -> index of the synaptic layer that it reaches first.

        Direct rules have one error for each such activity, and so for each way on from it: at a synaptic layer, or
        at the fork before it, or before maps are flattened. Layers of shortcuts share the activity of the body.
        """
        found: dict[int, int] = {}
        index, fresh, waiting = 0, True, None
        for position, node in enumerate(self.nodes):
            flattens = isinstance(node, WeightlessLayer) and isinstance(node.module, nn.Flatten)
            forks = isinstance(node, SkipConnection) and node.role == "fork"
            if fresh and (isinstance(node, SynapticLayer) or flattens or forks):
                waiting = position
            if isinstance(node, SynapticLayer):
                if waiting is not None:
                    found[waiting] = index
                    waiting = None
                index += 1 if node.recurrent is None else 2
            if isinstance(node, SkipConnection):
                fresh = node.role == "join"
            elif isinstance(node, SynapticLayer) or flattens:
                fresh = not flattens
        return found

    @property
    def consumers(self) -> dict[int, tuple[int, ...]]:
        """For each of the `feedforward` layers, by index: the synaptic layers that its activity reaches first."""
        found: dict[int, list[int]] = {}
        sources: list[int] = []  # layers of whose activity the signal is the sum
        stored: list[list[int]] = []
        index = 0
        for node in self.nodes:
            if isinstance(node, SynapticLayer):
                for source in sources:
                    found[source].append(index)
                found[index] = []
                sources = [index]
                index += 1 if node.recurrent is None else 2
            elif isinstance(node, SkipConnection):
                if node.role == "fork":
                    stored.append(sources)
                elif node.role == "turn":
                    sources, stored[-1] = stored[-1], sources
                else:
                    sources = [*stored.pop(), *sources]
        return {layer: tuple(above) for layer, above in found.items()}

    def check(self, signal: Signal) -> None:
        """Refuses a signal that the network cannot take.

        Raises:
            RequestError: the wrong kind or type of signal, no samples, values out of range, or another device or type
                than the weights'.
        """
        self.kind.check(signal)
        tensor = tensor_of(signal)
        for node in self.layers:
            layer, weight = f"{type(node.module).__name__} {node.name!r}", node.parameter
            if weight.device != tensor.device:
                raise RequestError(
                    f"{layer} is on device {str(weight.device)!r} and the signal on {str(tensor.device)!r}; expected "
                    "one device. Use signal.to(...) or rule.to(...), which moves the network and its feedback"
                )
            if weight.dtype not in TYPES:
                known = ", ".join(str(dtype).removeprefix("torch.") for dtype in TYPES)
                raise RequestError(f"{layer} has weights of {weight.dtype}; expected {known}. Use model.float()")
            if weight.dtype != tensor.dtype and not torch.is_autocast_enabled(tensor.device.type):
                raise RequestError(
                    f"{layer} has weights of {weight.dtype} and the signal is of {tensor.dtype}; expected one type. "
                    "Use signal.to(...)"
                )


def run(
    graph: LayerGraph,
    signal: Signal,
    at_layer: Callable[[int, SynapticLayer, Signal], Tensor],
    at_receiver: Callable[[int, Signal], Signal] | None = None,
) -> Tensor:
    """Runs a network from its input to its output.

    Args:
        graph: The network.
        signal: (T, B, features...), `Static`, or spike times (B, features...), as `graph.check` accepts it.
        at_layer: Computes the activity of each synaptic layer, from its index, the layer and what arrives there.
        at_receiver: Called with the index of a synaptic layer and the activity that is about to reach it; see
            `LayerGraph.receivers`. Returns the activity that it gets.

    Returns:
        The activity of the last layer.
    """
    receivers = {} if at_receiver is None else graph.receivers
    stored: list[Signal] = []
    index = 0
    for position, node in enumerate(graph.nodes):
        if at_receiver is not None and position in receivers:
            signal = at_receiver(receivers[position], signal)
        if isinstance(node, SynapticLayer):
            signal = at_layer(index, node, signal)
            index += 1 if node.recurrent is None else 2
        elif isinstance(node, WeightlessLayer):
            signal = graph.kind.apply(node, signal)
        else:
            signal = node(signal, stored)
    if not isinstance(signal, Tensor):
        raise OnchipError("a network ends in a synaptic layer, whose activity is never Static")
    return signal
