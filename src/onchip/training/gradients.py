"""Gradients of a batch, at once or chunk by chunk: the same sums in less memory."""

import torch
from torch import Tensor

from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.signals import Signal, SignalKind


def gradients(
    rule: Rule, loss_of: Loss, signal: Signal, labels: Tensor, kind: SignalKind, chunk: int | None = None
) -> tuple[float, float]:
    """Add the rule's gradients of a batch to `.grad`.

    A rule that learns from the batch as a whole, as estimates of feedback do, learns from each chunk instead. Errors
    of other rules, and so their gradients, are those of the batch, to rounding.

    Args:
        rule: A rule that is attached to a network.
        loss_of: A mean over samples.
        signal: (T, B, features...), `Static`, or spike times (B, features...).
        labels: Classes (B,); or (T, B) with -1 at steps without a target, of which each sample has at least one. What
            follows the last target of a sample is padding, from which nothing is learned.
        kind: The kind of the signal.
        chunk: Samples at a time, of which the last chunk may have fewer; None for all at once.

    Returns:
        The loss of the network's output, and the sum of it and the losses of local outputs.
    """
    pairs, size = [], chunk or labels.shape[-1]
    for part, targets in zip(kind.chunks(signal, size), labels.split(size, labels.dim() - 1), strict=True):
        share = _targets(targets) / _targets(labels)
        out = rule.forward(part, _lengths(targets)).detach()
        losses = [loss_of(output, targets) * share for output in rule.outputs]  # the network's own, then local ones
        loss = torch.stack(losses).sum()
        samples = loss_of.each(out, targets) * share if rule.by_sample else None
        rule.backward(loss, samples, targets, share)
        pairs.append(torch.stack([losses[0].detach(), loss.detach()]))
    # The only place where a step waits for the device, with all of its products submitted.
    own, whole = torch.stack(pairs).sum(0).tolist()
    return own, whole


def _targets(labels: Tensor) -> int:
    """Number of targets over which the loss is a mean."""
    return len(labels) if labels.dim() == 1 else int((labels >= 0).sum())


def _lengths(labels: Tensor) -> Tensor | None:
    """Steps up to the last target of each sample, (B,), for labels of steps."""
    if labels.dim() == 1:
        return None
    number = torch.arange(1, len(labels) + 1, device=labels.device).unsqueeze(1)
    return (number * (labels >= 0)).amax(0)
