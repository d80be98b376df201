"""Scans of neurons with an adaptive threshold over time, step by step in torch.

u[t] = λ v[t-1] + I[t]                  membrane potential
x[t] = u[t] - β a[t-1]                  what is compared with the threshold θ
s[t] = 1 if x[t] >= θ else 0            spike
v[t] = u[t] - θ s[t]  or  u[t] (1 - s[t])
a[t] = ρ a[t-1] + s[t]                  adaptation: the trace of the neuron's spikes
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.kernels import buffers
from onchip.kernels.lif import Membrane
from onchip.kernels.trace import add_decayed
from onchip.surrogate import Surrogate


@dataclass(frozen=True)
class Adaptive:
    """Constants of one layer of neurons.

    Args:
        membrane: λ, θ, and the reset.
        rise: β, how far a spike raises the threshold, in units of the drive.
        decay: ρ, the factor that the adaptation keeps from one step to the next, in [0, 1); a number, or a tensor
            (features...) of one per neuron.
    """

    membrane: Membrane
    rise: float
    decay: float | Tensor


@dataclass
class Scan:
    """What a forward pass computed.

    Args:
        spikes: s, (T, B, features...).
        distances: x, (T, B, features...), written over the drive.
        potentials: u, (T, B, features...), if they were asked for.
        adaptations: a[t-1] at each step t, (T, B, features...), if they were asked for.
        membrane: v after the last step, (B, features...).
        adaptation: a after the last step, (B, features...).
    """

    spikes: Tensor
    distances: Tensor
    potentials: Tensor | None
    adaptations: Tensor | None
    membrane: Tensor
    adaptation: Tensor


def forward(
    drive: Tensor,
    constants: Adaptive,
    membrane: Tensor | None,
    adaptation: Tensor | None,
    *,
    potentials: bool,
    adaptations: bool,
) -> Scan:
    """Runs neurons over time.

    Args:
        drive: I, (T, B, features...); overwritten.
        constants: the neurons' constants.
        membrane: v before the first step, (B, features...), or None for zero; left untouched.
        adaptation: a before the first step, in the same way.
        potentials: whether to return u at every step.
        adaptations: whether to return a[t-1] at every step.
    """
    cell, kept = constants.membrane, torch.promote_types(drive.dtype, torch.float32)
    v, a = torch.zeros_like(drive[0], dtype=kept), torch.zeros_like(drive[0], dtype=kept)
    if membrane is not None:
        v.copy_(membrane)
    if adaptation is not None:
        a.copy_(adaptation)
    spikes = buffers.empty_like(drive)
    all_u = buffers.empty_like(drive) if potentials else None
    all_a = torch.empty((len(drive), *a.shape), dtype=kept, device=a.device) if adaptations else None
    u = torch.empty_like(drive[0])
    for t, current in enumerate(drive):
        if all_u is not None:
            u = all_u[t]
        if all_a is not None:
            all_a[t].copy_(a)
        add_decayed(current, v, cell.decay, out=u)
        torch.sub(u, a, alpha=constants.rise, out=current)
        torch.ge(current, cell.threshold, out=spikes[t])
        cell.reset(u, spikes[t], out=v)
        add_decayed(spikes[t], a, constants.decay, out=a)
    return Scan(spikes, drive, all_u, all_a, v, a)


@dataclass
class StepBack:
    """The backward pass, one step at a time, from the last to the first.

        σ[t] = g[t] + α[t] - r[t] λ δ[t+1]       error at the spike
        δ[t] = ψ(x[t] - θ) σ[t] + λ k[t] δ[t+1]  error at the drive
        α[t-1] = ρ α[t] - β ψ(x[t] - θ) σ[t]     error at the adaptation

    with r = θ, k = 1 for the soft reset and r = u[t], k = 1 - s[t] for the hard one; r = 0 where the reset is detached.

    Args:
        constants: the neurons' constants.
        surrogate: ψ.
        error_at_drive: δ of the step that was treated last, (B, features...); None before the first.
        error_at_adaptation: α of the step that comes next, (B, features...).
    """

    constants: Adaptive
    surrogate: Surrogate
    error_at_drive: Tensor | None = None
    error_at_adaptation: Tensor | None = None

    def __call__(self, distance: Tensor, potential: Tensor | None, error: Tensor) -> Tensor:
        """δ[t] (B, features...), written over x[t].

        Args:
            distance: x[t], (B, features...).
            potential: u[t], which only a hard reset that is not detached needs.
            error: g[t], dL/ds[t]; left untouched.
        """
        cell, later, alpha = self.constants.membrane, self.error_at_drive, self.error_at_adaptation
        carried = None
        if later is not None:
            assert alpha is not None
            carried = later * cell.decay
            error = error + alpha
            if not cell.detach_reset:
                if potential is not None:
                    error.addcmul_(potential, carried, value=-1)
                else:
                    error.sub_(carried, alpha=cell.threshold)
            if cell.hard:
                carried.masked_fill_(distance >= cell.threshold, 0.0)
        gated = self.surrogate.gate_(distance.sub_(cell.threshold), error)
        fresh = gated * -self.constants.rise
        self.error_at_adaptation = fresh if alpha is None else add_decayed(fresh, alpha, self.constants.decay)
        self.error_at_drive = gated if carried is None else gated.add_(carried)
        return self.error_at_drive
