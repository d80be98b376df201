"""Networks from files of other tools, among the arguments of a command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from onchip.cli.shared.sizes import Size, size_of
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


def network_asked(net: str, neuron: str, data: str, classes: int | None = None) -> tuple[Network, Size, str]:
    """The network of a name or of a NIR file, what it takes, and the data of that size; empty for random numbers.

    Args:
        net: As the user wrote it, like the others.
        neuron: Neuron of the layers.
        data: A data set, or a size.
        classes: Number of classes; None for that of the data.

    Raises:
        RequestError: There is no such network, neuron or data set; or a file says what is named beside it, too; or the
            package `nir` is not installed.
        DataError: The file cannot be read, or is no NIR file.
        UnsupportedError: The graph has a node that no network of ours has.
    """
    from onchip.training.networks import example_network

    size = size_of("data", data)
    if not net.lower().endswith(SUFFIX):
        size = replace(size, classes=classes or size.classes)
        return example_network(net, neuron, size.shape, size.classes), size, data
    for name, value in {"neuron": neuron, "data": data, "classes": classes}.items():
        if value != getattr(RunConfig(), name, None):
            raise RequestError(f"got {name} {value} and {net}, which says that itself; leave one of both out")
    from onchip import interop

    imported = interop.read(net)
    taken = Size(imported.shape, imported.classes, size.samples)
    return imported.network, taken, data if taken.shape == size.shape else ""
