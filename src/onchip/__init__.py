"""Train spiking neural networks with the learning rules that silicon can run."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onchip.errors import OnchipError

if TYPE_CHECKING:
    from onchip import nn, rules, transport
    from onchip.nn.signals import Static

__all__ = ["OnchipError", "Static", "__version__", "nn", "rules", "transport"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Loads what needs torch when it is first asked for, so that `onchip --help` need not wait for torch."""
    if name == "Static":
        return import_module("onchip.nn.signals").Static
    if name in ("nn", "rules", "transport"):
        return import_module(f"onchip.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
