"""What a network is made of, in order: stages, the weightless layers between them, and skips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import Kind, Signal, Static
from onchip.nn.synapses import Synapse

__all__ = ["LayerGraph", "Node", "Skip", "SynapticLayer", "WeightlessLayer"]


# Nothing here is compared by its fields (eq=False): that is more than torch.compile can follow.
@dataclass(frozen=True, eq=False)
class SynapticLayer:
    """Synapses and the neurons that they drive.

    Args:
        name: dotted path of the synaptic layer in the network.
        module: the torch layer that holds weight and bias.
        synapse: its bilinear map.
        neuron: the neurons; a `Readout` where the network names none.
        pool: side of an average pool that the neurons may take in the same pass, or None.
    """

    name: str
    module: nn.Module
    synapse: Synapse
    neuron: Neuron
    pool: int | None

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
        if self.neuron.signal == "streams":
            raise RequestError(
                f"AvgPool2d({self.pool}) after layer {self.name!r} got an image of {activity.shape[-2]}x"
                f"{activity.shape[-1]}, which its squares do not fill; neurons that send spikes alone need images "
                "that they do"
            )
        return F.avg_pool2d(activity.flatten(0, 1), self.pool).unflatten(0, activity.shape[:2])


@dataclass(frozen=True, eq=False)
class WeightlessLayer:
    """A layer without weights between stages; ordinary autograd carries errors through it."""

    name: str
    module: nn.Module

    def __call__(self, signal: Signal, kind: Kind, kept: list[Signal]) -> Signal:
        """Applies the layer to each time step, or to the spike times, or once to a Static image.

        Args:
            signal: what arrives.
            kind: of the signal.
            kept: what skips hold; stays as it is.
        """
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


@dataclass(frozen=True, eq=False)
class Skip:
    """A place at which a signal parts from the chain, or comes back to it.

    Args:
        name: of the `Residual`.
        does: `fork` keeps the signal for later, `turn` takes it up and keeps the body's instead, `join` adds both.
    """

    name: str
    does: Literal["fork", "turn", "join"]

    def __call__(self, signal: Signal, kind: Kind, kept: list[Signal]) -> Signal:
        """What goes on from here.

        Args:
            signal: what arrives.
            kind: of the signal; always steps.
            kept: what skips hold, the innermost last; changed here.
        """
        if self.does == "fork":
            kept.append(signal)
            return signal
        other = kept.pop()
        if self.does == "turn":
            kept.append(signal)
            return other
        one, other = (part.expand() if isinstance(part, Static) else part for part in (signal, other))
        if one.shape != other.shape:
            raise RequestError(
                f"Residual {self.name!r} adds activity of shape {tuple(other.shape[2:])} and {tuple(one.shape[2:])}; "
                "expected one shape. Give it a shortcut, such as nn.Sequential(nn.Conv2d(..., 1, stride=2), nn.LIF())"
            )
        return one + other


Node = SynapticLayer | WeightlessLayer | Skip
"""What a network is read as."""


@dataclass(frozen=True, eq=False)
class LayerGraph:
    """A network read from input to output.

    Args:
        kind: what its neurons exchange, activity over time steps or spike times.
        parts: stages, the weightless layers between them, and where skips begin and end, in order.
    """

    kind: Kind
    parts: tuple[Node, ...]

    def unpooled(self) -> LayerGraph:
        """The same network with every pool a part of its own."""
        parts: list[Node] = []
        for part in self.parts:
            pool = part.pool if isinstance(part, SynapticLayer) else None
            parts.append(replace(part, pool=None) if isinstance(part, SynapticLayer) else part)
            if pool is not None:
                parts.append(WeightlessLayer(f"pool of {part.name}", nn.AvgPool2d(pool)))
        return LayerGraph(self.kind, tuple(parts))

    @property
    def layers(self) -> tuple[SynapticLayer, ...]:
        """The stages in order."""
        return tuple(part for part in self.parts if isinstance(part, SynapticLayer))

    @cached_property
    def arrivals(self) -> tuple[bool, ...]:
        """Of each part, whether it is the first stage, fork or `Flatten` that the activity arriving there meets.

        Direct rules have an error of its own for each such activity, and so for each way on from it. They see maps as
        maps: before they are flattened.
        """
        found, fresh = [], True
        for part in self.parts:
            meets = isinstance(part, SynapticLayer) or (isinstance(part, Skip) and part.does == "fork")
            flattens = isinstance(part, WeightlessLayer) and isinstance(part.module, nn.Flatten)
            found.append(fresh and (meets or flattens))
            if isinstance(part, Skip):
                fresh = part.does == "join"
            elif isinstance(part, SynapticLayer) or flattens:
                fresh = not flattens
        return tuple(found)

    @cached_property
    def receivers(self) -> tuple[SynapticLayer, ...]:
        """For each arrival, the stage that it reaches first: all stages but those of shortcuts."""
        found, waiting = [], False
        for part, arrives in zip(self.parts, self.arrivals, strict=True):
            waiting = waiting or arrives
            if waiting and isinstance(part, SynapticLayer):
                found.append(part)
                waiting = False
        return tuple(found)
