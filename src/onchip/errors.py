"""Errors that say what was got, what was expected and what to do about it."""

import difflib
from collections.abc import Iterable

__all__ = [
    "CheckpointError",
    "DataError",
    "DivergedError",
    "MemoryLimitError",
    "OnchipError",
    "ProcessLostError",
    "RequestError",
    "UnsupportedError",
    "require",
    "unknown_name",
]


class OnchipError(Exception):
    """Base of every error that `onchip` raises on purpose."""


class RequestError(OnchipError, ValueError):
    """The request itself is wrong: an unknown name, or a value out of range."""


class UnsupportedError(OnchipError, TypeError):
    """A rule, layer or neuron was asked for something that it cannot do."""


class DataError(OnchipError):
    """A data file is missing, damaged or not what it claims to be."""


class CheckpointError(DataError):
    """A checkpoint is damaged, or of another run."""


class DivergedError(OnchipError):
    """A run left the finite numbers: NaN or infinity in a loss or a weight."""


class MemoryLimitError(OnchipError):
    """A device has too little memory for what was asked of it."""


class ProcessLostError(OnchipError):
    """A process that trains a network together with this one has ended, or has another network by now."""


def require(condition: bool, owner: object, name: str, value: object, expected: str) -> None:
    """Raises RequestError unless an option is in its range.

    Args:
        condition: Whether the value is valid.
        owner: Name of the rule or function that has the option, or the object, whose class is then named.
        name: Name of the option.
        value: Its value.
        expected: The valid values, in words, and a remedy if there is one.
    """
    if not condition:
        who = owner if isinstance(owner, str) else type(owner).__name__
        raise RequestError(f"{who} got {name}={value}; expected {expected}")


def unknown_name(kind: str, got: str, known: Iterable[str]) -> RequestError:
    """Error for a name that does not exist; lists the names there are, nearest first.

    Example:
        >>> str(unknown_name("rule", "fpb", ["bp", "fbp"]))
        "unknown rule 'fpb'; did you mean 'fbp'? There are: fbp, bp"
    """
    got = got[:80]
    names = sorted(known, key=lambda name: -difflib.SequenceMatcher(None, got.lower(), name).ratio())
    near = bool(names) and difflib.SequenceMatcher(None, got.lower(), names[0]).ratio() >= 0.5
    hint = f"did you mean {names[0]!r}? " if near else ""
    return RequestError(f"unknown {kind} {got!r}; {hint}There are: {', '.join(names)}")
