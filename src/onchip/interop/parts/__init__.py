"""Converters by layer and by node: a new neuron or synapse is one file here and one line in this list.

What NIR cannot say has its reason in `unsaid` instead.
"""

from onchip.interop.parts.base import LayerWriter, NodeReader
from onchip.interop.parts.convolution import ConvolutionConverter
from onchip.interop.parts.cuba_lif import CubaLIFConverter
from onchip.interop.parts.flatten import FlattenConverter
from onchip.interop.parts.li import LIConverter
from onchip.interop.parts.lif import LIFConverter
from onchip.interop.parts.linear import LinearConverter
from onchip.interop.parts.nothing import NothingConverter
from onchip.interop.parts.pooling import AdaptivePoolConverter, PoolConverter
from onchip.interop.parts.readout import ReadoutConverter

__all__ = ["CONVERTERS", "OF_LAYER", "OF_NODE"]

CONVERTERS: tuple[LayerWriter, ...] = (
    LinearConverter(),
    ConvolutionConverter(),
    LIFConverter(),
    CubaLIFConverter(),
    LIConverter(),
    ReadoutConverter(),
    PoolConverter(),
    AdaptivePoolConverter(),
    FlattenConverter(),
    NothingConverter(),
)

OF_LAYER: dict[type, LayerWriter] = {layer: each for each in CONVERTERS for layer in each.layers}
"""The converter that writes a type of synapse, neuron or module."""

OF_NODE: dict[str, NodeReader] = {
    node: each for each in CONVERTERS if isinstance(each, NodeReader) for node in each.nodes
}
"""The converter that reads a type of node."""
