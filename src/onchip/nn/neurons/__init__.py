"""Neurons that a network can be built of; a new one is a file here and its name in this list."""

from onchip.nn.neurons.lif import IF, LIF
from onchip.nn.neurons.rate import Rate
from onchip.nn.neurons.stochastic import Stochastic
from onchip.nn.neurons.ttfs import TTFS

__all__ = ["IF", "LIF", "TTFS", "Rate", "Stochastic"]
