"""Exchange of networks with other tools, by the Neuromorphic Intermediate Representation (NIR)."""

from onchip.interop.exchange import export, load
from onchip.interop.readers import READERS
from onchip.interop.reading import from_nir
from onchip.interop.verdict import Verdict, markdown
from onchip.interop.writing import to_nir, verdicts

__all__ = ["READERS", "Verdict", "export", "from_nir", "load", "markdown", "to_nir", "verdicts"]
