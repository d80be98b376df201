"""Programs that read NIR files; a new one is a file with its facts and a line here."""

from onchip.errors import unknown_name
from onchip.interop.readers.base import Reader
from onchip.interop.readers.nir import nir
from onchip.interop.readers.norse import norse
from onchip.interop.readers.sinabs import sinabs
from onchip.interop.readers.snntorch import snntorch
from onchip.interop.readers.spikingjelly import spikingjelly

__all__ = ["READERS", "Reader", "reader_of"]

READERS: dict[str, Reader] = {reader.name: reader for reader in (nir, norse, sinabs, snntorch, spikingjelly)}
"""All of them by name."""


def reader_of(name: str) -> Reader:
    """A reader by its name.

    Raises:
        RequestError: There is none of that name.
    """
    if name not in READERS:
        raise unknown_name("reader", name, READERS)
    return READERS[name]
