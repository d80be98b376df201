"""Scans of dense layers of neurons with a recurrent connection, in compiled code.

    i[t] = α i[t-1] + I[t] + V s[t-1]      synaptic current; without one, i is the drive
    u[t] = λ v[t-1] + i[t]                 membrane potential
    x[t] = u[t] - β a[t-1]                 what is compared with the threshold θ; u where no threshold adapts
    s[t] = 1 if x[t] >= θ else 0           spike
    a[t] = ρ a[t-1] + s[t]                 adaptation

Sample by sample, all steps run while states and weights are in the cache. Forward, rows of V are added for the neurons
that fired. Backward, errors are dense, and a few samples share what is read of V.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from onchip.kernels import buffers, native
from onchip.kernels.lif import Membrane, step_back
from onchip.kernels.table import compiled
from onchip.surrogate import Surrogate

CACHED = 2**18
"""Weights of V that stay in a core's own cache: up to so many, products step by step are as fast as torch's."""


@dataclass(frozen=True)
class Cell:
    """Constants of one layer of neurons.

    Args:
        membrane: λ, θ and the reset.
        current_decay: α, in [0, 1); None without a synaptic current.
        rise: β, how far a spike raises the threshold, in units of the drive.
        adaptation_decay: ρ, in [0, 1); None without an adaptive threshold.
    """

    membrane: Membrane
    current_decay: float | Tensor | None = None
    rise: float = 0.0
    adaptation_decay: float | Tensor | None = None

    @property
    def constants(self) -> tuple[float, ...] | None:
        """λ, θ, α, β, ρ; None where some are not the same for all neurons."""
        membrane = self.membrane
        found = membrane.decay, membrane.threshold, self.current_decay, self.rise, self.adaptation_decay
        shared = [0.0 if one is None else one for one in found if not isinstance(one, Tensor)]
        return tuple(shared) if len(shared) == len(found) else None


class States(NamedTuple):
    """v, i and a of the neurons, (B, n); None where they have no such state, or where it is zero."""

    membrane: Tensor | None
    current: Tensor | None = None
    adaptation: Tensor | None = None


def forward(
    drive: Tensor,
    weight: Tensor,
    cell: Cell,
    before: States,
    spikes: Tensor,
    potentials: Tensor | None = None,
) -> States | None:
    """Runs neurons over time; None, with nothing written, where compiled code cannot.

    Args:
        drive: I, (T, B, n); overwritten by x.
        weight: V, (n, n).
        cell: The neurons' constants.
        before: States before the first step, which are left untouched.
        spikes: (T, B, n), written; those of the step before lie right before it in memory.
        potentials: (T, B, n), written with u of neurons with an adaptive threshold; None where not needed.

    Returns:
        The states after the last step, those that the neurons have.
    """
    scan, constants = native.scan("onchip_recurrent", drive), cell.constants
    if scan is None or constants is None or not _fits(weight, drive):
        return None
    has = True, cell.current_decay is not None, cell.adaptation_decay is not None
    after = States(*(_begun(state, drive[0]) if kept else None for state, kept in zip(before, has, strict=True)))
    rows, fired = weight.t().contiguous(), torch.empty(drive.shape[1:], dtype=torch.int64)
    tensors = drive, potentials, rows, spikes, *after, fired
    scan(*map(_address, tensors), *drive.shape, cell.membrane.hard, *constants)
    return after


def backward(
    distances: Tensor,
    potentials: Tensor | None,
    error: Tensor,
    weight: Tensor,
    cell: Cell,
    surrogate: Surrogate,
) -> bool:
    """Errors through time, the recurrent connection included: dL/dI, written over x.

        σ[t] = g[t] + V^T δ[t+1] + α_a[t] - r[t] m[t+1]     error at the spike
        m[t] = ψ(x[t] - θ) σ[t] + λ k[t] m[t+1]             error at the potential
        α_a[t-1] = ρ α_a[t] - β ψ(x[t] - θ) σ[t]            error at the adaptation
        δ[t] = m[t] + α δ[t+1]                              error at the drive

    with r = λθ, k = 1 for the soft reset and r = λ u[t], k = 1 - s[t] for the hard one; r = 0 where it is detached.

    Args:
        distances: x, (T, B, n), from `forward`; overwritten by δ.
        potentials: u, which only neurons with an adaptive threshold and a hard reset need; else None.
        error: g, dL/ds, (T, B, n); left untouched.
        weight: V, (n, n).
        cell: The neurons' constants.
        surrogate: ψ.

    Returns:
        False, with nothing written, where compiled code cannot.
    """
    scan, constants, formula = native.scan("onchip_recurrent_back", distances), cell.constants, compiled(surrogate)
    if scan is None or constants is None or formula is None or weight.numel() > CACHED or not _fits(weight, distances):
        return False
    if error.stride()[1:] != distances.stride()[1:] or error.dtype != distances.dtype:
        error = buffers.empty_like(distances).copy_(error)
    rows, room, later = weight.contiguous(), torch.empty_like(distances[0]), torch.zeros_like(distances[0])
    adapted = None if cell.adaptation_decay is None else torch.zeros_like(later)
    flags = cell.current_decay is not None, cell.membrane.past
    tensors = distances, potentials, error, rows, room, later, adapted
    scan(*map(_address, tensors), *distances.shape, error.stride(0), *flags, *formula, *constants)
    return True


def backward_step(potentials: Tensor, membrane: Membrane, surrogate: Surrogate) -> Callable[[int, Tensor], Tensor]:
    """`lif.step_back` for the steps T-1 down to 0, over potentials (T, B, n), compiled where possible.

    Returns:
        A function of t and g[t] (B, n) that returns δ[t], (B, n).
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


def _fits(weight: Tensor, series: Tensor) -> bool:
    same = weight.dtype == series.dtype and weight.device == series.device
    return same and weight.shape == 2 * series.shape[2:]


def _begun(state: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if state is None else torch.empty_like(like).copy_(state)


def _address(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()
