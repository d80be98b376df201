"""Networks from files of other tools, among the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from onchip.cli.shared.sizes import Size
from onchip.errors import RequestError
from onchip.runs.config import RunConfig

if TYPE_CHECKING:
    from onchip.training.networks import Network

SUFFIX = ".nir"


def nir_file(arguments: Sequence[str] | None) -> tuple[str | None, list[str] | None]:
    """The one NIR file among arguments, or None, and the other arguments, or None.

    Raises:
        RequestError: There are several files.
    """
    files = [text for text in arguments or () if text.lower().endswith(SUFFIX)]
    if len(files) > 1:
        raise RequestError(f"got the networks {', '.join(files)}; expected one")
    others = [text for text in arguments or () if text not in files]
    return (files[0] if files else None), (others or None)


def refuse_beside(file: str, **options: object) -> None:
    """Refuses settings that the network in a file has itself.

    Args:
        file: The file.
        options: Each of these settings.

    Raises:
        RequestError: One of them is not left out.
    """
    for name, value in options.items():
        if value != getattr(RunConfig(), name, None):
            raise RequestError(f"got {name} {value} and {file}, which says that itself; leave one of both out")


def network_in(file: str) -> tuple[str, Network, Size]:
    """The name of the network in a NIR file, the network, and what it takes.

    Raises:
        RequestError: The package `nir` is not installed.
        DataError: The file cannot be read, or is no NIR file.
        UnsupportedError: The graph has a node that no network of ours has.
    """
    from onchip import interop
    from onchip.data.samples import IMAGES

    imported = interop.read(file)
    return file, imported.network, Size(imported.shape, imported.classes, IMAGES)
