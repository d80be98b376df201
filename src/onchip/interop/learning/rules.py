"""A rule on a network to a document and tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

import onchip
from onchip.certificates import Certificate
from onchip.errors import DataError, OnchipError, RequestError
from onchip.interop.learning import optimizers
from onchip.interop.learning.document import Document
from onchip.learning.rule import Rule
from onchip.nn.description import built, described
from onchip.nn.sequential import Sequential
from onchip.training import registry
from onchip.training.model_folder import does

NETWORK, FEEDBACK, RANDOM = "network/", "feedback/", "random"


@dataclass(frozen=True)
class Learning:
    """What an export adds to a graph.

    Args:
        rule: The rule, attached to the network that is exported.
        text: Its name with the options that it was made with, such as `fbp:period=100`.
        optimizer: The optimizer of `rule.parameters()`, so that its next step can be made elsewhere; None for none.
        certificate: The result of an audit, of `onchip.audit`; None for none.
    """

    rule: Rule
    text: str
    optimizer: torch.optim.Optimizer | None = None
    certificate: Certificate | None = None

    def written(self, model: torch.nn.Module, nodes: Mapping[str, str]) -> tuple[Document, dict[str, Tensor]]:
        """The document and the tensors of the group.

        Args:
            model: The network.
            nodes: Node of the graph with the weights of each layer of the network, by name.

        Raises:
            RequestError: The rule trains another network, or the text names another rule, or other options than the
                rule has.
            UnsupportedError: The rule, its optimizer or a layer cannot be described.
        """
        own = next(model.parameters(), None)
        if own is None or all(own is not parameter for parameter in self.rule.parameters()):
            raise RequestError(f"the rule {self.text!r} trains another network than the one that is exported")
        part = registry.part("rule", self.text)
        if not does(part, self.rule, model):
            raise RequestError(
                f"got the rule {self.text!r} for a rule {self.rule.name!r} that does something else; expected its name "
                "with the options that it was made with"
            )
        tensors = {NETWORK + name: tensor for name, tensor in model.state_dict().items()}
        tensors |= {FEEDBACK + name: tensor for name, tensor in self.rule.state_dict().items()}
        tensors[RANDOM] = torch.get_rng_state()
        facts = None
        if self.optimizer is not None:
            facts, state = optimizers.facts(self.optimizer, self.rule)
            tensors |= state
        weights = str(own.dtype).removeprefix("torch.")
        document = Document(
            writer=f"onchip {onchip.__version__}",
            rule=part.label,
            options=part.options,
            description=self.rule.describe(),
            nodes={layer.name: nodes[layer.name] for layer in self.rule.layers},
            claims=tuple(claim.name for claim in self.rule.claims.stated()),
            cadence="after each batch",
            precision={"weights": weights, "products": "bfloat16" if self.rule.bfloat16 else weights},
            network=described(model),
            optimizer=facts,
            certificate=None if self.certificate is None else self.certificate.to_dict(),
        )
        return document, tensors


@dataclass(frozen=True)
class Restored:
    """A network with its rule, as they were when they were exported.

    Args:
        document: What the group says.
        model: The network, in training mode.
        rule: The rule, attached to it.
        optimizer: The optimizer, which refreshes the rule's feedback after each step; None where none was exported.
        random_state: State of torch's global generator at the export, for `torch.set_rng_state`: with it, rules and
            neurons that draw make the same next step.
    """

    document: Document
    model: Sequential
    rule: Rule
    optimizer: torch.optim.Optimizer | None
    random_state: Tensor


def restored(document: Document, tensors: Mapping[str, Tensor]) -> Restored:
    """The network and the rule of a group.

    Raises:
        DataError: The parts of the group do not fit together.
    """

    def below(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

    try:
        model = built(document.network, below(NETWORK))
        with torch.random.fork_rng(devices=[]):
            rule: Rule = registry.part("rule", document.rule)(model)
        if document.precision.get("products") == "bfloat16":
            rule.in_bfloat16()
        rule.load_state_dict(below(FEEDBACK))
        optimizer = None
        if document.optimizer is not None:
            optimizer = optimizers.made(document.optimizer, dict(tensors), rule)
            rule.step_after(optimizer)
    except DataError:
        raise
    except (OnchipError, RuntimeError) as error:
        raise DataError(f"the rule of the group learning cannot be restored: {error!s:.300}") from error
    if RANDOM not in tensors:
        raise DataError("the group learning has no state of the random numbers")
    return Restored(document, model, rule, optimizer, tensors[RANDOM])
