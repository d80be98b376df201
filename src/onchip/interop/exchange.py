"""Networks to files of NIR graphs, and back, with the rules that train them."""

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from onchip.errors import DataError
from onchip.interop import file
from onchip.interop.learning import group
from onchip.interop.learning.document import Document
from onchip.interop.learning.rules import Learning, Restored, restored
from onchip.interop.parts import OF_NODE
from onchip.interop.parts.base import SynapseReader
from onchip.interop.reading import from_nir, input_shape, memory_of
from onchip.interop.trees import Tree
from onchip.interop.verdict import Verdict
from onchip.interop.writing import to_nir
from onchip.nn import Sequential
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons.spiking import Reset
from onchip.training.networks import Network
from onchip.training.own_network import neuron_names


def export(
    path: str | os.PathLike[str],
    model: nn.Module,
    shape: Sequence[int],
    *,
    reader: str = "nir",
    approximate: bool = False,
    learning: Learning | None = None,
) -> tuple[Verdict, ...]:
    """Writes a network to a NIR file, in one piece.

    Args:
        path: The file; its folder must exist.
        model: As for `to_nir`.
        shape: As for `to_nir`.
        reader: As for `to_nir`.
        approximate: As for `to_nir`.
        learning: The rule that trains the network, for the group `learning`, which other readers do not open; None for
            the network alone.

    Returns:
        The verdicts, which the file holds, too.

    Raises:
        RequestError: As `to_nir`; or the rule trains another network, or has other options than `learning` says.
        UnsupportedError: As `to_nir`; or the rule cannot be described.
        OSError: The file cannot be written.
    """
    graph, verdicts = to_nir(model, shape, reader=reader, approximate=approximate)
    groups = None
    if learning is not None:
        nodes = {
            str(memory_of(node)["name"]): name
            for name, node in graph.nodes.items()
            if isinstance(OF_NODE.get(type(node).__name__), SynapseReader)
        }
        document, tensors = learning.written(model, nodes)
        groups = partial(_groups, document, tensors)
    file.write(Path(path), graph, groups)
    return verdicts


def _groups(document: Document, tensors: Mapping[str, Tensor], graph: str) -> Mapping[str, Tree]:
    return {group.GROUP: group.written(document.of(graph), tensors)}


@dataclass(frozen=True)
class Imported:
    """What a NIR file holds.

    Args:
        model: The network that the graph says.
        verdicts: A verdict on each node.
        shape: Shape of its input, without time and batch.
        document: What the group `learning` says; None without one.
        tensors: Those of the group.
    """

    model: Sequential
    verdicts: tuple[Verdict, ...]
    shape: tuple[int, ...]
    document: Document | None
    tensors: Mapping[str, Tensor]

    @property
    def network(self) -> Network:
        """The network as a run takes it: what builds copies of it, and what is known of it."""
        graph = build_graph(self.model)
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        return Network(partial(copy.deepcopy, self.model), graph.kind, neuron_names(graph), parameters)

    @property
    def classes(self) -> int:
        """Number of outputs."""
        return len(build_graph(self.model).layers[-1].weight)

    def restored(self) -> Restored:
        """The network and the rule that trains it, as they were when they were exported.

        Raises:
            DataError: The file has no group `learning`, or its parts do not fit together.
        """
        if self.document is None:
            raise DataError("the file has no group 'learning'; expected one that was exported with a rule")
        return restored(self.document, self.tensors)


def read(
    path: str | os.PathLike[str],
    *,
    reader: str | None = None,
    dt: float | None = None,
    shape: Sequence[int] | None = None,
    reset: Reset | None = None,
) -> Imported:
    """What a NIR file holds: the network, and the rule that trains it.

    Args:
        path: The file.
        reader: As for `from_nir`.
        dt: As for `from_nir`.
        shape: As for `from_nir`.
        reset: As for `from_nir`.

    Raises:
        RequestError: As `from_nir`.
        DataError: As `from_nir`; or the group `learning` is damaged, of a later version, or of another graph.
        UnsupportedError: As `from_nir`.
    """
    held = file.read(Path(path))
    model, verdicts = from_nir(held.graph, reader=reader, dt=dt, shape=shape, reset=reset)
    shape = input_shape(held.graph) if shape is None else tuple(shape)
    if group.GROUP not in held.groups:
        return Imported(model, verdicts, shape, None, {})
    try:
        document, tensors = group.read(held.groups[group.GROUP], held.digest)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return Imported(model, verdicts, shape, document, tensors)


def load(
    path: str | os.PathLike[str],
    *,
    reader: str | None = None,
    dt: float | None = None,
    shape: Sequence[int] | None = None,
    reset: Reset | None = None,
) -> Sequential:
    """The network in a NIR file.

    Args:
        path: The file.
        reader: As for `from_nir`, which also returns the verdicts.
        dt: As for `from_nir`.
        shape: As for `from_nir`.
        reset: As for `from_nir`.

    Raises:
        RequestError: As `from_nir`.
        DataError: As `from_nir`.
        UnsupportedError: As `from_nir`.
    """
    return from_nir(path, reader=reader, dt=dt, shape=shape, reset=reset)[0]
