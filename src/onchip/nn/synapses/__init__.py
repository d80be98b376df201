"""Synapses: the bilinear maps that rules train, one file each, and the lookup of the one that a torch layer has.

A new synapse is a file with a subclass of `Synapse` and a line in this list; from outside of this package, a call of
`register`.
"""

from onchip.nn.synapses.base import Synapse
from onchip.nn.synapses.conv1d import Conv1dSynapse
from onchip.nn.synapses.conv2d import Conv2dSynapse
from onchip.nn.synapses.linear import LinearSynapse
from onchip.nn.synapses.lookup import is_synapse, known_layers, register, synapse_of
from onchip.nn.synapses.standardized_conv2d import StandardizedConv2dSynapse

__all__ = [
    "Conv1dSynapse",
    "Conv2dSynapse",
    "LinearSynapse",
    "StandardizedConv2dSynapse",
    "Synapse",
    "is_synapse",
    "known_layers",
    "register",
    "synapse_of",
]

for _synapse in (LinearSynapse, Conv1dSynapse, Conv2dSynapse, StandardizedConv2dSynapse):
    register(_synapse)
