"""Modules that spiking networks are built of. Linear, Conv1d and Conv2d are torch's own."""

from torch.nn import (
    AdaptiveAvgPool2d,
    AvgPool1d,
    AvgPool2d,
    Conv1d,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    Linear,
    MaxPool1d,
    MaxPool2d,
)

from onchip.nn.neurons import ALIF, IF, LIF, TTFS, CubaLIF, Rate, Stochastic
from onchip.nn.neurons.base import Neuron
from onchip.nn.neurons.li import LI
from onchip.nn.neurons.readout import Readout
from onchip.nn.neurons.stochastic import MeanReadout
from onchip.nn.neurons.ttfs import TTFSReadout
from onchip.nn.pooling import EarliestPool2d
from onchip.nn.recurrent import Recurrent
from onchip.nn.residual import Residual
from onchip.nn.sequential import Sequential
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS, Static
from onchip.nn.weight_standardization import WeightStandardizedConv2d

__all__ = [
    "ALIF",
    "IF",
    "LI",
    "LIF",
    "SPIKE_TIMES",
    "SPIKE_TRAINS",
    "TIME_STEPS",
    "TTFS",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "CubaLIF",
    "Dropout",
    "EarliestPool2d",
    "Flatten",
    "Identity",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MeanReadout",
    "Neuron",
    "Rate",
    "Readout",
    "Recurrent",
    "Residual",
    "Sequential",
    "Static",
    "Stochastic",
    "TTFSReadout",
    "WeightStandardizedConv2d",
]
