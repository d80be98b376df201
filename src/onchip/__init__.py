"""Train spiking neural networks with the learning rules that silicon can run."""

from onchip import nn, rules, transport
from onchip.errors import OnchipError
from onchip.signals import Static

__all__ = ["OnchipError", "Static", "__version__", "nn", "rules", "transport"]

__version__ = "0.1.0"
