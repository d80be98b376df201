"""What all trials of an audit share."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip import nn
from onchip.learning.rule import Rule
from onchip.losses import StepLoss

RATE = 0.01
"""Learning rate of training steps; large enough to move weights away from their first values."""


@dataclass(frozen=True)
class Setup:
    """What all trials of an audit share.

    Args:
        make: Attaches the rule to a network.
        build: Makes the network, drawn from torch's global generator.
        signal: Input, (T, B, features...), or spike times (B, features...).
        labels: Classes (B,).
        seed: Seed of every draw.
    """

    make: Callable[[nn.Sequential], Rule]
    build: Callable[[], nn.Sequential]
    signal: Tensor
    labels: Tensor
    seed: int


def backward(rule: Rule, labels: Tensor, *, output_labels: Tensor | None = None, scale: float = 1.0) -> None:
    """The backward pass of a rule from the loss of a training run.

    Args:
        rule: The rule, after its forward pass.
        labels: Classes (B,).
        output_labels: Other classes at the network's output, but not at a layer's own read-out, nor as its target.
        scale: Factor on the loss.
    """
    loss, (output, *local) = StepLoss(), rule.outputs
    wanted = labels if output_labels is None else output_labels
    losses = [loss(output, wanted), *(loss(own, labels) for own in local)]
    samples = loss.each(output.detach(), wanted) * scale
    rule.backward(torch.stack(losses).sum() * scale, samples, labels, scale)


def other_values(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """The tensor with another sign and another size of every number."""
    return tensor * (-1.0 - torch.rand(tensor.shape, generator=generator).to(tensor))
