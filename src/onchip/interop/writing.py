"""A network written as a NIR graph."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from onchip import __version__
from onchip.errors import RequestError, UnsupportedError
from onchip.interop import package
from onchip.interop.conventions import Conventions
from onchip.interop.parts import OF_LAYER
from onchip.interop.parts.base import NeuronWriter, Shape, SynapseWriter, WeightlessWriter, Written
from onchip.interop.parts.unsaid import LAYERS
from onchip.interop.readers import Reader, reader_of
from onchip.interop.verdict import Verdict, Word, of_all, worse
from onchip.nn.graph import SkipConnection, SynapticLayer, WeightlessLayer
from onchip.nn.graph_builder import build_graph

FORMAT = 1
"""Version of what we store in the metadata of a graph and its nodes, under `onchip`."""


def to_nir(
    model: nn.Module, shape: Sequence[int], *, reader: str = "nir", approximate: bool = False
) -> tuple[Any, tuple[Verdict, ...]]:
    """A network as a NIR graph whose reader reproduces its spikes.

    Args:
        model: A network over time steps, such as `nn.Sequential(nn.Linear(...), nn.LIF(), nn.Linear(...))`.
        shape: Of its input, without time and batch: (features,), (channels, length) or (C, H, W).
        reader: Who will read it, by name; see `onchip.interop.READERS`.
        approximate: Whether nodes may be written of which the reader makes something else.

    Returns:
        A `nir.NIRGraph`, and a verdict on each node and connection, which the graph's metadata holds, too.

    Raises:
        RequestError: The package `nir` is not installed, there is no such reader, or input of this shape does not fit.
        UnsupportedError: A layer has no node, the reader cannot take it, or it is approximate, without leave.

    Example:
        >>> from onchip import interop, nn
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(reset="hard"), nn.Linear(8, 2))
        >>> graph, verdicts = interop.to_nir(model, (4,))
        >>> list(graph.nodes), verdicts[0].word
        (['input', 'affine', 'lif', 'affine_1', 'output'], 'faithful')
    """
    draft = drafted(model, shape, reader_of(reader))
    draft.refuse(approximate)
    return draft.graph(), tuple(draft.verdicts)


def verdicts(model: nn.Module, shape: Sequence[int], *, reader: str = "nir") -> tuple[Verdict, ...]:
    """The verdicts of `to_nir`, without the graph, and without a refusal."""
    return tuple(drafted(model, shape, reader_of(reader)).verdicts)


@dataclass
class Draft:
    """A graph that is being written.

    Args:
        reader: For whom.
        shape: Of the input.
    """

    reader: Reader
    shape: Shape
    nodes: dict[str, tuple[Written, dict[str, Any]]] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    sources: tuple[str, ...] = ("input",)
    used: Counter[str] = field(default_factory=Counter)
    end: Shape = ()
    precision: str = "float32"

    def add(self, written: Written, name: str, layer: str, *, connect: bool = True) -> str:
        """Adds a node after the last one, and returns its name."""
        key = written.kind.lower()
        number = self.used[key]
        self.used[key] += 1
        node = key if not number else f"{key}_{number}"
        word, reason = self.reader.supports(written.kind)
        reasons = [reason] if word == "unsupported" else [written.reason]
        reasons += [reason] if "unsupported" not in (word, written.word) else []
        told = Verdict(node, layer, worse(word, written.word), "; ".join(filter(None, reasons)))
        self.verdicts.append(told)
        stored = {"name": name, "verdict": told.word, "precision": self.precision, **written.memory}
        self.nodes[node] = written, stored | ({"reason": told.reason} if told.reason else {})
        if connect:
            self.connect(node)
            self.sources = (node,)
        return node

    def connect(self, node: str) -> None:
        """Leads what has arrived to a node."""
        self.edges += [(source, node) for source in self.sources]

    def judge(self, layer: str, kind: str) -> None:
        """Adds the verdict on a connection."""
        word, reason = self.reader.supports(kind)
        self.verdicts.append(Verdict("", layer, word, reason))

    def unsaid(self, layer: str, part: object) -> None:
        """Adds the verdict on a layer that NIR has no node for."""
        known = next((LAYERS[kind] for kind in type(part).__mro__ if kind in LAYERS), None)
        reason = known or f"no converter knows {type(part).__name__}; add one to onchip.interop.parts"
        self.verdicts.append(Verdict("", layer, "unsupported", reason))

    def refuse(self, approximate: bool) -> None:
        """Raises UnsupportedError unless all may be written."""
        allowed: tuple[Word, ...] = ("faithful", "approximate") if approximate else ("faithful",)
        wrong = [verdict for verdict in self.verdicts if verdict.word not in allowed]
        worst = [verdict for verdict in wrong if verdict.word == of_all(wrong)]
        if worst:
            first, others = worst[0], f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
            leave = (
                "; approximate=True, or --approximate, writes it all the same" if of_all(wrong) == "approximate" else ""
            )
            raise UnsupportedError(
                f"for reader {self.reader.name!r}, {first.layer} is {first.word}{others}: {first.reason}{leave}"
            )

    def graph(self) -> Any:
        """The graph, as the package `nir` has it."""
        nir = package.nir()
        nodes = {"input": nir.Input(input_type={"input": np.array(self.shape)})}
        for name, (written, stored) in self.nodes.items():
            nodes[name] = getattr(nir, written.kind)(**written.fields, metadata={"onchip": stored})
        nodes["output"] = nir.Output(output_type={"output": np.array(self.end)})
        about = {"version": __version__, "format": FORMAT, "reader": self.reader.name, "dt": self.reader.dt}
        about["verdicts"] = json.dumps([verdict.cells() for verdict in self.verdicts], ensure_ascii=False)
        about |= {"reader_version": self.reader.version, "verdict": of_all(self.verdicts), "precision": self.precision}
        typed = all(written.typed for written, _ in self.nodes.values())
        return nir.NIRGraph(nodes=nodes, edges=list(self.edges), metadata={"onchip": about}, type_check=typed)


def drafted(model: nn.Module, shape: Sequence[int], reader: Reader) -> Draft:
    """A graph with its verdicts, whatever they are."""
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise RequestError(f"the input got shape {tuple(shape)}; expected positive numbers, such as (1, 28, 28)")
    graph = build_graph(model).unpooled()
    wide = graph.layers[0].parameter.dtype == torch.float64
    conventions = Conventions(reader, reader.dt, np.float64 if wide else np.float32)
    draft = Draft(reader, tuple(shape), precision="float64" if wide else "float32")
    stored: list[tuple[tuple[str, ...], Tensor]] = []
    features = torch.zeros(1, *shape, dtype=torch.float32)
    for node in graph.nodes:
        if isinstance(node, SynapticLayer):
            features = _synaptic(draft, node, features, conventions)
        elif isinstance(node, WeightlessLayer):
            features = _weightless(draft, node, features, conventions)
        else:
            features = _skip(draft, node, features, stored)
    draft.end = tuple(features.shape[1:])
    draft.connect("output")
    if len(draft.sources) > 1 and not reader.sums_at_output:
        reason = f"{reader.name} {reader.version} does not add what arrives at the output"
        draft.verdicts.append(Verdict("output", "the output", "unsupported", reason))
    return draft


def _synaptic(draft: Draft, layer: SynapticLayer, features: Tensor, conventions: Conventions) -> Tensor:
    recurrent = layer.recurrent
    if recurrent is not None and recurrent.bias is not None and not draft.reader.recurrent_bias:
        layer = _without_recurrent_bias(layer)
        recurrent = layer.recurrent
    drive, _ = _weights(draft, layer, features, conventions)
    shape: Shape = tuple(drive.shape[1:])
    neuron, name = layer.neuron, f"{type(layer.neuron).__name__} after {layer.name!r}"
    part = OF_LAYER.get(type(neuron))
    if not isinstance(part, NeuronWriter):
        draft.unsaid(name, neuron)
        return drive
    written = part.write(neuron, shape, conventions)
    if written is None:
        draft.verdicts.append(Verdict("", name, "faithful", "no node: what the weights deliver is passed on"))
        return drive
    fired = draft.add(written, layer.name, name)
    if recurrent is not None:
        returned, back = _weights(draft, recurrent, drive, conventions, connect=False)
        if returned.shape != drive.shape:
            raise RequestError(
                f"the recurrent connection {recurrent.name!r} returns features of shape {tuple(returned.shape[1:])} to "
                f"neurons of shape {shape}; expected the same shape"
            )
        if back is not None:
            draft.edges += [(fired, back), (back, fired)]
        draft.judge(f"Recurrent {recurrent.name!r}", "recurrent")
    return drive


def _weights(
    draft: Draft, layer: SynapticLayer, features: Tensor, conventions: Conventions, *, connect: bool = True
) -> tuple[Tensor, str | None]:
    """Writes weights; returns what they deliver, and the name of their node."""
    name = f"{type(layer.module).__name__} {layer.name!r}"
    if not all(bool(torch.isfinite(values).all()) for values in (layer.weight, layer.bias) if values is not None):
        raise RequestError(f"{name} has NaN or infinity in its weights; expected finite numbers. Train it again")
    layer.synapse.check(layer.name, features.shape)
    with torch.no_grad():
        weight = layer.weight.to("cpu", features.dtype)
        drive = layer.synapse.apply(features, weight, None)
    part = OF_LAYER.get(type(layer.synapse.bare()))
    if not isinstance(part, SynapseWriter):
        draft.unsaid(name, layer.synapse.bare())
        return drive, None
    written = part.write(layer, (tuple(features.shape[1:]), tuple(drive.shape[1:])), conventions)
    return drive, draft.add(written, layer.name, name, connect=connect)


def _weightless(draft: Draft, layer: WeightlessLayer, features: Tensor, conventions: Conventions) -> Tensor:
    after, name = layer(features), f"{type(layer.module).__name__} {layer.name!r}"
    part = OF_LAYER.get(type(layer.module))
    if not isinstance(part, WeightlessWriter):
        draft.unsaid(name, layer.module)
        return after
    written = part.write(layer.module, (tuple(features.shape[1:]), tuple(after.shape[1:])), conventions)
    if written is None:
        draft.verdicts.append(Verdict("", name, "faithful", "no node: it does nothing at inference"))
    else:
        draft.add(written, layer.name, name)
    return after


def _skip(
    draft: Draft, place: SkipConnection, features: Tensor, stored: list[tuple[tuple[str, ...], Tensor]]
) -> Tensor:
    if place.role == "fork":
        stored.append((draft.sources, features))
        return features
    sources, other = stored.pop()
    if place.role == "turn":
        stored.append((draft.sources, features))
        draft.sources = sources
        draft.judge(f"shortcut of Residual {place.name!r}", "shortcut")
        return other
    if features.shape != other.shape:
        raise RequestError(
            f"Residual {place.name!r} adds activity of shape {tuple(other.shape[1:])} and {tuple(features.shape[1:])}; "
            "expected one shape"
        )
    draft.judge(f"Residual {place.name!r}", "residual")
    if set(sources) & set(draft.sources):
        reason = "it adds the same activity twice, and NIR has no second edge between two nodes"
        draft.verdicts.append(Verdict("", f"Residual {place.name!r}", "unsupported", reason))
    draft.sources = tuple(dict.fromkeys((*sources, *draft.sources)))
    return features


def _without_recurrent_bias(layer: SynapticLayer) -> SynapticLayer:
    """The same layer with the bias of its recurrent connection added to that of the weights from below."""
    assert layer.recurrent is not None
    module, recurrent = copy.deepcopy(layer.module), copy.deepcopy(layer.recurrent.module)
    bias, returned = layer.bias, layer.recurrent.bias
    assert returned is not None
    module.bias = nn.Parameter(returned.detach() + (0.0 if bias is None else bias.detach()))
    setattr(recurrent, "bias", None)  # noqa: B010 (a type checker knows a module's attributes as tensors)
    return replace(layer, module=module, recurrent=replace(layer.recurrent, module=recurrent))
