"""Networks to files of NIR graphs, and back."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from onchip.interop import file
from onchip.interop.reading import from_nir
from onchip.interop.verdict import Verdict
from onchip.interop.writing import to_nir
from onchip.nn import Sequential


def export(
    path: str | os.PathLike[str],
    model: nn.Module,
    shape: Sequence[int],
    *,
    reader: str = "nir",
    approximate: bool = False,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[Verdict, ...]:
    """Writes a network to a NIR file, in one piece.

    Args:
        path: The file; its folder must exist.
        model: As for `to_nir`.
        shape: As for `to_nir`.
        reader: As for `to_nir`.
        approximate: As for `to_nir`.
        groups: What else the file shall hold, which other readers do not open; see `onchip.interop.file.write`.

    Returns:
        The verdicts, which the file holds, too.

    Raises:
        RequestError: As `to_nir`.
        UnsupportedError: As `to_nir`.
        OSError: The file cannot be written.
    """
    graph, verdicts = to_nir(model, shape, reader=reader, approximate=approximate)
    file.write(Path(path), graph, groups)
    return verdicts


def load(path: str | os.PathLike[str], *, reader: str | None = None, dt: float | None = None) -> Sequential:
    """The network in a NIR file.

    Args:
        path: The file.
        reader: As for `from_nir`, which also returns the verdicts.
        dt: As for `from_nir`.

    Raises:
        RequestError: As `from_nir`.
        DataError: As `from_nir`.
        UnsupportedError: As `from_nir`.
    """
    return from_nir(path, reader=reader, dt=dt)[0]
