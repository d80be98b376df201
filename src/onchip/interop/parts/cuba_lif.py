"""Leaky integrate-and-fire neurons with a synaptic current."""

from typing import Any, ClassVar

import numpy as np

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions
from onchip.interop.parts import memory
from onchip.interop.parts.base import Found, NeuronReader, Neurons, NeuronWriter, Shape, Written
from onchip.interop.parts.constants import filled, recalled, spread
from onchip.interop.parts.lif import read_decay
from onchip.interop.parts.spikes import judged, neurons
from onchip.nn.neurons.cuba_lif import CubaLIF

DECAYS = ("decay", "current_decay")


class CubaLIFConverter(NeuronWriter, NeuronReader):
    """`CubaLIF` to and from CubaLIF.

    By Euler's method, with the current first, τ_syn dI/dt = -I + w_in S and τ_mem dv/dt = v_leak - v + R I are our
    i[t] = α i[t-1] + S[t] and u[t] = λ v[t-1] + i[t] for α = 1 - dt/τ_syn, w_in = τ_syn/dt, λ = 1 - dt/τ_mem and
    R = τ_mem/dt.
    """

    layers: ClassVar[tuple[type, ...]] = (CubaLIF,)
    nodes: ClassVar[tuple[str, ...]] = ("CubaLIF",)

    def write(self, neuron: CubaLIF, shape: Shape, conventions: Conventions) -> Written:
        membrane = neuron.membrane()
        decay, current = (filled(neuron.constant(name), shape) for name in DECAYS)
        threshold = conventions.written_threshold(np.full(shape, membrane.threshold))
        fields = {
            "tau_syn": conventions.tau(current),
            "tau_mem": conventions.tau(decay),
            "r": conventions.resistance(decay, "r"),
            "v_leak": np.zeros(shape),
            "v_threshold": threshold,
            "v_reset": np.zeros(shape),
            "w_in": conventions.resistance(current, "r"),
        }
        constants = [threshold, fields["tau_syn"], fields["tau_mem"]]
        word, reason = judged(conventions, membrane.hard, constants)
        return Written("CubaLIF", fields, word, reason, memory.spiking(neuron) | memory.decays(neuron, DECAYS))

    def read(self, found: Found, shape: Shape, conventions: Conventions) -> Neurons:
        decay = read_decay(found, "tau_mem", shape, conventions)
        current = read_decay(found, "tau_syn", shape, conventions)
        gain = conventions.gain(decay, spread(found, "r", shape), "r")
        gain = gain * conventions.gain(current, spread(found, "w_in", shape), "r")
        if spread(found, "v_leak", shape).any():
            raise UnsupportedError(f"{found.kind} {found.name!r} has v_leak other than 0; expected 0")
        threshold, factor, shift = neurons(found, shape, conventions, gain, np.zeros(shape))
        options: dict[str, Any] = memory.options(found, conventions) | {"threshold": threshold}
        for name, values in (("decay", decay), ("current_decay", current)):
            options[name] = recalled(found, name, values)
        neuron = CubaLIF(learn_decay=memory.learns(found, DECAYS), **options)
        memory.restore(found, neuron, DECAYS)
        return Neurons(neuron, factor, shift)
