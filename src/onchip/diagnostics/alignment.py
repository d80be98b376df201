"""How near a rule's gradients are to those of backpropagation, layer by layer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Signal


@dataclass(frozen=True)
class Alignment:
    """A rule's gradient of one layer's weights, beside that of backpropagation.

    Args:
        cosine: of the angle between the two, in [-1, 1]; None where either vanishes.
        norm_ratio: the rule's norm over that of backpropagation; None where the latter vanishes.
    """

    cosine: float | None
    norm_ratio: float | None


def alignment(model: nn.Module, signal: Signal, loss: Callable[[Tensor], Tensor]) -> dict[str, Alignment]:
    """Compares the gradients that a network holds with those of backpropagation for the same batch.

    Call it after `rule.backward`, with the gradients of that one batch in place, and before the optimizer
    changes the weights. Right after a transport, feedback through a copy agrees with backpropagation by
    construction: measure just before. The cost is one step of `rules.bp`; nothing that training depends on
    changes, random draws included. Dropout draws a mask of its own here.

    Args:
        model: the network that the rule trains.
        signal: the batch: (T, B, features...) or Static, or spike times (B, features...).
        loss: the network's output -> a scalar; the same that the rule was given.

    Returns:
        An entry for each layer with weights, by its name in the network.

    Raises:
        RequestError: the network holds no gradients.

    Example:
        >>> from onchip import Static, nn, rules
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
        >>> signal, loss = Static(torch.rand(2, 4), steps=5), lambda out: out.square().mean()
        >>> rule = rules.fa(model)
        >>> rule.backward(loss(rule.forward(signal)))
        >>> round(alignment(model, signal, loss)["2"].cosine, 4)  # the last layer's error is exact
        1.0

    Reference: Lillicrap et al. 2016 (Nature Communications), who measure the angle.
    """
    weights = {stage.name: stage.parameter for stage in build_graph(model).layers if stage.parameter.requires_grad}
    for name, weight in weights.items():
        if weight.grad is None:
            raise RequestError(
                f"layer {name!r} holds no gradient; call alignment after rule.backward and before zero_grad"
            )
    devices = {weight.device for weight in weights.values() if weight.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)), torch.enable_grad():
        exact = torch.autograd.grad(loss(model(signal)), list(weights.values()), materialize_grads=True)
    return {
        name: _compared(weight.grad, reference)
        for (name, weight), reference in zip(weights.items(), exact, strict=True)
        if weight.grad is not None
    }


def _compared(got: Tensor, reference: Tensor) -> Alignment:
    """Cosine and norm ratio of two gradients of one shape."""
    got, reference = got.detach().double(), reference.double()
    norm, exact = got.norm().item(), reference.norm().item()
    if exact == 0.0:
        return Alignment(None, None)
    if norm == 0.0:
        return Alignment(None, 0.0)
    return Alignment((got * reference).sum().item() / (norm * exact), norm / exact)
