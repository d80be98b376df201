"""Files to bytes, lines or arrays; what cannot be read is named."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onchip._files import read_regular, require_regular
from onchip.errors import DataError

HEADER = 1000
"""Most characters of the header of an array that are read; numpy writes some 80."""


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        DataError: It is no file, or may not be read.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def require_file(path: Path) -> None:
    """Raises DataError unless a path is a regular file."""
    try:
        require_regular(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty.

    Raises:
        DataError: It is no file, may not be read, or is no text.
    """
    try:
        text = read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text: {error}. Fetch it again") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_array(path: Path) -> NDArray[np.generic]:
    """The array in a .npy file; no pickle is opened.

    Raises:
        DataError: It is no file, may not be read, or is no array.
    """
    content = read_bytes(path)
    try:
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False, max_header_size=HEADER)
    except Exception as error:  # of a header that is none, numpy's parsers raise types of many kinds
        raise DataError(f"{path} is no array of numbers: {' '.join(str(error).split())}. Fetch it again") from error


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path} cannot be read: {error.strerror}. Give a file that you may read")
