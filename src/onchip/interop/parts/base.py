"""What converts one kind of layer to nodes of a graph, and back.

A new neuron or synapse is one file with a converter and a line in `onchip.interop.parts`. Of the tensors of a file, all
are NumPy arrays in double precision but weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Conventions, Numbers
from onchip.interop.verdict import Word
from onchip.nn.graph import SynapticLayer
from onchip.nn.neurons.base import Neuron

Shape = tuple[int, ...]
"""Of one sample at one time step, without the batch."""

Shapes = tuple[Shape, Shape]
"""Of the input and of the output of a layer."""


@dataclass(frozen=True)
class Written:
    """A node of a graph that is being written.

    Args:
        kind: Its type in NIR.
        fields: Its fields by name.
        word: Verdict on it.
        reason: The reason.
        memory: What NIR cannot say, for our own import: numbers, text and arrays that have axes.
        typed: Whether the package `nir` computes its shapes as they are.
    """

    kind: str
    fields: Mapping[str, Any]
    word: Word = "faithful"
    reason: str = ""
    memory: Mapping[str, Any] = field(default_factory=dict)
    typed: bool = True


@dataclass(frozen=True)
class Found:
    """A node of a graph that is being read.

    Args:
        name: Its name.
        kind: Its type in NIR.
        node: The node.
        memory: What our export stored beside it; empty in files of others.
    """

    name: str
    kind: str
    node: Any
    memory: Mapping[str, Any]

    @property
    def part(self) -> str:
        """The type of node by which it is read: a convolution of ours may stand for a pool."""
        pools = self.kind == "Conv2d" and self.text("stands_for") == "AvgPool2d"
        return "AvgPool2d" if pools else self.kind

    def numbers(self, name: str) -> Numbers:
        """A numerical field in double precision.

        Raises:
            UnsupportedError: It holds no finite numbers.
        """
        values = np.asarray(getattr(self.node, name))
        if values.dtype.kind not in "fiub":
            raise UnsupportedError(f"{self.kind} {self.name!r} has {name} of type {values.dtype}; expected numbers")
        numbers = values.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise UnsupportedError(f"{self.kind} {self.name!r} has NaN or infinity in {name}; expected finite numbers")
        return numbers

    def text(self, name: str) -> str:
        """What our export stored under a name, if that is text."""
        stored = self.memory.get(name)
        return stored if isinstance(stored, str) else ""

    def flag(self, name: str, *, default: bool) -> bool:
        """What our export stored under a name, if that is 0 or 1."""
        stored = self.memory.get(name)
        return bool(stored) if isinstance(stored, (int, np.integer)) and stored in (0, 1) else default

    def agrees(self, name: str, derived: Numbers | float) -> bool:
        """Whether our export stored this number or array, and the node still says the same, to 1e-6."""
        stored = self.memory.get(name)
        if stored is None or (np.ndim(stored) and np.ndim(stored) != np.ndim(derived)):
            return False
        try:
            return bool(np.allclose(np.asarray(stored, np.float64), derived, rtol=1e-6, atol=1e-6))
        except (TypeError, ValueError):
            return False


@dataclass(frozen=True)
class Neurons:
    """Neurons that were read, for a drive other than the file's: ours is gain (I + shift).

    Args:
        neuron: The neurons.
        gain: Factor by neuron, or one number.
        shift: Constant current, in units of the file's drive.
        note: What the import changed.
    """

    neuron: Neuron
    gain: Numbers
    shift: Numbers
    note: str = ""


class LayerWriter(ABC):
    """Writes a kind of layer."""

    layers: ClassVar[tuple[type, ...]]
    """Our types: exactly these."""


class NodeReader(ABC):
    """Reads a type of node."""

    nodes: ClassVar[tuple[str, ...]]
    """Names of the types."""


class SynapseWriter(LayerWriter):
    """Writes the weights of a layer; `layers` are types of synapses."""

    @abstractmethod
    def write(self, layer: SynapticLayer, shapes: Shapes, conventions: Conventions) -> Written:
        """The node, from a layer and the shapes of its input and output without the batch."""


class SynapseReader(NodeReader):
    """Reads the weights of a layer."""

    @abstractmethod
    def read(self, found: Found) -> torch.nn.Module:
        """The layer."""


class NeuronWriter(LayerWriter):
    """Writes neurons; `layers` are types of neurons."""

    @abstractmethod
    def write(self, neuron: Any, shape: Shape, conventions: Conventions) -> Written | None:
        """The node, from neurons and their shape; None where there is nothing to write."""


class NeuronReader(NodeReader):
    """Reads neurons."""

    @abstractmethod
    def read(self, found: Found, shape: Shape, conventions: Conventions) -> Neurons:
        """The neurons, whose shape is given."""


class WeightlessWriter(LayerWriter):
    """Writes layers without weights; `layers` are types of modules."""

    @abstractmethod
    def write(self, module: Any, shapes: Shapes, conventions: Conventions) -> Written | None:
        """The node, from a module and the shapes of its input and output; None where there is nothing to write."""


class WeightlessReader(NodeReader):
    """Reads layers without weights."""

    @abstractmethod
    def read(self, found: Found, shape: Shape, conventions: Conventions) -> torch.nn.Module:
        """The module, for an input of a shape."""
