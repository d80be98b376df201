"""Neurons that a network can be built of; a new one is a file here and its name in this list."""

from onchip.neurons.lif import IF, LIF
from onchip.neurons.rate import Rate
from onchip.neurons.stochastic import Stochastic
from onchip.neurons.ttfs import TTFS

__all__ = ["IF", "LIF", "TTFS", "Rate", "Stochastic"]
