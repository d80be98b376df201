"""Scans of neurons with an adaptive threshold over time: in C where all neurons share their constants, or in torch.

u[t] = λ v[t-1] + I[t]                  membrane potential
x[t] = u[t] - β a[t-1]                  what is compared with the threshold θ
s[t] = 1 if x[t] >= θ else 0            spike
v[t] = u[t] - θ s[t]  or  u[t] (1 - s[t])
a[t] = ρ a[t-1] + s[t]                  adaptation: the trace of the neuron's spikes
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.kernels import buffers, native
from onchip.kernels.lif import Membrane
from onchip.kernels.table import compiled
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

    @property
    def shared(self) -> tuple[float, float, float, float] | None:
        """λ, θ, β and ρ as C takes them; None where they differ between neurons."""
        decays = self.membrane.decay, self.decay
        if isinstance(decays[0], Tensor) or isinstance(decays[1], Tensor):
            return None
        return decays[0], self.membrane.threshold, self.rise, decays[1]


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
    all_a = torch.empty_like(drive, dtype=kept) if adaptations else None
    numbers = constants.shared
    scan = None if numbers is None else native.scan("onchip_alif", drive)
    if scan is not None and numbers is not None:
        kept_at_each_step = (None if series is None else series.data_ptr() for series in (all_u, all_a))
        pointers = drive.data_ptr(), *kept_at_each_step, spikes.data_ptr(), v.data_ptr(), a.data_ptr()
        scan(*pointers, len(drive), v.numel(), cell.hard, *numbers)
        return Scan(spikes, drive, all_u, all_a, v, a)
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


def backward(
    distances: Tensor, potentials: Tensor | None, error: Tensor, constants: Adaptive, surrogate: Surrogate
) -> Tensor:
    """Error through time, dL/dI (T, B, features...), written over the distances, by the formula of `StepBack`.

    Args:
        distances: x, (T, B, features...), from `forward`.
        potentials: u in the same way, which only a hard reset that is not detached needs.
        error: g, dL/ds, (T, B, features...).
        constants: the neurons' constants.
        surrogate: ψ.
    """
    back = StepBack(constants, surrogate)
    if back.in_one_pass(distances, potentials, error):
        return distances
    for t in range(len(distances) - 1, -1, -1):
        back(distances[t], None if potentials is None else potentials[t], error[t])
    return distances


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
        potentials = None if potential is None else potential.unsqueeze(0)
        if self.in_one_pass(distance.unsqueeze(0), potentials, error.unsqueeze(0)):
            return distance
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

    def in_one_pass(self, distances: Tensor, potentials: Tensor | None, error: Tensor) -> bool:
        """δ (T, B, features...) of consecutive steps, written over x in C; False, and nothing done, where torch has to.

        Args:
            distances: x, (T, B, features...).
            potentials: u, as `__call__` needs it.
            error: g, (T, B, features...); left untouched.
        """
        scan, formula, numbers = native.scan("onchip_alif_back", distances), compiled(self.surrogate), None
        if scan is None or formula is None or (numbers := self.constants.shared) is None:
            return False
        if self.error_at_drive is None or self.error_at_adaptation is None:
            self.error_at_drive, self.error_at_adaptation = (torch.zeros_like(distances[0]) for _ in range(2))
        if error.stride()[1:] != distances.stride()[1:] or error.dtype != distances.dtype:
            error = torch.empty_like(distances).copy_(error)
        if potentials is not None and potentials.stride() != distances.stride():
            potentials = torch.empty_like(distances).copy_(potentials)
        pointers = distances.data_ptr(), None if potentials is None else potentials.data_ptr(), error.data_ptr()
        carried = self.error_at_drive.data_ptr(), self.error_at_adaptation.data_ptr()
        sizes = len(distances), distances[0].numel(), error.stride(0)
        scan(*pointers, *carried, *sizes, self.constants.membrane.past, *formula, *numbers)
        return True
