"""A chain of layers over whole sequences."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from onchip.kernels.tracing import scripted, traced
from onchip.nn.graph import SynapticLayer, run
from onchip.nn.graph_builder import build_graph
from onchip.nn.recurrent import PlainRecurrence, RecurrentProduct, recur
from onchip.nn.signals import Signal, expanded


class Sequential(nn.Sequential):
    """A chain of layers over whole sequences.

    `model(signal)` is plain inference, and differentiable by plain autograd: through time with surrogate
    gradients, or through the spike times. A learning rule from `onchip.rules` trains the same modules by
    other means.

    It can be traced and exported for inference (`torch.jit.trace`, `make_fx`, `torch.export`). Only `torch.compile`
    keeps the derivatives of the spikes.

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
        output = run(graph, signal, _infer)
        # A trace has no surrogate derivatives; so that nobody trains by it, it has no derivatives at all.
        return output.detach() if scripted() else output


def _infer(index: int, layer: SynapticLayer, signal: Signal) -> Tensor:
    # Where no derivative is wanted the layer runs as one, in place; a tracer follows what is written out. But hooks on
    # a module need its own call.
    hooked, followed = _hooked(layer), traced()
    in_place = not (torch.is_grad_enabled() or hooked or followed)
    bare = in_place or (followed and not hooked)
    drive = layer.drive(layer.neuron.synaptic_input(signal), _product(layer, bare=bare))
    if layer.recurrent is not None:
        return layer.pooled(_recurred(layer.recurrent, expanded(drive), in_place=in_place))
    pool = layer.fused_pool(drive)
    if in_place:
        activity, _, _ = layer.neuron.run(drive, None, pool)
        return activity if pool == layer.pool else layer.pooled(activity)
    if pool and not layer.neuron.pools_spikes:
        pooled: Tensor = layer.neuron(drive, pool)
        return pooled
    return layer.pooled(layer.neuron(drive))


def _product(layer: SynapticLayer, *, bare: bool) -> Callable[[Tensor], Tensor]:
    def product(inputs: Tensor) -> Tensor:
        if bare:
            return layer.synapse.apply(inputs, layer.weight, layer.bias)
        drive: Tensor = layer.module(inputs)
        return drive

    return product


def _recurred(recurrent: SynapticLayer, drive: Tensor, *, in_place: bool) -> Tensor:
    """Activity of the neurons of a recurrent connection, (T, B, features...)."""
    neuron = recurrent.neuron
    if traced():
        return neuron.unrolled(drive, _product(recurrent, bare=True))
    if in_place:
        product = RecurrentProduct(recurrent.synapse, recurrent.weight, recurrent.bias)
        given = drive.contiguous() if drive.stride(0) else drive.clone()  # a static drive is one step for all
        return recur(neuron, given, product, None, None)[0][1:]
    learned = neuron.learned().values()
    activity: Tensor = PlainRecurrence.apply(
        drive, recurrent.weight, recurrent.bias, recurrent.synapse, neuron, *learned
    )
    return activity


def _hooked(layer: SynapticLayer) -> bool:
    return any(module._forward_hooks or module._forward_pre_hooks for module in (layer.module, layer.neuron))
