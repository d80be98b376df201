"""What the group `learning` says in words and numbers; docs/learning-group.md describes it for other tools."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from onchip._types import decoded
from onchip.errors import DataError
from onchip.learning.description import RuleDescription
from onchip.runs.model_file import Layer

VERSION = 1

Number = float | int | str | bool | None


@dataclass(frozen=True)
class OptimizerFacts:
    """The optimizer between the gradient of the rule and the weights.

    Args:
        name: `SGD`, `Adam` or `AdamW`, as in torch.
        options: Its options, the learning rate among them.
        steps: Whether the group holds its state.
    """

    name: str
    options: dict[str, Any]
    state: bool


@dataclass(frozen=True)
class Document:
    """The rule, the network that it trains, and how the two are found in the graph.

    Args:
        writer: The program that wrote it.
        rule: Text from which the program that wrote it makes the rule, such as `fbp:period=100`.
        options: All its options.
        description: What it does at each synapse, for every reader.
        nodes: Node of the graph that holds the weights of a layer, by the layer's name.
        claims: What the rule claims about the locality of its updates.
        cadence: When weights change: `after each batch`, or `after each time step` of a stream.
        precision: Type of the weights, and of the products at synapses in training.
        network: The layers of the network in full, with what a graph cannot say.
        optimizer: None where it was not given.
        certificate: Results of an audit of the rule on this network; None where none was made.
        graph: SHA-256 of the graph beside the group.
        version: Of this format.
    """

    writer: str
    rule: str
    options: dict[str, Number]
    description: RuleDescription
    nodes: dict[str, str]
    claims: tuple[str, ...]
    cadence: str
    precision: dict[str, str]
    network: tuple[Layer, ...]
    optimizer: OptimizerFacts | None = None
    certificate: dict[str, Any] | None = None
    graph: str = ""
    version: int = VERSION

    def of(self, graph: str) -> Document:
        """The document for a graph of this SHA-256."""
        return replace(self, graph=graph)

    def to_json(self) -> str:
        """The document as the file holds it."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Document:
        """The document that `to_json` wrote.

        Raises:
            DataError: It is none, or of a later version of the format.
        """
        try:
            version = decoded(text, dict[str, Any]).get("version")
            if version != VERSION:
                raise DataError(f"the group learning has version {version!r:.40}; this program reads {VERSION}")
            document: Document = decoded(text, cls)
        except (ValueError, RecursionError) as error:
            raise DataError(f"the group learning cannot be read: {error!s:.300}") from error
        return document
