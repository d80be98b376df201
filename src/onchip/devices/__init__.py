"""Devices: optimizers that write weights as memory cells take them. A function a device, each made from a rule."""

from onchip.devices.aihwkit import aihwkit
from onchip.devices.ideal import ideal
from onchip.devices.pulsed import pulsed
from onchip.devices.quantised import quantised

__all__ = ["aihwkit", "ideal", "pulsed", "quantised"]
