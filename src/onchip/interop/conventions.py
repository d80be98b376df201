"""Constants of our neurons in a reader's terms, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onchip.interop.readers.base import Gain, Reader
from onchip.nn.neurons.spiking import Reset

Numbers = NDArray[np.float64]

ENDLESS = 2.0**60
"""Time constant, in time steps, of a state that does not leak: 1 - 1/ENDLESS is 1 in double precision."""


@dataclass(frozen=True)
class Conventions:
    """What the numbers of a file mean.

    Args:
        reader: Who reads it.
        dt: Time step, in seconds.
        precision: NumPy's type of the potentials, which decides which number is next to a threshold.
        reset: Of neurons that are read, where our export stored none; NIR cannot say a soft one.
    """

    reader: Reader
    dt: float
    precision: type[np.floating] = np.float32
    reset: Reset = "hard"

    def tau(self, decay: Numbers) -> Numbers:
        """τ for a decay, in seconds (`euler`) or in steps (`exponential`)."""
        if self.reader.decay == "euler":
            return self.dt / _leak(decay)
        with np.errstate(divide="ignore"):
            return np.where(decay < 1.0, -1.0 / np.log(decay), ENDLESS)

    def decay(self, tau: Numbers) -> Numbers:
        """The decay that a τ means."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.exp(-1.0 / tau) if self.reader.decay == "exponential" else 1.0 - self.dt / tau

    def resistance(self, decay: Numbers, gain: Gain) -> Numbers:
        """R for an input that counts with a factor of 1; 1 where R is not read."""
        return 1.0 / _leak(decay) if gain == "r" else np.ones_like(decay)

    def gain(self, decay: Numbers, resistance: Numbers, gain: Gain) -> Numbers:
        """The factor on the input of a leaky node."""
        leak = _leak(decay)
        return {"r": resistance * leak, "leak": leak, "unit": np.ones_like(leak)}[gain]

    def if_resistance(self, shape: tuple[int, ...]) -> Numbers:
        """R of an IF node whose input counts with a factor of 1."""
        return np.full(shape, 1.0 / self.dt if self.reader.if_gain == "dt" else 1.0)

    def if_gain(self, resistance: Numbers) -> Numbers:
        """The factor on the input of an IF node."""
        return resistance * self.dt if self.reader.if_gain == "dt" else np.ones_like(resistance)

    def written_threshold(self, threshold: Numbers) -> Numbers:
        """The file's threshold for neurons that fire at u >= θ: the number below θ for readers that ask for v > θ."""
        rounded = threshold.astype(self.precision)
        below = np.nextafter(rounded, self.precision(-math.inf))
        return np.asarray(below if self.reader.strict else rounded).astype(np.float64)

    def read_threshold(self, threshold: Numbers) -> Numbers:
        """The θ of neurons that fire at u >= θ as those of a file do."""
        rounded = threshold.astype(self.precision)
        above = np.where(rounded > threshold, rounded, np.nextafter(rounded, self.precision(math.inf)))
        return np.asarray(above if self.reader.strict else rounded).astype(np.float64)


def _leak(decay: Numbers) -> Numbers:
    """1 - decay, or nearly 0 where that is 0."""
    return np.maximum(1.0 - decay, 1.0 / ENDLESS)
