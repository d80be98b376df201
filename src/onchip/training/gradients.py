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
        labels: Classes (B,).
        kind: The kind of the signal.
        chunk: Samples at a time, of which the last chunk may have fewer; None for all at once.

    Returns:
        The loss of the network's output, and the sum of it and the losses of local outputs.
    """
    pairs, size = [], chunk or len(labels)
    for part, targets in zip(kind.chunks(signal, size), labels.split(size), strict=True):
        share = len(targets) / len(labels)
        out = rule.forward(part).detach()
        losses = [loss_of(output, targets) * share for output in rule.outputs]  # the network's own, then local ones
        loss = torch.stack(losses).sum()
        samples = loss_of.each(out, targets) * share if rule.by_sample else None
        rule.backward(loss, samples, targets if rule.by_target else None, share)
        pairs.append(torch.stack([losses[0].detach(), loss.detach()]))
    # The only place where a step waits for the device, with all of its products submitted.
    own, whole = torch.stack(pairs).sum(0).tolist()
    return own, whole
