"""Leaky read-outs."""

from typing import Any, ClassVar

import numpy as np

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions
from onchip.interop.parts import memory
from onchip.interop.parts.base import Found, NeuronReader, Neurons, NeuronWriter, Shape, Written
from onchip.interop.parts.constants import filled, recalled, spread
from onchip.interop.parts.lif import read_decay
from onchip.interop.parts.spikes import judged
from onchip.nn.neurons.li import LI


class LIConverter(NeuronWriter, NeuronReader):
    """`LI` to and from LI, and from I, which does not leak.

    By Euler's method, τ dv/dt = v_leak - v + R I is our y[t] = κ y[t-1] + I[t] for κ = 1 - dt/τ and R = τ/dt.
    """

    layers: ClassVar[tuple[type, ...]] = (LI,)
    nodes: ClassVar[tuple[str, ...]] = ("LI", "I")

    def write(self, neuron: LI, shape: Shape, conventions: Conventions) -> Written:
        decay, gain = filled(neuron.constant("decay"), shape), conventions.reader.li_gain
        resistance = conventions.resistance(decay, gain)
        fields = {"tau": conventions.tau(decay), "r": resistance, "v_leak": np.zeros(shape)}
        word, reason = judged(conventions, conventions.reader.resets == "hard", [fields["tau"]])
        return Written("LI", fields, word, reason, memory.decays(neuron, ["decay"]))

    def read(self, found: Found, shape: Shape, conventions: Conventions) -> Neurons:
        resistance = spread(found, "r", shape)
        if found.kind == "I":
            return Neurons(LI(decay=1.0), conventions.if_gain(resistance), np.zeros(shape))
        decay = read_decay(found, "tau", shape, conventions)
        gain = conventions.gain(decay, resistance, conventions.reader.li_gain)
        if not np.isfinite(1.0 / gain).all():
            raise UnsupportedError(f"{found.kind} {found.name!r} has an input that counts for nothing; expected R")
        shift = (1.0 - decay) * spread(found, "v_leak", shape) / gain
        learns: dict[str, Any] = {"learn_decay": memory.learns(found, ["decay"])}
        neuron = LI(decay=recalled(found, "decay", decay), **learns)
        memory.restore(found, neuron, ["decay"])
        return Neurons(neuron, gain, shift)
