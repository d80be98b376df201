"""All-to-all connections: Linear, and Affine where there is a bias."""

from typing import ClassVar

import numpy as np
import torch

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Found, Shapes, SynapseReader, SynapseWriter, Written
from onchip.interop.parts.weights import array, parameter
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses import LinearSynapse


class LinearConverter(SynapseWriter, SynapseReader):
    """`torch.nn.Linear` to and from Linear and Affine."""

    layers: ClassVar[tuple[type, ...]] = (LinearSynapse,)
    nodes: ClassVar[tuple[str, ...]] = ("Linear", "Affine")

    def write(self, layer: SynapticLayer, shapes: Shapes, conventions: Conventions) -> Written:
        weight, bias = array(layer.weight), layer.bias
        if bias is not None:
            return Written("Affine", {"weight": weight, "bias": array(bias)})
        if conventions.reader.bias:
            return Written("Affine", {"weight": weight, "bias": np.zeros_like(weight[:, 0])}, memory={"bias": 0})
        return Written("Linear", {"weight": weight})

    def read(self, found: Found) -> torch.nn.Module:
        weight = found.numbers("weight")
        if weight.ndim != 2 or not weight.size:
            raise UnsupportedError(
                f"{found.kind} {found.name!r} has weights of shape {weight.shape}; expected (outputs, inputs)"
            )
        biased = found.kind == "Affine" and found.flag("bias", default=True)
        module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=biased, device="meta")
        module.weight = parameter(found, "weight")
        if biased:
            module.bias = parameter(found, "bias", (weight.shape[0],))
        return module
