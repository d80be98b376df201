"""The targets of a batch, for rules that project them in place of errors."""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError


@dataclass(frozen=True)
class TargetErrors:
    """What the error at the output would be for the loss -mean o_y: -y / N at the N steps and samples with a target.

    Args:
        rule: Name of the rule, for messages.
        labels: Classes (B,), the same at every time step, or (T, B); -1 where there is no target.
        share: Factor of the loss.
    """

    rule: str
    labels: Tensor | None
    share: float

    def __call__(self, output: Tensor) -> Tensor:
        """The error, of the output's shape, (T, B, classes) or (B, classes).

        Raises:
            RequestError: There are no labels, or labels of another shape or type, or on the CPU labels that are no
                class of the network; on other devices those make the errors NaN.
        """
        labels, shape, classes = self.labels, output.shape[:-1], output.shape[-1]
        if labels is None:
            raise RequestError(
                f"{self.rule} projects targets in place of errors, and got none; call "
                "rule.backward(loss, targets=labels)"
            )
        if labels.shape not in (shape, shape[-1:]):
            raise RequestError(
                f"{self.rule}: got targets of shape {tuple(labels.shape)}; expected the label of each sample, "
                f"{tuple(shape[-1:])}, or of each step and sample, {tuple(shape)}"
            )
        if labels.is_floating_point() or labels.is_complex() or labels.dtype is torch.bool:
            raise RequestError(f"{self.rule}: got targets of {labels.dtype}; expected whole numbers. Use .long()")
        wrong = (labels < -1) | (labels >= classes)
        if labels.device.type == "cpu" and bool(wrong.any()):
            raise RequestError(
                f"{self.rule}: got a target of {labels[wrong][0].item()}; expected classes from 0 to {classes - 1}, "
                "or -1 where there is none"
            )
        known = labels.to(output.device).expand(shape)
        onehot = (known.unsqueeze(-1) == torch.arange(classes, device=output.device)).to(output.dtype)
        count = (known >= 0).sum().clamp_min(1).to(output.dtype)
        # A step does not wait for what another device found: there, gradients become NaN.
        onehot.masked_fill_(wrong.to(output.device).expand(shape).unsqueeze(-1), torch.nan)
        return onehot * (-self.share / count)
