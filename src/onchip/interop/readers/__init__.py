"""Programs that read NIR files; a new one is a file with its facts and a line here."""

from onchip.errors import unknown_name
from onchip.interop.readers.base import Reader
from onchip.interop.readers.nir import nir

__all__ = ["READERS", "Reader", "reader_of"]

READERS: dict[str, Reader] = {reader.name: reader for reader in (nir,)}
"""All of them by name."""


def reader_of(name: str) -> Reader:
    """A reader by its name.

    Raises:
        RequestError: There is none of that name.
    """
    if name not in READERS:
        raise unknown_name("reader", name, READERS)
    return READERS[name]
