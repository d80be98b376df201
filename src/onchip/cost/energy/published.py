"""Published energies of a synaptic operation: one line for each chip."""

from onchip.cost.energy.base import Cited
from onchip.cost.energy.synaptic import SynapticOperations

_TABLE = "Tang et al. 2023, Frontiers in Neuroscience 17:1187252 (SENECA), table 3, energy per SOp"


def _chip(name: str, title: str, node_nm: int | None, operation_pj: float, primary: str) -> SynapticOperations:
    node = "" if node_nm is None else f", {node_nm} nm"
    return SynapticOperations(name, title + node, node_nm, Cited(operation_pj, f"{_TABLE}, after {primary}"))


PUBLISHED = (
    _chip("odin", "ODIN", 28, 12.7, "Frenkel et al. 2019, IEEE TBioCAS 13(1), who state it in the title"),
    _chip("reckon", "ReckOn", 28, 5.3, "Frenkel and Indiveri 2022, ISSCC, who measured it at 0.5 V"),
    _chip("ubrain", "µBrain", 40, 26.0, "Stuijt et al. 2021, Frontiers in Neuroscience 15"),
    _chip(
        "truenorth",
        "IBM's TrueNorth",
        28,
        2.5,
        "Akopyan et al. 2015, IEEE TCAD 34(10), which is 400 10^9 operations per second and watt, at best",
    ),
    _chip("tianjic", "Tianjic", 28, 1.54, "Deng et al. 2020, IEEE JSSC 55(8)"),
    _chip("neuronflow", "NeuronFlow", 28, 20.0, "Moreira et al. 2020"),
    _chip(
        "spinnaker",
        "SpiNNaker",
        130,
        45.0,
        "Stromatias et al. 2013, IJCNN; but the board of that paper needs up to 1 W for each of its 48 chips at "
        "1.8 10^9 synaptic events per second, which is up to 27 nJ (not pJ) per event, all included",
    ),
    _chip("spinnaker2", "SpiNNaker2", 22, 10.0, "Höppner et al. 2021, arXiv 2103.08392"),
    _chip("seneca", "imec's SENECA", 22, 2.8, "its abstract, which says around 2.8 pJ, and synthesis in 22 nm"),
)
"""The table's authors give these numbers for comparison at a high level only, since operations differ.

Loihi has more prices, and a table of its own.
"""

NOT_PUBLISHED = {"loihi2": f"Loihi 2: no energy of a synaptic operation is published ({_TABLE}: NA)"}
"""Chips that users may look for, and why they have no table."""
