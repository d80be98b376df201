"""Neurons that a network can be built of; a new one is one file here and one line in this list."""

from onchip.nn.neurons.alif import ALIF
from onchip.nn.neurons.base import Neuron
from onchip.nn.neurons.cuba_lif import CubaLIF
from onchip.nn.neurons.li import LI
from onchip.nn.neurons.lif import IF, LIF
from onchip.nn.neurons.rate import Rate
from onchip.nn.neurons.readout import Readout
from onchip.nn.neurons.stochastic import MeanReadout, Stochastic
from onchip.nn.neurons.ttfs import TTFS, TTFSReadout
from onchip.nn.signals import SignalKind

__all__ = ["ALIF", "IF", "LIF", "TTFS", "CubaLIF", "Rate", "Stochastic"]

READOUTS: list[type[Neuron]] = [Readout, MeanReadout, TTFSReadout, LI]
"""What closes a network: the first one per kind of signal unless another is named; append that of a new kind."""


def readout_of(kind: SignalKind) -> type[Neuron]:
    """The read-out that closes a network whose neurons exchange such signals."""
    return next(readout for readout in READOUTS if readout.signal is kind)
