"""Weight transport: what is sent from the forward weights to the feedback weights at one event.

A new scheme is a file here and its name in this list.
"""

from onchip.transport.base import Transport, Transported
from onchip.transport.cyclic import Cyclic
from onchip.transport.full import Full
from onchip.transport.lowrank import LowRank
from onchip.transport.random import Random
from onchip.transport.sign import Sign
from onchip.transport.threshold import Threshold
from onchip.transport.top import Top

__all__ = ["Cyclic", "Full", "LowRank", "Random", "Sign", "Threshold", "Top", "Transport", "Transported"]
