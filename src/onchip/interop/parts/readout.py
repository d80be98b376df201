"""The plain read-out, which is no node: the last weights lead to the output."""

from typing import ClassVar

from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import NeuronWriter, Shape, Written
from onchip.nn.neurons.readout import Readout


class ReadoutConverter(NeuronWriter):
    """`Readout`, o[t] = I[t], is what an edge from the last weights to the output says; the sum over time is not part
    of the network. The same holds for weights that drive other weights."""

    layers: ClassVar[tuple[type, ...]] = (Readout,)

    def write(self, neuron: Readout, shape: Shape, conventions: Conventions) -> Written | None:
        return None
