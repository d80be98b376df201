"""Records from folders and files, as far as they can be read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from onchip.errors import RequestError
from onchip.report.groups import once
from onchip.runs.record import Record, read_sound

__all__ = ["gather"]

NAME = "records.jsonl"


def gather(paths: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """All runs that files of records hold.

    Args:
        paths: such files, or folders: their `records.jsonl`, and those of all folders within.

    Returns:
        The records, each run once, and what was left out: which file and line, and why.

    Raises:
        RequestError: a path does not exist, a folder holds no records, or nothing could be read.
    """
    records, left_out = [], []
    for file in dict.fromkeys(file for path in paths for file in _files(path)):
        try:
            sound, damaged = read_sound(file)
        except OSError as error:
            left_out.append(f"{file}: cannot be read: {error.strerror}")
            continue
        records += sound
        left_out += [f"{file.parent / message}" for message in damaged]
        if not sound and not damaged:
            left_out.append(f"{file}: empty, no run has finished")
    records, twice = once(records)
    if not records:
        raise RequestError("; ".join(["no record could be read", *left_out[:5]]))
    return records, left_out + twice


def _files(path: Path) -> Iterable[Path]:
    if not path.exists():
        raise RequestError(f"{path} does not exist; expected a folder of runs, or a file of records")
    if not path.is_dir():
        return [path]
    found = sorted(path.rglob(NAME))
    if not found:
        raise RequestError(f"{path} holds no {NAME}; expected a folder that `onchip compare` or `train` wrote")
    return found
