"""How a number becomes a spike train whose mean over time it is.

Numbers lie in [-1, 1]; below zero the spikes are -1, which hardware sends on a line of its own. Draws come from
torch's global generator.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from onchip.kernels.phase import phase


class SpikeTrain(ABC):
    """Turns numbers into spikes, one time step after the other."""

    remembers: ClassVar[bool]
    """Whether a step's spikes depend on earlier steps of the same train."""

    @abstractmethod
    def __call__(self, numbers: Tensor, carried: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Spikes for numbers in [-1, 1], both (T, ...).

        Args:
            numbers: one for each step; they are overwritten, and so is `carried`.
            carried: what an earlier call returned, to go on with its trains; None to begin new ones.

        Returns:
            Spikes -1, 0 or 1 (T, ...), and what the trains carry on (...), or None if they remember nothing.
        """

    @abstractmethod
    def count(self, numbers: Tensor, steps: int) -> Tensor:
        """Sums of trains of that many steps, each for one number in [-1, 1] held still: whole numbers (...)."""


@dataclass(frozen=True)
class BernoulliTrain(SpikeTrain):
    """At each step a spike with the number as its probability, independent of all others.

    Reference: Biswas, Saraswat, Ganguly 2023 (SSNN-BP, arXiv 2207.09755).
    """

    command: ClassVar[str] = "bernoulli"

    remembers = False

    def __call__(self, numbers: Tensor, carried: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        drawn, fired = _without_values(numbers[0]), torch.empty_like(numbers[0])
        for step in numbers:  # a step at a time stays in the processor's cache
            # [r < p] - [r < -p] in one draw: a spike where r is below |p|, of p's sign.
            torch.lt(drawn.uniform_(), step.abs(), out=fired)
            step.sign_().mul_(fired)
        return numbers, None

    def count(self, numbers: Tensor, steps: int) -> Tensor:
        trials = torch.full_like(numbers, steps)
        return torch.binomial(trials, numbers.abs()).mul_(numbers.sign())


@dataclass(frozen=True)
class RandomPhaseTrain(SpikeTrain):
    """Adds the number up from a phase u ~ U[0, 1), and sends a spike whenever the sum passes a whole number.

        spike[t] = floor(u + p[1] + ... + p[t]) - floor(u + p[1] + ... + p[t-1])

    Each spike alone is that of `BernoulliTrain`, P(spike) = p, but a train's count is T p rounded up or down where
    Bernoulli's is binomial; one draw a train in place of T. Below zero the sum falls, and spikes are -1.

    Reference: ours; a noisy integrate-and-fire neuron with a uniform initial state.
    """

    command: ClassVar[str] = "randomphase"

    remembers = True

    def __call__(self, numbers: Tensor, carried: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if carried is None:
            carried = torch.empty_like(numbers[0]).copy_(_without_values(numbers[0]).uniform_())
        return phase(numbers, carried)

    def count(self, numbers: Tensor, steps: int) -> Tensor:
        return (numbers * steps).add_(torch.rand_like(numbers)).floor_()


def _without_values(like: Tensor) -> Tensor:
    """A tensor to draw into: always in the same order, so that draws do not depend on a layout in memory."""
    return torch.empty(like.shape, dtype=like.dtype, device=like.device)


def winner_take_all(potential: Tensor) -> Tensor:
    """One spike a row, at k with probability softmax(potential)_k: (..., classes), one-hot.

    In hardware it is a race of noisy units that inhibit each other; here the largest of z - log(-log r).
    """
    race = potential - torch.empty_like(potential).exponential_().log_()
    return torch.zeros_like(potential).scatter_(-1, race.argmax(-1, keepdim=True), 1.0)
