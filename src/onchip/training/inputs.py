"""Samples for a trained network from files: a folder of pictures, one picture, or an array."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onchip._text import one_line
from onchip.data.readers.files import read_array
from onchip.data.readers.pictures import FORMATS, decode
from onchip.errors import DataError, RequestError
from onchip.runs.model_file import InputFacts

ARRAY = ".npy"


def samples_of(path: Path, facts: InputFacts | None) -> tuple[list[str], Any]:
    """The samples at a path, and a name for each of them.

    Args:
        path: A folder of pictures, whose folders are searched, too, and whose hidden files are not; one picture; or an
            array (N, ...) in a `.npy` file.
        facts: What the network takes.

    Returns:
        Paths of the pictures inside the folder, in order, or places in the array, from 0; and the samples (N, ...).

    Raises:
        RequestError: There is no such file, or pictures are of another size than the network takes.
        DataError: A file is damaged, or no picture.
    """
    if path.suffix == ARRAY:
        array = read_array(path)
        if array.ndim == 0:
            raise RequestError(f"{path} holds a single number; expected an array of samples (N, ...)")
        return [str(place) for place in range(len(array))], array
    if facts is not None and facts.samples != "images":
        raise RequestError(
            f"got {path} for a network that takes {facts.samples}; expected a {ARRAY} array of them, (N, ...)"
        )
    if not os.path.exists(path):
        raise RequestError(f"{one_line(str(path)):.200}: no such file or folder; expected pictures, or a {ARRAY} array")
    files = _pictures(path) if path.is_dir() else [path]
    names = [str(file.relative_to(path)) for file in files] if files != [path] else [path.name]
    pictures = decode(files)
    return names, pictures if facts is None else _fitting(path, pictures, facts.shape)


def lengths_of(path: Path) -> Tensor:
    """The time steps of each sequence, (N,), from a `.npy` file.

    Raises:
        RequestError: They are no whole numbers.
        DataError: The file is damaged.
    """
    array = read_array(path)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise RequestError(f"{path} holds {array.dtype} of shape {array.shape}; expected whole numbers (N,)")
    return torch.from_numpy(array.astype("int64"))


def _pictures(folder: Path) -> list[Path]:
    def unreadable(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read: {error.strerror}. Give a folder that you may read")

    found = []
    for place, folders, files in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in files if not name.startswith(".")]
    if not found:
        raise RequestError(f"{folder} holds no picture; expected {', '.join(FORMATS)} files")
    return sorted(found)


def _fitting(path: Path, pictures: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Pictures as the network takes them: as in a folder to train on, a grey one may stand for a colored one.

    Raises:
        RequestError: They are of another size, or colored where the network takes grey ones.
    """
    got, (channels, *sides) = tuple(pictures.shape[1:]), shape
    if got[1:] != tuple(sides):
        height, width = sides
        raise RequestError(
            f"{one_line(str(path))}: pictures of {got[2]}×{got[1]} pixels (width × height); expected {width}×{height}, "
            "as the network was trained on. Resize them first, e.g. with "
            f"`magick mogrify -resize {width}x{height}! FILES`"
        )
    if got[0] not in (1, channels):
        raise RequestError(
            f"{one_line(str(path))}: colored pictures; expected {channels} channel, as the network was trained on. "
            "Turn them grey first, e.g. with `magick mogrify -colorspace Gray FILES`"
        )
    return pictures.expand(-1, channels, -1, -1)
