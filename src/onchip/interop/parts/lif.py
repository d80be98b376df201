"""Leaky integrate-and-fire neurons, and the ones that do not leak."""

from typing import Any, ClassVar

import numpy as np

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions, Numbers
from onchip.interop.parts import memory
from onchip.interop.parts.base import Found, NeuronReader, Neurons, NeuronWriter, Shape, Written
from onchip.interop.parts.constants import filled, recalled, spread
from onchip.interop.parts.spikes import judged, neurons
from onchip.interop.verdict import worse
from onchip.nn.neurons.lif import IF, LIF


class LIFConverter(NeuronWriter, NeuronReader):
    """`LIF` and `IF` to and from nodes of these names.

    By Euler's method, τ dv/dt = v_leak - v + R I is our u[t] = λ v[t-1] + I[t] for λ = 1 - dt/τ, R = τ/dt and
    v_leak = 0; IF's dv/dt = R I is that of λ = 1 for R = 1/dt.
    """

    layers: ClassVar[tuple[type, ...]] = (LIF, IF)
    nodes: ClassVar[tuple[str, ...]] = ("LIF", "IF")

    def write(self, neuron: LIF, shape: Shape, conventions: Conventions) -> Written:
        reader, membrane = conventions.reader, neuron.membrane()
        decay = filled(neuron.constant("decay"), shape)
        kept = memory.spiking(neuron) | memory.decays(neuron, ["decay"]) | {"layer": type(neuron).__name__}
        endless = bool((decay == 1.0).all())
        if endless and not reader.leaks:
            threshold = conventions.written_threshold(np.full(shape, membrane.threshold))
            fields = {
                "r": conventions.if_resistance(shape),
                "v_threshold": threshold,
                "v_reset": np.zeros(shape),
            }
            word, reason = judged(conventions, membrane.hard, [threshold])
            return Written("IF", fields, word, reason, kept)
        tau, resistance = conventions.tau(decay), conventions.resistance(decay, reader.lif_gain)
        gain = conventions.gain(decay, resistance, reader.lif_gain)
        threshold = conventions.written_threshold(membrane.threshold * gain)
        fields = {
            "tau": tau,
            "r": resistance,
            "v_leak": np.zeros(shape),
            "v_threshold": threshold,
            "v_reset": np.zeros(shape),
        }
        word, reason = judged(conventions, membrane.hard, [threshold, tau])
        if not reader.least_decay and (decay == 0.0).any():
            word = worse(word, "unsupported")
            reason = f"{reader.name} {reader.version} takes no decay of 0"
        return Written("LIF", fields, word, reason, kept)

    def read(self, found: Found, shape: Shape, conventions: Conventions) -> Neurons:
        resistance = spread(found, "r", shape)
        if found.kind == "IF":
            decay, gain, leak = np.ones(shape), conventions.if_gain(resistance), np.zeros(shape)
        else:
            decay = read_decay(found, "tau", shape, conventions)
            gain = conventions.gain(decay, resistance, conventions.reader.lif_gain)
            leak = (1.0 - decay) * spread(found, "v_leak", shape)
        threshold, factor, shift = neurons(found, shape, conventions, gain, leak)
        options: dict[str, Any] = memory.options(found, conventions) | {"threshold": threshold}
        layer = found.text("layer") or found.kind
        if layer == "IF" and (decay == 1.0).all():
            return Neurons(IF(**options), factor, shift)
        options["learn_decay"] = memory.learns(found, ["decay"])
        neuron = LIF(decay=recalled(found, "decay", decay), **options)
        memory.restore(found, neuron, ["decay"])
        return Neurons(neuron, factor, shift)


def read_decay(found: Found, name: str, shape: Shape, conventions: Conventions) -> Numbers:
    """The decays that time constants mean.

    Raises:
        UnsupportedError: A time constant is below a time step, so that no decay has it.
    """
    tau = spread(found, name, shape)
    decay = conventions.decay(tau)
    if (tau < 0).any() or not (decay >= -1e-9).all():
        raise UnsupportedError(
            f"{found.kind} {found.name!r} has {name} of {tau.min():g}, below the time step of {conventions.dt:g}; give "
            "the time step that the network was made for: dt=..., or its reader="
        )
    return np.clip(decay, 0.0, 1.0)
