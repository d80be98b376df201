"""How a noisy output is centered before it is correlated with the noise that went in.

The output's own mean carries nothing of the noise but variance. Taking it off decides how good the
estimate is: on a frozen network, cosine .94 against .68 to the true feedback of the first layer.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError

__all__ = ["Antithetic", "Causal", "Centering", "LeaveOneOut", "Uncentered"]


class Centering(ABC):
    """A way to take the part of the output off that the noise did not cause."""

    streams: bool
    """Whether it can be done at each time step, from the past alone."""

    @abstractmethod
    def noise(self, drawn: Tensor) -> Tensor:
        """The noise to use, (T, B, features...), made of independently drawn noise of that shape."""

    @abstractmethod
    def centre(self, output: Tensor, before: Tensor | None) -> Tensor:
        """Centred output.

        Args:
            output: o, (T, B, classes).
            before: the output one step before the first, (B, classes), or None at the start.
        """


@dataclass(frozen=True)
class LeaveOneOut(Centering):
    """Takes off the mean over the batch, then the mean over the other time steps of the sample.

        c = o - mean_b o,   õ = T / (T-1) (c - mean_t c)

    With a single time step, and so in a stream, only the mean over the other samples of the batch; a warning says so.
    """

    streams = True

    def noise(self, drawn: Tensor) -> Tensor:
        return drawn

    def centre(self, output: Tensor, before: Tensor | None) -> Tensor:
        steps, batch, _ = output.shape
        centered = output - output.mean(1, keepdim=True)
        if steps > 1:
            return (centered - centered.mean(0, keepdim=True)) * (steps / (steps - 1))
        if batch == 1:
            raise RequestError("LeaveOneOut got one sample of one time step; expected more of either. Use Causal()")
        warnings.warn(
            "LeaveOneOut got one time step at a time, as in a stream, and centres over the batch alone; Causal needs "
            "neither later steps nor other samples",
            stacklevel=3,
        )
        return centered * (batch / (batch - 1))


@dataclass(frozen=True)
class Causal(Centering):
    """Takes off the output one step earlier: õ[t] = o[t] - o[t-1]. Needs neither the batch nor the future."""

    streams = True

    def noise(self, drawn: Tensor) -> Tensor:
        return drawn

    def centre(self, output: Tensor, before: Tensor | None) -> Tensor:
        first = torch.zeros_like(output[:1]) if before is None else before.unsqueeze(0)
        return output - torch.cat([first, output[:-1]])


@dataclass(frozen=True)
class Antithetic(Centering):
    """Noise comes in pairs, z and -z on successive steps, so that what is common to a pair cancels."""

    streams = False

    def noise(self, drawn: Tensor) -> Tensor:
        if len(drawn) % 2:
            raise RequestError(f"Antithetic got T = {len(drawn)} time steps; expected an even number, to pair them")
        drawn[1::2] = -drawn[::2]
        return drawn

    def centre(self, output: Tensor, before: Tensor | None) -> Tensor:
        return output


@dataclass(frozen=True)
class Uncentered(Centering):
    """Takes nothing off: what centering is measured against."""

    streams = True

    def noise(self, drawn: Tensor) -> Tensor:
        return drawn

    def centre(self, output: Tensor, before: Tensor | None) -> Tensor:
        return output
