"""Facts with their sources, and how text such as "7 bits" or "23.6 pJ" becomes a number."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ["UNKNOWN", "UNPRICED", "Fact", "Kind", "amount", "choice", "count", "names", "sentence", "switch"]

Value = TypeVar("Value")

UNKNOWN, UNPRICED = "unknown", "unpriced"
"""What a file says of a fact, or of a price, that was not found."""


@dataclass(frozen=True)
class Fact(Generic[Value]):
    """A fact and where it was published.

    Args:
        value: The value; None if it is unknown.
        text: The value as the file has it, with its unit.
        source: Paper with table, section or page, or the title of a page of documentation.
        of: What it is true of, such as a generation of the chip; empty if of all.
    """

    value: Value | None = None
    text: str = UNKNOWN
    source: str = ""
    of: str = ""

    def __str__(self) -> str:
        return f"{self.text} ({self.of})" if self.of else self.text

    @property
    def known(self) -> bool:
        """Whether the value was found."""
        return self.value is not None


@dataclass(frozen=True)
class Kind:
    """What the value of a fact may be.

    Args:
        expected: The values in words, with an example.
        read: The value of what stands in a file; raises ValueError for anything else.
        missing: The word that stands for a value that was not found.
    """

    expected: str
    read: Callable[[Any], Any]
    missing: str = UNKNOWN


def amount(what: str, units: dict[str, float], example: str, *, whole: bool = True, missing: str = UNKNOWN) -> Kind:
    """A number and its unit, such as "128 KiB", as a number of the first unit.

    Args:
        what: What is counted, for messages.
        units: Each unit with its size in units of the first, which is 1.
        example: A value, for messages.
        whole: Whether the number of first units must be whole.
        missing: See `Kind`.
    """

    def read(value: Any) -> int | float:
        found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?) ?(\S+)", value) if isinstance(value, str) else None
        if found is None or found[2] not in units:
            raise ValueError
        size = float(found[1]) * units[found[2]]
        if whole and not size.is_integer():
            raise ValueError
        return int(size) if whole else size

    return Kind(f"{what} in {' or '.join(units)}, such as {example!r}", read, missing)


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError
    return value


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _sentence(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value


count = Kind("a whole number of at least 0", _count)
switch = Kind("true or false", _switch)
sentence = Kind("a sentence", _sentence)


def choice(*words: str) -> Kind:
    """One of a few words."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(map(repr, words))}", read)


def names(*words: str) -> Kind:
    """A list of some of a few words."""

    def read(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or any(each not in words for each in value):
            raise ValueError
        return tuple(value)

    return Kind(f"a list of some of {', '.join(map(repr, words))}", read)
