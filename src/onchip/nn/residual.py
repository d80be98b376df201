"""Layers that activity also passes by."""

from torch import Tensor, nn

from onchip._types import checked
from onchip.nn.signals import Signal, expanded


@checked
class Residual(nn.Module):
    """Adds what it receives to what its body makes of it: h + body(h), or shortcut(h) + body(h).

    Spikes are added, not drives, so each neuron still follows its synapses. Layered rules add up the errors of
    both ways, as backpropagation does. Under direct rules no error crosses the skip: the activity that the block
    receives has an error of its own.

    Args:
        body: an `nn.Sequential` with at least one layer with weights.
        shortcut: an `nn.Sequential` that gives activity the body's shape; None where it has that shape.

    Example:
        >>> import torch
        >>> from onchip import nn
        >>> block = nn.Residual(nn.Sequential(nn.Linear(4, 4), nn.LIF()))
        >>> nn.Sequential(nn.Linear(3, 4), nn.LIF(), block, nn.Linear(4, 2))(torch.rand(5, 2, 3)).shape
        torch.Size([5, 2, 2])

    Reference: He et al. 2016 (CVPR); spikes added as in Fang et al. 2021 (NeurIPS).
    """

    def __init__(self, body: nn.Sequential, shortcut: nn.Sequential | None = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, signal: Signal) -> Tensor:
        """Activity (T, B, features...) of body and skip together."""
        added: Tensor = self.body(signal) + expanded(signal if self.shortcut is None else self.shortcut(signal))
        return added
