"""Gain and constant current of neurons, brought into the weights that drive them."""

import numpy as np
import torch
from torch import nn

from onchip.errors import UnsupportedError
from onchip.interop.conventions import Numbers


def fold(module: nn.Module, name: str, gain: Numbers, shift: Numbers, shape: tuple[int, ...]) -> bool:
    """Changes weights so that they deliver gain (W x + b + shift).

    Args:
        module: The layer with the weights.
        name: Of its node, for messages.
        gain: A number, or one by neuron.
        shift: As the gain.
        shape: Of the neurons.

    Returns:
        Whether anything was changed.

    Raises:
        UnsupportedError: Neurons of one map have different gains, or a product is no finite number.
    """
    if np.allclose(gain, 1.0, rtol=0.0, atol=1e-6) and not shift.any():
        return False
    factor, current = (_by_output(values, name, shape) for values in (gain, shift))
    weight, bias = module.weight, module.bias
    assert isinstance(weight, torch.Tensor)
    with torch.no_grad():
        scale = torch.from_numpy(factor).to(weight)
        weight.mul_(scale.view(-1, *(1,) * (weight.dim() - 1)))
        moved = scale * torch.from_numpy(current).to(weight)
        if isinstance(bias, torch.Tensor):
            bias.mul_(scale).add_(moved)
        elif current.any():
            module.bias = nn.Parameter(moved)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in module.parameters()):
        raise UnsupportedError(f"the weights of {name!r} times the gain of their neurons are no finite numbers")
    return True


def _by_output(values: Numbers, name: str, shape: tuple[int, ...]) -> Numbers:
    """One number for each output of the weights."""
    maps = np.broadcast_to(values, shape).reshape(shape[0], -1)
    if (maps != maps[:, :1]).any():
        raise UnsupportedError(
            f"the neurons after {name!r} differ within a map in threshold, gain or leak; expected one for each map"
        )
    return maps[:, 0].astype(np.float64)
