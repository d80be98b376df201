"""A NIR graph read as a network."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onchip import nn
from onchip.errors import OnchipError, RequestError, UnsupportedError, require
from onchip.interop import file
from onchip.interop.conventions import Conventions
from onchip.interop.folding import fold
from onchip.interop.nested import Flat, flat
from onchip.interop.parts import OF_NODE
from onchip.interop.parts.base import Found, NeuronReader, NodeReader, Shape, SynapseReader, WeightlessReader
from onchip.interop.parts.unsaid import NODES
from onchip.interop.readers import reader_of
from onchip.interop.structure import Branches, Chain, structure
from onchip.interop.verdict import Verdict
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons.spiking import Reset, Spiking
from onchip.nn.synapses import synapse_of


def from_nir(
    graph: Any,
    *,
    reader: str | None = None,
    dt: float | None = None,
    shape: Sequence[int] | None = None,
    reset: Reset | None = None,
) -> tuple[nn.Sequential, tuple[Verdict, ...]]:
    """A NIR graph, or a file of one, as a network of the same spikes.

    Args:
        graph: A `nir.NIRGraph`, or the path of a file.
        reader: Whose conventions the graph follows, by name; None for those that our export named, else NIR's own.
        dt: Time step, in seconds; None for that of our export, else for the reader's.
        shape: Of the input, without time and batch; None for that of the graph's input node.
        reset: `hard` or `soft`, of neurons whose reset our export has not stored, because NIR cannot say a soft one;
            None for that of the reader.

    Returns:
        The network, and a verdict on each node.

    Raises:
        RequestError: The package `nir` is not installed, or there is no such reader.
        DataError: The file cannot be read, or is no NIR file.
        UnsupportedError: The graph has a node, a cycle or a branch that no network of ours has, shapes that do not
            meet, or numbers that are not finite.

    Example:
        >>> from onchip import interop, nn
        >>> graph, _ = interop.to_nir(nn.Sequential(nn.Linear(4, 8), nn.LIF(reset="hard"), nn.Linear(8, 2)), (4,))
        >>> network, verdicts = interop.from_nir(graph)
        >>> network[1]
        LIF(decay=0.5, threshold=1, reset='hard')
    """
    named = None if reader is None else reader_of(reader)
    require(reset in (None, "hard", "soft"), "from_nir", "reset", reset, "hard or soft")
    if isinstance(graph, (str, os.PathLike)):
        graph = file.read(Path(graph)).graph
    if type(graph).__name__ != "NIRGraph":
        raise RequestError(f"got a {type(graph).__name__}; expected a nir.NIRGraph, or the path of a NIR file")
    about = memory_of(graph)
    assumed = named or reader_of(_text(about.get("reader")) or "nir")
    step = dt if dt is not None else about.get("dt", assumed.dt) if reader is None else assumed.dt
    seconds = float(step) if isinstance(step, (int, float, np.integer, np.floating)) else math.nan
    require(0.0 < seconds < math.inf, "from_nir", "dt", " ".join(f"{step!s:.40}".split()), "seconds, above 0")
    wide = _text(about.get("precision")) == "float64"
    precision = np.float64 if wide else np.float32
    conventions = Conventions(assumed, seconds, precision, reset or assumed.resets)
    with np.errstate(all="ignore"):  # what is no finite number is refused where it shows
        return _Reading(flat(graph), conventions).network(shape)


def input_shape(graph: Any) -> tuple[int, ...]:
    """Shape of the input of a `nir.NIRGraph`, without time and batch.

    Raises:
        UnsupportedError: It has not one input, or that says no shape.
    """
    reading = _Reading(flat(graph), Conventions(reader_of("nir"), 1.0))
    return reading.input_shape(reading.only("Input"), None)


def memory_of(node: Any) -> Mapping[str, Any]:
    """What our export stored in the metadata of a graph or a node; empty in those of others."""
    metadata = getattr(node, "metadata", None)
    stored = metadata.get("onchip") if isinstance(metadata, Mapping) else None
    return stored if isinstance(stored, Mapping) else {}


@dataclass
class _Reading:
    """A graph that is being read."""

    graph: Flat
    conventions: Conventions
    verdicts: list[Verdict] = field(default_factory=list)
    recurrent: Mapping[str, str] = field(default_factory=dict)

    def network(self, given: Sequence[int] | None) -> tuple[nn.Sequential, tuple[Verdict, ...]]:
        """The network and the verdicts."""
        for name, node in self.graph.nodes.items():
            kind = type(node).__name__
            if kind not in OF_NODE and kind not in ("Input", "Output"):
                raise UnsupportedError(f"node {name!r} is a {kind}: {NODES.get(kind, 'no node that we know')}")
        source, sink = (self.only(kind) for kind in ("Input", "Output"))
        maps = [name for name in self.graph.nodes if isinstance(self.part(name), SynapseReader)]
        try:
            found = structure(self.graph.edges, source, sink, self.graph.nodes, weights=maps)
            self.recurrent = found.recurrent
            for owner, weights in found.recurrent.items():
                if not isinstance(self.part(owner), NeuronReader):
                    raise UnsupportedError(f"a cycle leads through {owner!r} and {weights!r}; expected neurons in it")
            features = torch.zeros(1, *self.input_shape(source, given))
            modules, features = self.chain(found.chain, features)
        except RecursionError:
            raise UnsupportedError("the graph has branches within branches without end") from None
        network = nn.Sequential(*modules)
        build_graph(network)
        self.check_end(sink, tuple(features.shape[1:]))
        return network, tuple(self.verdicts)

    def only(self, kind: str) -> str:
        """The one node of a type."""
        names = [name for name, node in self.graph.nodes.items() if type(node).__name__ == kind]
        if len(names) != 1:
            raise UnsupportedError(f"the graph has {len(names)} nodes of type {kind}; expected one")
        return names[0]

    def part(self, name: str) -> NodeReader | None:
        """What reads a node."""
        return OF_NODE.get(self.found(name).part)

    def found(self, name: str) -> Found:
        """A node to be read."""
        node = self.graph.nodes[name]
        return Found(name, type(node).__name__, node, memory_of(node))

    def input_shape(self, source: str, given: Sequence[int] | None) -> Shape:
        """Shape of the input, without the batch."""
        sizes = given if given is not None else (self.graph.nodes[source].input_type or {}).get("input")
        numbers = np.asarray([] if sizes is None else sizes).reshape(-1)
        whole = numbers.dtype.kind in "iu" and numbers.size > 0 and (numbers > 0).all()
        if not whole or math.prod(map(int, numbers)) > 2**28:
            raise UnsupportedError(
                f"the input {source!r} has shape {numbers.tolist()!r:.60}; expected positive numbers, or shape=..."
            )
        return tuple(map(int, numbers))

    def check_end(self, sink: str, shape: Shape) -> None:
        """Refuses an output of another shape than its node says."""
        sizes = (self.graph.nodes[sink].output_type or {}).get("output")
        numbers = np.asarray([] if sizes is None else sizes).reshape(-1)
        if numbers.size and (numbers.dtype.kind not in "iu" or math.prod(map(int, numbers)) != math.prod(shape)):
            raise UnsupportedError(f"the output {sink!r} has shape {numbers.tolist()!r:.60}, and {shape} arrives there")

    def chain(self, chain: Chain, features: Tensor) -> tuple[list[torch.nn.Module], Tensor]:
        """The modules of a chain, and what leaves it for these features."""
        modules: list[torch.nn.Module] = []
        for place, item in enumerate(chain):
            if isinstance(item, Branches):
                block, features = self.branches(item, features)
                modules.append(block)
                continue
            part = self.part(item)
            if isinstance(part, NeuronReader):
                last = chain[place - 1] if place else None
                if not isinstance(last, str) or not isinstance(self.part(last), SynapseReader):
                    raise UnsupportedError(
                        f"{self.found(item).kind} {item!r} does not follow weights; expected Linear, Affine, Conv1d or "
                        "Conv2d before it"
                    )
                modules.append(self.neurons(item, last, modules[-1], features))
                continue
            if isinstance(part, SynapseReader):
                module = part.read(self.found(item))
                features = _applied(item, module, features)
            else:
                assert isinstance(part, WeightlessReader)
                module, features = self.weightless(part, item, features)
            self.tell(item, module)
            modules.append(module)
        return modules, features

    def weightless(self, part: WeightlessReader, name: str, features: Tensor) -> tuple[torch.nn.Module, Tensor]:
        """A layer without weights, and what it makes of the features."""
        found = self.found(name)
        module = part.read(found, tuple(features.shape[1:]), self.conventions)
        try:
            return module, module(features)
        except (RuntimeError, IndexError, ValueError) as error:
            raise UnsupportedError(
                f"{found.kind} {name!r} cannot take features of shape {tuple(features.shape[1:])}: "
                f"{' '.join(str(error).split())}"
            ) from error

    def branches(self, item: Branches, features: Tensor) -> tuple[nn.Residual, Tensor]:
        """Branches that are added; the one with more weights is the body."""
        body, shortcut = sorted((item.first, item.second), key=self.weights_in, reverse=True)
        if not self.weights_in(body):
            raise UnsupportedError("a branch without weights is added to another one; expected weights in one of them")
        modules, after = self.chain(body, features)
        beside, other = self.chain(shortcut, features)
        if after.shape != other.shape:
            raise UnsupportedError(
                f"features of shape {tuple(after.shape[1:])} and {tuple(other.shape[1:])} are added; expected one shape"
            )
        return nn.Residual(nn.Sequential(*modules), nn.Sequential(*beside) if beside else None), after

    def weights_in(self, chain: Chain) -> int:
        """Layers with weights in a chain."""
        inner = [
            self.weights_in(item.first) + self.weights_in(item.second) for item in chain if isinstance(item, Branches)
        ]
        return sum(inner) + sum(isinstance(item, str) and isinstance(self.part(item), SynapseReader) for item in chain)

    def neurons(self, name: str, driver: str, module: torch.nn.Module, features: Tensor) -> torch.nn.Module:
        """The neurons of a node, with their recurrent connection; the weights that drive them are brought to scale."""
        part, found, shape = self.part(name), self.found(name), tuple(features.shape[1:])
        assert isinstance(part, NeuronReader)
        read = part.read(found, shape, self.conventions)
        notes = [read.note] if read.note else []
        if fold(module, driver, read.gain, read.shift, shape):
            notes.append(f"its gain or threshold is multiplied into the weights of {driver!r}")
        neuron: torch.nn.Module = read.neuron
        back = self.recurrent.get(name)
        if back is not None:
            weights = self.part(back)
            assert isinstance(weights, SynapseReader)
            recurrent = weights.read(self.found(back))
            if _applied(back, recurrent, features).shape != features.shape:
                raise UnsupportedError(f"the recurrent connection {back!r} does not return features of shape {shape}")
            fold(recurrent, back, read.gain, np.zeros(()), shape)
            neuron = nn.Recurrent(recurrent, read.neuron)
            self.tell(back, recurrent, "a recurrent connection")
        if found.text("reset") == "soft":
            notes.append("the soft reset is that of our metadata")
        elif self.conventions.reset == "soft" and isinstance(read.neuron, Spiking) and not found.text("reset"):
            notes.append("NIR cannot say a soft reset: it was asked for, or is that of the reader")
        self.tell(name, read.neuron, "; ".join(notes))
        return neuron

    def tell(self, name: str, module: torch.nn.Module, reason: str = "") -> None:
        """Adds the verdict on a node that was read."""
        self.verdicts.append(Verdict(name, str(module), "faithful", reason))


def _applied(name: str, module: torch.nn.Module, features: Tensor) -> Tensor:
    """Features (1, ...) after a layer with weights."""
    try:
        synapse_of(name, module).check(name, features.shape)
        with torch.no_grad():
            applied: Tensor = module(features.to(next(module.parameters()).dtype))
    except OnchipError as error:
        raise UnsupportedError(f"shapes do not meet: {error}") from error
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(
            f"{name!r} cannot take features of shape {tuple(features.shape[1:])}: {error}"
        ) from error
    return applied


def _text(value: Any) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else None
