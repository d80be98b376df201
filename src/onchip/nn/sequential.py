"""A chain of layers over whole sequences."""

import torch
from torch import Tensor, nn

from onchip.nn.graph import SynapticLayer, run
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Signal


class Sequential(nn.Sequential):
    """A chain of layers over whole sequences.

    `model(signal)` is plain inference, and differentiable by plain autograd: through time with surrogate
    gradients, or through the spike times. A learning rule from `onchip.rules` trains the same modules by
    other means.

    Args:
        modules: Layers in order, as in `torch.nn.Sequential`; neurons directly follow their synapses.

    Example:
        >>> from onchip.nn import LIF, Linear, Static
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
        graph = build_graph(self)
        graph.check(signal)
        return run(graph, signal, _infer)


def _infer(index: int, layer: SynapticLayer, signal: Signal) -> Tensor:
    # Where no derivative is wanted the layer runs as one, in place; torch.compile fuses what is written out. But
    # hooks on a module need its own call.
    hooked, compiling = _hooked(layer), torch.compiler.is_compiling()
    in_place = not (torch.is_grad_enabled() or hooked or compiling)
    bare = in_place or (compiling and not hooked)

    def product(inputs: Tensor) -> Tensor:
        if bare:
            return layer.synapse.apply(inputs, layer.weight, layer.bias)
        drive: Tensor = layer.module(inputs)
        return drive

    drive = layer.drive(layer.neuron.synaptic_input(signal), product)
    pool = layer.fused_pool(drive)
    if in_place:
        activity, _, _ = layer.neuron.run(drive, None, pool)
        return activity if pool == layer.pool else layer.pooled(activity)
    if pool and not layer.neuron.pools_spikes:
        pooled: Tensor = layer.neuron(drive, pool)
        return pooled
    return layer.pooled(layer.neuron(drive))


def _hooked(layer: SynapticLayer) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in (layer.module, layer.neuron))
