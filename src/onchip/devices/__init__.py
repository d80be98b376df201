"""Devices: optimizers that write simulated memory cells; a new device is a file here and its name in this list."""

from onchip.devices.aihwkit import aihwkit
from onchip.devices.chip import chip
from onchip.devices.ideal import ideal
from onchip.devices.pulsed import pulsed
from onchip.devices.quantized import quantized

__all__ = ["aihwkit", "chip", "ideal", "pulsed", "quantized"]
