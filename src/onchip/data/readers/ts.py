"""Sequences in the text format of the UEA archive of time series, `.ts`.

Lines that begin with # are comments, those with @ state facts, and each line after @data is one sequence: the numbers
of a channel between commas, channels and then the class between colons.

Reference: A. Bagnall et al., The UEA multivariate time series classification archive, arXiv:1811.00075, 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from onchip._files import read_regular
from onchip.errors import DataError

__all__ = ["Series", "read_ts"]

UNSUPPORTED = {"timestamps": "sequences without time stamps", "missing": "no missing values"}
"""Facts that have to be false, by their names in lower case, and what is expected."""


@dataclass(frozen=True, eq=False)
class Series:
    """Sequences with their classes.

    Args:
        classes: names of the classes, in the order of the file.
        values: one array (T, channels) of float64 per sequence, of any T.
        labels: class of each sequence, an index into `classes`.
    """

    classes: tuple[str, ...]
    values: tuple[NDArray[np.float64], ...]
    labels: tuple[int, ...]


def read_ts(path: Path) -> Series:
    """The sequences in a file.

    Raises:
        DataError: the file is unreadable, damaged or cut short, or has time stamps or missing values; the message names
            the line.
    """
    try:
        lines = read_regular(path).decode().splitlines()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}. Give a file that you may read") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8; expected the .ts format of the UEA archive") from error
    facts, begin = _facts(path, lines)
    classes = _classes(path, facts)
    values, labels = [], []
    for number, line in enumerate(lines[begin:], begin + 1):
        if not line.strip():
            continue
        *channels, label = line.split(":")
        if label.strip() not in classes:
            _refuse(path, number, f"class {label.strip()[:40]!r}", f"one of {', '.join(classes)}, after the last colon")
        labels.append(classes.index(label.strip()))
        values.append(_sequence(path, number, channels))
        if values[-1].shape[1] != values[0].shape[1]:
            _refuse(path, number, f"{values[-1].shape[1]} channels", f"{values[0].shape[1]}, as in the lines above")
    stated = facts.get("dimensions", "")
    if values and stated.isdecimal() and int(stated) != values[0].shape[1]:
        raise DataError(f"{path} has sequences of {values[0].shape[1]} channels; expected the {stated} that it states")
    if not values:
        raise DataError(f"{path} holds no sequence; expected one a line after @data. Fetch it again")
    return Series(classes, tuple(values), tuple(labels))


def _facts(path: Path, lines: list[str]) -> tuple[dict[str, str], int]:
    """What the lines with @ state, by name in lower case, and the number of lines up to @data."""
    facts: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        if not line.startswith("@"):
            _refuse(path, number, f"{line[:40]!r}", "a line that begins with # or @ before @data")
        name, _, value = line[1:].strip().partition(" ")
        if name.lower() == "data":
            return facts, number
        facts[name.lower()] = value.strip()
        if name.lower() in UNSUPPORTED and value.strip().lower() != "false":
            _refuse(path, number, f"@{name} {value.strip()[:40]}", UNSUPPORTED[name.lower()])
    raise DataError(f"{path} has no line @data; expected the .ts format of the UEA archive. Fetch it again")


def _classes(path: Path, facts: dict[str, str]) -> tuple[str, ...]:
    labeled, *classes = facts.get("classlabel", "").split() or [""]
    if labeled.lower() != "true" or len(classes) < 2 or len(set(classes)) < len(classes):
        raise DataError(f"{path} names no classes; expected @classLabel true and two names or more, each once")
    return tuple(classes)


def _sequence(path: Path, number: int, channels: list[str]) -> NDArray[np.float64]:
    """Numbers (T, channels) of a line."""
    rows: list[NDArray[np.float64]] = []
    for channel, text in enumerate(channels, 1):
        try:
            row = np.array([float(value) for value in text.split(",")])
        except ValueError:
            _refuse(path, number, f"{text[:40]!r} in channel {channel}", "numbers between commas")
        if not np.isfinite(row).all():
            _refuse(path, number, f"NaN or infinity in channel {channel}", "finite numbers")
        if rows and len(row) != len(rows[0]):
            _refuse(path, number, f"{len(row)} time steps in channel {channel}", f"{len(rows[0])}, as in channel 1")
        rows.append(row)
    if not rows:
        _refuse(path, number, "no channel", "numbers before the class")
    return np.stack(rows, 1)


def _refuse(path: Path, number: int, got: str, expected: str) -> NoReturn:
    raise DataError(f"{path}, line {number}: got {got}; expected {expected}. The file is damaged or of another format")
