"""Exchange of networks with other tools, by the Neuromorphic Intermediate Representation (NIR)."""

from onchip.interop.exchange import Imported, export, load, read
from onchip.interop.learning.rules import Learning, Restored
from onchip.interop.readers import READERS
from onchip.interop.reading import from_nir
from onchip.interop.verdict import Verdict, markdown
from onchip.interop.writing import to_nir, verdicts

__all__ = [
    "READERS",
    "Imported",
    "Learning",
    "Restored",
    "Verdict",
    "export",
    "from_nir",
    "load",
    "markdown",
    "read",
    "to_nir",
    "verdicts",
]
