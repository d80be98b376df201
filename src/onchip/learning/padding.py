"""Sequences of unequal length in one batch: which steps are a sequence's own, and means over those alone."""

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.learning.ranks import ALONE, Ranks
from onchip.nn.signals import Signal, SignalKind, Static


def present_steps(rule: str, signal: Signal, lengths: Tensor, kind: SignalKind, ranks: Ranks = ALONE) -> Tensor | None:
    """Which steps are a sequence's own, (T, B) bool; None if all are.

    Args:
        rule: Name of the rule, for messages.
        signal: The sequences, (T, B, features...).
        lengths: Time steps of each, (B,) int64.
        kind: The kind of the signal.
        ranks: The processes that share the batch, none of which has padding if the result is None.

    Raises:
        RequestError: The signal has no time steps of its own, or a length is out of range.
    """
    if isinstance(signal, Static) or not kind.over_time:
        what = "a Static image" if isinstance(signal, Static) else kind.name
        raise RequestError(f"{rule} got lengths for {what}; expected them for sequences (T, B, features...) alone")
    steps, samples = signal.shape[:2]
    if lengths.shape != (samples,) or lengths.is_floating_point() or lengths.device != signal.device:
        raise RequestError(
            f"{rule} got lengths {tuple(lengths.shape)} {lengths.dtype} on {lengths.device}; expected ({samples},) "
            f"torch.int64 on {signal.device}, one per sequence"
        )
    least, most = torch.stack(torch.aminmax(lengths)).tolist() if samples else (steps, steps)
    if least < 1 or most > steps:
        raise RequestError(f"{rule} got lengths from {least} to {most}; expected 1 to {steps} time steps")
    padded = ranks.total([least < steps])[0]
    return torch.arange(steps, device=lengths.device)[:, None] < lengths if padded else None


def with_target(labels: Tensor) -> Tensor | None:
    """Which steps have a target, (T, B) bool, for labels (T, B); None where all have that of their sample, (B,)."""
    return None if labels.dim() == 1 else labels >= 0


def mean_over(values: Tensor, axis: int, present: Tensor | None) -> Tensor:
    """Mean of values (T, B, features...) along axis 0 or 1, which stays, over the steps that are present."""
    if present is None:
        return values.mean(axis, keepdim=True)
    counted = along(present, values)
    return (values * counted).sum(axis, keepdim=True) / counted.sum(axis, keepdim=True).clamp(min=1)


def along(present: Tensor, values: Tensor) -> Tensor:
    """A tensor (T, B) as one that broadcasts over the features of another, (T, B, features...)."""
    return present.reshape(*present.shape, *[1] * (values.dim() - 2))
