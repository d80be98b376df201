"""Scans of leaky integrate-and-fire neurons with a recurrent connection, in compiled code.

    u[t] = λ v[t-1] + I[t] + V s[t-1]

Forward, the product is inside the loop and adds up rows of V for the neurons that fired, sample by sample, while
membrane and weights are in the cache. Backward, errors are dense: each step is one product of torch's for the whole
batch, and one pass over the neurons.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from onchip.kernels import native
from onchip.kernels.lif import Membrane, step_back
from onchip.kernels.table import compiled
from onchip.surrogate import Surrogate


def forward(
    drive: Tensor, weight: Tensor, membrane: Membrane, rest: Tensor | None, last: Tensor | None
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Runs neurons over time; None where compiled code cannot.

    Args:
        drive: I, (T, B, n); overwritten by the potential.
        weight: V, (n, n).
        membrane: the neurons' constants.
        rest: v before the first step, (B, n); None for zero.
        last: Spikes before the first step, (B, n); None for none.

    Returns:
        Spikes (T, B, n), potentials u (T, B, n), and the membrane v after the last step (B, n).
    """
    scan = native.scan("onchip_recurrent", drive)
    shared = not isinstance(membrane.decay, Tensor)
    if scan is None or not shared or drive.dim() != 3 or weight.dtype != drive.dtype or weight.device != drive.device:
        return None
    spikes, after = torch.empty_like(drive), torch.zeros_like(drive[0])
    if rest is not None:
        after.copy_(rest)
    rows, fired = weight.t().contiguous(), torch.empty(drive.shape[1:], dtype=torch.int64)
    before = None if last is None else last.contiguous()
    start = None if before is None else before.data_ptr()
    flags, constants = (membrane.hard,), (membrane.decay, membrane.threshold)
    tensors = (spikes.data_ptr(), after.data_ptr(), fired.data_ptr())
    scan(drive.data_ptr(), rows.data_ptr(), start, *tensors, *drive.shape, *flags, *constants)
    return spikes, drive, after


def backward_step(potentials: Tensor, membrane: Membrane, surrogate: Surrogate) -> Callable[[int, Tensor], Tensor]:
    """`lif.step_back` for the steps T-1 down to 0, over potentials (T, B, features...), compiled where possible.

    Returns:
        A function of t and g[t] (B, features...) that returns δ[t], (B, features...).
    """
    shared = not isinstance(membrane.decay, Tensor)
    scan, formula = native.scan("onchip_step_back", potentials) if shared else None, compiled(surrogate)
    later = torch.empty_like(potentials[0])
    constants = membrane.decay, membrane.threshold

    def step(t: int, error: Tensor) -> Tensor:
        potential, last = potentials[t], t + 1 == len(potentials)
        if scan is None or formula is None:
            return step_back(potential, error, None if last else potentials[t + 1], membrane, surrogate)
        if error.stride() != potential.stride() or error.dtype != potential.dtype:
            error = torch.empty_like(potential).copy_(error)
        pointers = potential.data_ptr(), error.data_ptr(), later.data_ptr()
        scan(*pointers, potential.numel(), last, membrane.past, *formula, *constants)
        return potential

    return step
