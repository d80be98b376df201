"""Convolutions over sequences and images, whose weights may be standardized."""

from typing import Any, ClassVar

import numpy as np
import torch

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions
from onchip.interop.parts.base import Found, Shapes, SynapseReader, SynapseWriter, Written
from onchip.interop.parts.weights import array, parameter
from onchip.interop.verdict import Word
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses import Conv1dSynapse, Conv2dSynapse, StandardizedConv2dSynapse
from onchip.nn.synapses.convolution import ConvolutionSynapse


class ConvolutionConverter(SynapseWriter, SynapseReader):
    """`Conv1d` and `Conv2d` to and from nodes of these names; standardized weights are written as they are used."""

    layers: ClassVar[tuple[type, ...]] = (Conv1dSynapse, Conv2dSynapse, StandardizedConv2dSynapse)
    nodes: ClassVar[tuple[str, ...]] = ("Conv1d", "Conv2d")

    def write(self, layer: SynapticLayer, shapes: Shapes, conventions: Conventions) -> Written:
        synapse = layer.synapse.bare()
        assert isinstance(synapse, ConvolutionSynapse)
        weight, bias = array(layer.weight), layer.bias
        none = np.zeros_like(weight.reshape(len(weight), -1)[:, 0])
        fields: dict[str, Any] = {
            "weight": weight,
            "bias": none if bias is None else array(bias),
            "groups": synapse.groups,
        }
        geometry = {"stride": synapse.stride, "padding": synapse.padding, "dilation": synapse.dilation}
        geometry["input_shape"] = shapes[0][1:]
        for name, values in geometry.items():
            fields[name] = values[0] if synapse.spatial_axes == 1 else np.array(values)
        word, reasons = _judged(synapse, conventions)
        if type(synapse) is StandardizedConv2dSynapse:
            reasons.append("its standardized weights are written as plain ones")
        odd = synapse.groups > 1 or len(set(synapse.shape[2:])) > 1
        if odd:
            reasons.append("nir.read needs type_check=False: nir 1.0.8 has wrong shapes for groups and oblong kernels")
        memory = {} if bias is not None else {"bias": 0}
        return Written(f"Conv{synapse.spatial_axes}d", fields, word, "; ".join(reasons), memory, typed=not odd)

    def read(self, found: Found) -> torch.nn.Module:
        weight, axes = found.numbers("weight"), int(found.kind[4])
        if weight.ndim != 2 + axes or 0 in weight.shape:
            raise UnsupportedError(
                f"{found.kind} {found.name!r} has weights of shape {weight.shape}; expected "
                f"(outputs, inputs, {'kernel' if axes == 1 else 'kernel height, kernel width'})"
            )
        groups = self._whole(found, "groups", 1, least=1)[0]
        if weight.shape[0] % groups:
            raise UnsupportedError(
                f"{found.kind} {found.name!r} has {weight.shape[0]} outputs in {groups} groups; expected a multiple"
            )
        biased = found.flag("bias", default=True)
        given = found.node.padding
        given = given.decode("ascii", "replace") if isinstance(given, bytes) else given
        if isinstance(given, str) and given not in ("same", "valid"):
            raise UnsupportedError(f"{found.kind} {found.name!r} has padding {given!r:.40}; expected numbers")
        options: dict[str, Any] = {
            "stride": self._whole(found, "stride", axes, least=1),
            "padding": given if isinstance(given, str) else self._whole(found, "padding", axes, least=0),
            "dilation": self._whole(found, "dilation", axes, least=1),
            "groups": groups,
            "bias": biased,
            "device": "meta",
        }
        make = torch.nn.Conv1d if axes == 1 else torch.nn.Conv2d
        try:
            module = make(weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), **options)
        except ValueError as error:
            raise UnsupportedError(f"{found.kind} {found.name!r}: {error}") from error
        module.weight = parameter(found, "weight")
        if biased:
            module.bias = parameter(found, "bias", (weight.shape[0],))
        return module

    @staticmethod
    def _whole(found: Found, name: str, axes: int, *, least: int) -> tuple[int, ...]:
        """Whole numbers by axis, of which one may stand for all."""
        values = found.numbers(name).reshape(-1)
        if values.size not in (1, axes) or (values != np.round(values)).any() or values.min() < least:
            raise UnsupportedError(
                f"{found.kind} {found.name!r} has {name} of {values[:4].tolist()}; expected whole numbers from {least}"
            )
        if values.max() > 2**31 - 1:
            raise UnsupportedError(f"{found.kind} {found.name!r} has {name} of {values.max():g}; expected less")
        return tuple(int(value) for value in np.broadcast_to(values, axes))


def _judged(synapse: ConvolutionSynapse, conventions: Conventions) -> tuple[Word, list[str]]:
    reader = conventions.reader
    if synapse.groups > 1 and not reader.grouped:
        return "unsupported", [f"{reader.name} {reader.version} takes no convolutions with groups"]
    return "faithful", []
