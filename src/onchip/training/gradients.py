"""Gradients of a batch, at once or chunk by chunk: the same sums in less memory."""

import torch
from torch import Tensor

from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.signals import Signal, SignalKind, mapped


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
        The loss of the network's output, and the sum of it and the losses of local outputs. Where processes share each
        batch, signal and labels are the share of this one, and losses and gradients those of the whole batch.
    """
    ranks, pairs, size = rule.ranks, [], chunk or max(labels.shape[-1], 1)
    parts = list(zip(kind.chunks(signal, size), labels.split(size, labels.dim() - 1), strict=True))
    if chunk is not None:  # a process with fewer chunks takes part in what the others add up over samples
        most = int(ranks.largest(torch.tensor(len(parts))))
        parts += [(_no_samples(signal, kind), labels[..., :0])] * (most - len(parts))
    targets_in_all = ranks.total([_targets(labels)])[0]
    for part, targets in parts:
        share = _targets(targets) / targets_in_all
        out = rule.forward(part, _lengths(targets)).detach()
        with ranks.apart():  # as some losses draw random numbers
            # The network's own, then local ones.
            losses = [_loss(loss_of, output, targets) * share for output in rule.outputs]
        loss = torch.stack(losses).sum()
        samples = loss_of.each(out, targets) * share if rule.by_sample else None
        rule.backward(loss, samples, targets, share)
        pairs.append(torch.stack([losses[0].detach(), loss.detach()]))
    summed = torch.stack(pairs).sum(0)
    rule.reduce(summed)
    # The only place where a step waits for the device, with all of its products submitted.
    own, whole = summed.tolist()
    return own, whole


def _loss(loss_of: Loss, output: Tensor, targets: Tensor) -> Tensor:
    """The loss, which is 0 without samples."""
    return loss_of(output, targets) if targets.numel() else output.sum()


def _no_samples(signal: Signal, kind: SignalKind) -> Signal:
    """The signal of no sample."""
    axis = 1 if kind.over_time and isinstance(signal, Tensor) else 0
    return mapped(lambda samples: samples.narrow(axis, 0, 0), signal)


def _targets(labels: Tensor) -> int:
    """Number of targets over which the loss is a mean."""
    return len(labels) if labels.dim() == 1 else int((labels >= 0).sum())


def _lengths(labels: Tensor) -> Tensor | None:
    """Steps up to the last target of each sample, (B,), for labels of steps."""
    if labels.dim() == 1:
        return None
    number = torch.arange(1, len(labels) + 1, device=labels.device).unsqueeze(1)
    return (number * (labels >= 0)).amax(0)
