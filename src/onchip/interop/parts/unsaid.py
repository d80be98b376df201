"""Layers for which NIR has no node, and nodes for which we have no layer: the reason of each."""

import torch

from onchip.nn.neurons import ALIF, TTFS, Rate, Stochastic
from onchip.nn.neurons.stochastic import MeanReadout
from onchip.nn.neurons.ttfs import TTFSReadout
from onchip.nn.pooling import EarliestPool2d

LAYERS: dict[type, str] = {
    ALIF: "NIR has no neuron with an adaptive threshold",
    TTFS: "NIR's neurons fire at time steps; it has no spike times",
    TTFSReadout: "NIR's neurons fire at time steps; it has no spike times",
    EarliestPool2d: "NIR's neurons fire at time steps; it has no spike times",
    Stochastic: "NIR's neurons are deterministic; it has none that fire at random",
    MeanReadout: "NIR has no mean over time",
    Rate: "NIR has no neuron that sends a number in place of spikes",
    torch.nn.MaxPool1d: "NIR has no max-pooling; use AvgPool2d",
    torch.nn.MaxPool2d: "NIR has no max-pooling; use AvgPool2d",
    torch.nn.AvgPool1d: "NIR pools images only; use a stride",
}
"""Why a layer cannot be written; a new neuron that NIR cannot say is one line here."""

NODES: dict[str, str] = {
    "CubaLI": "we have no leaky read-out with a synaptic current",
    "Delay": "our synapses have no delays",
    "Scale": "we have no layer that only scales; multiply the weights before or after it",
    "Threshold": "we have no neurons without a state",
}
"""Why a node cannot be read."""
