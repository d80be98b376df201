"""Train spiking neural networks with the learning rules that silicon can run."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from onchip.errors import OnchipError

if TYPE_CHECKING:
    from onchip import nn, report, rules, transport
    from onchip.cli.shared.progress import bars
    from onchip.learning.ranks import Ranks
    from onchip.nn.signals import Static
    from onchip.training.comparison import compare
    from onchip.training.fit import fit
    from onchip.training.saved import load_run
    from onchip.training.saving import save
    from onchip.training.trained import load

__all__ = [
    "OnchipError",
    "Ranks",
    "Static",
    "__version__",
    "bars",
    "compare",
    "fit",
    "load",
    "load_run",
    "nn",
    "report",
    "rules",
    "save",
    "transport",
]

__version__ = "0.1.0"

MODULES = {
    "Ranks": "onchip.learning.ranks",
    "Static": "onchip.nn.signals",
    "bars": "onchip.cli.shared.progress",
    "compare": "onchip.training.comparison",
    "fit": "onchip.training.fit",
    "load": "onchip.training.trained",
    "load_run": "onchip.training.saved",
    "save": "onchip.training.saving",
}
"""Where the functions and classes are that need torch or much else; the other names are packages."""


def __getattr__(name: str) -> Any:
    """Loads what needs torch when it is first asked for, so that `onchip --help` need not wait for torch."""
    if name in MODULES:
        return getattr(import_module(MODULES[name]), name)
    if name in __all__:
        return import_module(f"onchip.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
