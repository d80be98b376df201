"""Scans of leaky integrate-and-fire neurons over time, in place: in compiled code, or in plain torch.

    u[t] = λ v[t-1] + I[t]        membrane potential
    s[t] = 1 if u[t] >= θ else 0  spike
    v[t] = u[t] - θ s[t] (soft reset)  or  u[t] (1 - s[t]) (hard reset)

The time of a scan is memory traffic, and page faults on a CPU, not arithmetic. So the potential overwrites
the drive, the error overwrites the potential, and an average pool is taken with the spikes. Compiled code
(scans.c and bfloat16.c on CPUs, Triton on GPUs) runs each neuron through all steps while it is in the cache or in
registers; torch, the portable reference, goes step by step.

In half precision, membranes and all arithmetic are float32. Each number is rounded once, when it is stored, and a spike
is decided by the potential as it is stored, because errors are computed from that.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip.kernels import buffers, gpu, native
from onchip.kernels.table import Past, compiled
from onchip.kernels.trace import add_decayed
from onchip.surrogate import Surrogate


@dataclass(frozen=True)
class Membrane:
    """Constants of one layer of neurons.

    Args:
        decay: λ, the factor that the membrane keeps from one step to the next, in [0, 1]; a number, or a tensor that
            broadcasts with (features...), of one per neuron, which only torch takes.
        threshold: θ, in units of the drive.
        hard: reset to zero instead of subtracting the threshold.
        detach_reset: leave the reset out of the derivative through time.
    """

    decay: float | Tensor
    threshold: float
    hard: bool
    detach_reset: bool

    @property
    def past(self) -> Past:
        """How errors go through time."""
        return Past.through(hard=self.hard, detached=self.detach_reset)

    def reset(self, potential: Tensor, spikes: Tensor, out: Tensor | None = None) -> Tensor:
        """v from u and s: what the membrane keeps after the spike."""
        if self.hard:
            return torch.addcmul(potential, potential, spikes, value=-1, out=out)
        return torch.sub(potential, spikes, alpha=self.threshold, out=out)


def forward(
    drive: Tensor, steps: int | None, membrane: Membrane, rest: Tensor | None, pool: int | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs neurons over time.

    Args:
        drive: I, (T, B, features...), dense; overwritten by the potential. Or (B, features...), a
            static drive for `steps` steps.
        steps: T of a static drive, else None.
        membrane: the neurons' constants.
        rest: v before the first step, (B, features...), or None for zero; left untouched.
        pool: side of a square average pool taken of the spikes, or None.

    Returns:
        Spikes (or their pooled average) (T, B, ...), potentials u (T, B, features...), and the
        membrane v after the last step (B, features...), float32 at least.
    """
    if steps is None:
        potentials = inputs = drive
    else:
        potentials = buffers.empty((steps, *drive.shape), (drive.numel(), *drive.stride()), drive)
        inputs = drive.expand(potentials.shape)
    membrane_after = torch.empty_like(potentials[0], dtype=torch.promote_types(drive.dtype, torch.float32))
    if rest is not None:
        membrane_after.copy_(rest)
    output = buffers.empty_like(potentials) if pool is None else buffers.empty(*pooled(potentials, pool), potentials)
    extent, tensors = extent_of(potentials, pool), (drive, potentials, output, membrane_after)
    flags, constants = (steps is not None, rest is not None, membrane.hard), (membrane.decay, membrane.threshold)
    shared = not isinstance(membrane.decay, Tensor)
    fused = gpu.scan("forward", potentials, pool) if shared else None
    if fused is not None and extent is not None and fused(*tensors, extent, *constants, *flags):
        return output, potentials, membrane_after
    scan = native.scan("onchip_forward", potentials, pool) if shared else None
    if scan is not None and extent is not None:
        scan(*(tensor.data_ptr() for tensor in tensors), len(potentials), *extent, *flags, *constants)
        return output, potentials, membrane_after
    if rest is None:
        membrane_after.zero_()
    if potentials.dtype != membrane_after.dtype:
        for t, potential in enumerate(potentials):
            exact = add_decayed(inputs[t].to(membrane_after.dtype), membrane_after, membrane.decay)
            fired = potential.copy_(exact).to(exact.dtype).ge(membrane.threshold).to(exact.dtype)
            membrane.reset(exact, fired, out=membrane_after)
            output[t] = fired if pool is None else F.avg_pool2d(fired, pool)
        return output, potentials, membrane_after
    spikes = output if pool is None else torch.empty_like(potentials[0])
    for t, potential in enumerate(potentials):
        add_decayed(inputs[t], membrane_after, membrane.decay, out=potential)
        spike = spikes[t] if pool is None else spikes
        torch.ge(potential, membrane.threshold, out=spike)
        membrane.reset(potential, spike, out=membrane_after)
        if pool is not None:
            # The out= form saves an allocation per step; it has no public name.
            torch.ops.aten.avg_pool2d.out(spike, [pool, pool], out=output[t])
    return output, potentials, membrane_after


def backward(potentials: Tensor, error: Tensor, membrane: Membrane, surrogate: Surrogate, pool: int | None) -> Tensor:
    """Error through time, dL/dI (T, B, features...), written over the potentials.

        δ[t] = ψ(u[t] - θ) (g[t] - r[t] δ[t+1]) + λ k[t] δ[t+1]

    with r = λθ, k = 1 for the soft reset and r = λ u[t], k = 1 - s[t] for the hard one; r = 0 where the
    reset is detached.

    Args:
        potentials: u (T, B, features...), from `forward`.
        error: g, dL/ds (T, B, ...), on the pooled grid if `pool` is given.
        membrane: the neurons' constants.
        surrogate: ψ.
        pool: side of the average pool that `forward` took, or None.
    """
    if _in_one_pass(potentials, error, membrane, surrogate, pool, past=membrane.past):
        return potentials
    later: Tensor | None = None
    buffer = torch.empty_like(potentials[0], dtype=_exact(potentials))
    for t in range(len(potentials) - 1, -1, -1):
        potential, arriving = potentials[t].to(buffer.dtype), unpool(error[t].to(buffer.dtype), pool, buffer)
        later = step_back(potential, arriving, later, membrane, surrogate)
        if potentials.dtype != buffer.dtype:
            potentials[t] = later
    return potentials


def step_back(
    potential: Tensor, error: Tensor, later: Tensor | None, membrane: Membrane, surrogate: Surrogate
) -> Tensor:
    """One step of `backward`: δ[t] (B, features...), written over u[t].

    Args:
        potential: u[t], (B, features...).
        error: g[t], dL/ds[t]; left untouched.
        later: δ[t+1]; None at the last step.
        membrane: the neurons' constants.
        surrogate: ψ.
    """
    if later is None:
        return surrogate.gate_(potential.sub_(membrane.threshold), error)
    decay, carried = membrane.decay, later
    if isinstance(decay, Tensor):
        decay, carried = 1.0, later * decay
    if not membrane.detach_reset:
        if membrane.hard:
            error = torch.addcmul(error, potential, carried, value=-decay)
        else:
            error = torch.sub(error, carried, alpha=decay * membrane.threshold)
    if membrane.hard:
        carried = carried.masked_fill(potential >= membrane.threshold, 0.0)
    return surrogate.gate_(potential.sub_(membrane.threshold), error).add_(carried, alpha=decay)


def backward_local(
    potentials: Tensor, error: Tensor, membrane: Membrane, surrogate: Surrogate, pool: int | None
) -> Tensor:
    """Error at the same step only, ψ(u[t] - θ) g[t] (T, B, features...), written over the potentials."""
    if _in_one_pass(potentials, error, membrane, surrogate, pool, past=Past.NO_PAST):
        return potentials
    buffer = torch.empty_like(potentials[0], dtype=_exact(potentials))
    for t, arriving in enumerate(error):
        distance = potentials[t].to(buffer.dtype).sub_(membrane.threshold)
        surrogate.gate_(distance, unpool(arriving.to(buffer.dtype), pool, buffer))
        if potentials.dtype != buffer.dtype:
            potentials[t] = distance
    return potentials


def unpool(error: Tensor, pool: int | None, buffer: Tensor) -> Tensor:
    """The error (B, C, h, w) of an average pool, spread over its (B, C, h·pool, w·pool) inputs.

    Args:
        error: dL/d(pooled).
        pool: side of the pool; None leaves the error as it is.
        buffer: (B, C, h·pool, w·pool), dense in channels_last order; overwritten and returned.
    """
    if pool is None:
        return error
    batch, channels, height, width = error.shape
    wide = buffer.permute(0, 2, 3, 1).unflatten(1, (height, pool)).unflatten(3, (width, pool))
    cells = error.permute(0, 2, 3, 1)[:, :, None, :, None]  # (B, h, 1, w, 1, C)
    spread = cells.expand(batch, height, pool, width, pool, channels)
    torch.mul(spread, 1.0 / (pool * pool), out=wide)
    return buffer


def weighted_sum(series: Tensor, weights: Sequence[float]) -> Tensor:
    """sum_t weights[t] series[t] for series (T, B, features...): (B, features...), a new tensor."""
    fused, total = gpu.scan("weighted_sum", series), torch.empty_like(series[0])
    if fused is not None and fused(series, tuple(weights), total):
        return total
    scan = native.scan("onchip_weighted_sum", series)
    if scan is not None:
        factors = torch.tensor(weights, dtype=torch.float32)
        scan(series.data_ptr(), factors.data_ptr(), total.data_ptr(), len(series), total.numel())
        return total
    exact = series[0].to(_exact(series)) * weights[0]
    for t, weight in enumerate(weights[1:], start=1):
        exact.add_(series[t], alpha=weight)
    return exact.to(series.dtype)


def _exact(series: Tensor) -> torch.dtype:
    """The type to compute in: the series' own, float32 at least."""
    return torch.promote_types(series.dtype, torch.float32)


def _in_one_pass(
    potentials: Tensor, error: Tensor, membrane: Membrane, surrogate: Surrogate, pool: int | None, *, past: Past
) -> bool:
    """Writes errors over the potentials in compiled code; False, and nothing written, where torch has to."""
    if isinstance(membrane.decay, Tensor):
        return False
    fused, scan = gpu.scan("backward", potentials), native.scan("onchip_backward", potentials)
    extent, formula = extent_of(potentials, pool), compiled(surrogate)
    if (fused is None and scan is None) or extent is None or formula is None:
        return False
    shape, strides = (potentials.shape, potentials.stride()) if pool is None else pooled(potentials, pool)
    if error.stride()[1:] != strides[1:] or error.dtype != potentials.dtype:
        error = torch.empty_strided(shape, strides, dtype=potentials.dtype, device=potentials.device).copy_(error)
    constants = membrane.decay, membrane.threshold
    if fused is not None and fused(potentials, error, extent, past, formula, *constants):
        return True
    if scan is None:
        return False
    pointers = potentials.data_ptr(), error.data_ptr()
    scan(*pointers, len(potentials), *extent, error.stride(0), past, *formula, *constants)
    return True


def extent_of(potentials: Tensor, pool: int | None) -> tuple[int, ...] | None:
    """Sizes (B, H, W, C) of maps and the side of their pool, or (1, 1, 1, n) and 1 where there is no pool.

    None for maps that do not lie in channels_last order.
    """
    if pool is None:
        return 1, 1, 1, potentials[0].numel(), 1
    batch, channels, height, width = potentials.shape[1:]
    in_rows = potentials[0].is_contiguous(memory_format=torch.channels_last)
    return (batch, height, width, channels, pool) if in_rows else None


def pooled(potentials: Tensor, pool: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape (T, B, C, h, w) and strides, in channels_last order, of the pool of maps (T, B, C, H, W)."""
    steps, batch, channels, height, width = potentials.shape
    height, width = height // pool, width // pool
    image = height * width * channels
    return (steps, batch, channels, height, width), (batch * image, image, 1, width * channels, channels)
