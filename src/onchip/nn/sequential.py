"""A chain of layers over whole sequences."""

from __future__ import annotations

import torch
from torch import Tensor

from onchip.errors import OnchipError
from onchip.nn.graph_builder import SynapticLayer, build_graph, validated
from onchip.nn.neurons import Stochastic
from onchip.nn.signals import Signal, Static

__all__ = ["Sequential"]


class Sequential(torch.nn.Sequential):
    """A chain of layers over whole sequences.

    `model(signal)` is plain inference, and differentiable by plain autograd: through time with surrogate
    gradients, or through the spike times. A learning rule from `onchip.rules` trains the same modules by
    other means.

    Args:
        modules: layers in order, as in `torch.nn.Sequential`; neurons directly follow their synapses.

    Example:
        >>> from onchip.nn import LIF, Linear
        >>> model = Sequential(Linear(4, 8), LIF(), Linear(8, 3))
        >>> model(Static(torch.rand(2, 4), steps=5)).shape  # (T, B, classes)
        torch.Size([5, 2, 3])
    """

    def forward(self, signal: Signal) -> Tensor:
        """Output (T, B, classes) for a signal over time, or (B, classes) for spike times.

        Raises:
            RequestError: a signal that these neurons cannot take.
            UnsupportedError: a module that has no place in a spiking network.
        """
        plan = build_graph(self)
        signal = validated(signal, plan)
        kept: list[Signal] = []
        for part in plan.parts:
            signal = _inferred(part, signal) if isinstance(part, SynapticLayer) else part(signal, plan.kind, kept)
        if isinstance(signal, Static):
            raise OnchipError("a network ends in a stage, whose output is never Static")
        return signal


def _inferred(stage: SynapticLayer, signal: Signal) -> Signal:
    planes = stage.neuron.planes(signal)
    folded = planes.image if isinstance(planes, Static) else planes.flatten(0, 1)  # (K, B, ...) -> (K·B, ...)
    stage.synapse.check(stage.name, folded.shape)
    # Where no derivative is wanted the stage runs as one, in place; torch.compile makes its own passes of what is
    # written out. But whoever hooks a layer wants it called.
    hooked, compiling = _hooked(stage), torch.compiler.is_compiling()
    as_one = not (torch.is_grad_enabled() or hooked or compiling)
    bare = as_one or (compiling and not hooked)
    drive = stage.synapse.apply(folded, stage.weight, stage.bias) if bare else stage.module(folded)
    held = Static(drive, planes.steps) if isinstance(planes, Static) else drive.unflatten(0, planes.shape[:2])
    pool = stage.fused_pool(drive.shape)
    if not as_one and pool and isinstance(stage.neuron, Stochastic):
        return stage.neuron(held, pool)  # which sends spikes, and so pools before it fires
    if not as_one:
        return stage.pooled(stage.neuron(held))
    activity, _, _ = stage.neuron.run(held, None, pool)
    return activity if pool == stage.pool else stage.pooled(activity)


def _hooked(stage: SynapticLayer) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in (stage.module, stage.neuron))
