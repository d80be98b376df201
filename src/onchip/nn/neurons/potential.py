"""From the drives of a stochastic neuron to the probability of a spike at each time step, and back."""

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from onchip.kernels import running
from onchip.kernels.integrate import integrate_, integrate_adjoint
from onchip.nn.neurons.base import Adjoint
from onchip.nn.neurons.leaky import whole


class PotentialState(NamedTuple):
    """What a potential carries on in a stream.

    Args:
        sums: Sum of the drives, (B, features...).
        weight: Weight n of these sums.
        membrane: Part of the drives that is still to be sent, (B, features...).
    """

    sums: Tensor
    weight: float
    membrane: Tensor


class Potential(ABC):
    """The probabilities p = clip(a, 0, 1) of a potential a, and their derivatives by the drives."""

    @abstractmethod
    def run_(self, drive: Tensor, before: PotentialState) -> tuple[Tensor, dict[str, Tensor], PotentialState]:
        """One forward pass.

        Args:
            drive: (T, B, features...); overwritten.
            before: The state before the first step.

        Returns:
            p (T, B, features...); its derivatives, which are 0 or 1, as bool of that shape, under `gate` for each step
            alone and under `sending` for `adjoint`, where that takes others; and the state after the last step.
        """

    @abstractmethod
    def adjoint(self, gates: Tensor) -> Adjoint:
        """The error at the drive of a step from that at its p, later steps included, from the last to the first.

        Args:
            gates: Derivatives of p, from `run_`, (T, B, features...).
        """

    def through_time(self, error: Tensor, gates: Tensor) -> Tensor:
        """The same for all steps, (T, B, features...)."""
        return whole(self.adjoint(gates), error)


class Average(Potential):
    """The mean of the drives so far, in which older ones may count less.

        a[t] = U[t] / n[t],   U[t] = α U[t-1] + I[t],   n[t] = α n[t-1] + 1

    Args:
        memory: α, in [0, 1].
    """

    def __init__(self, memory: float) -> None:
        self._memory = memory

    def run_(self, drive: Tensor, before: PotentialState) -> tuple[Tensor, dict[str, Tensor], PotentialState]:
        sums = running.sum_(drive, self._memory, before.sums)
        last_sum = sums[-1].clone()
        mean, weight = running.mean_(sums, self._memory, before.weight)
        gate = (mean > 0) & (mean < 1)
        return mean.clamp_(0, 1), {"gate": gate}, PotentialState(last_sum, weight, before.membrane)

    def adjoint(self, gates: Tensor) -> Adjoint:
        weights = list(accumulate(gates[1:], lambda weight, _: self._memory * weight + 1.0, initial=1.0))
        later: Tensor | None = None

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            nonlocal later
            share = error * gates[t] / weights[t]
            later = share if later is None else torch.add(share, later, alpha=self._memory)
            return later

        return error_at_drive

    def through_time(self, error: Tensor, gates: Tensor) -> Tensor:
        return running.mean_adjoint_(error * gates, self._memory)


class Integrated(Potential):
    """The membrane of an integrate-and-fire neuron with reset by subtraction: what was not sent yet.

        a[t] = a[t-1] - p[t-1] + I[t]

    What is sent in T steps is the sum of the drives, unless that falls below what was sent before or grows by more than
    one per step: the early steps, whose mean is noisy, hardly add to the noise of the count. A step alone has the
    derivative of clip(mean of the drives, 0, 1).

    Reference: the reset by subtraction is that of Rueckauer et al. 2017, Frontiers in Neuroscience 11:682.
    """

    def run_(self, drive: Tensor, before: PotentialState) -> tuple[Tensor, dict[str, Tensor], PotentialState]:
        sums, membrane = before.sums.clone(), before.membrane.clone()
        steps = before.weight + len(drive)
        probability, gate, sending = integrate_(drive, sums, membrane, before.weight)
        return probability, {"gate": gate, "sending": sending}, PotentialState(sums, steps, membrane)

    def adjoint(self, gates: Tensor) -> Adjoint:
        later: Tensor | None = None

        def error_at_drive(t: int, error: Tensor) -> Tensor:
            nonlocal later  # what is not sent in this step is sent in a later one
            later = torch.where(gates[t], error, torch.zeros_like(error) if later is None else later)
            return later

        return error_at_drive

    def through_time(self, error: Tensor, gates: Tensor) -> Tensor:
        compiled = integrate_adjoint(error, gates)
        return super().through_time(error, gates) if compiled is None else compiled
