"""Intel's Loihi."""

from collections.abc import Mapping
from dataclasses import dataclass

from onchip.cost.energy.base import Cited, EnergyTable, UnitPrice

_TABLE = "Davies et al. 2018, IEEE Micro 38(1), Loihi: a neuromorphic manycore processor, table 1: "


@dataclass(frozen=True)
class Loihi(EnergyTable):
    """A neuromorphic chip, 14 nm at 0.75 V: what each synapse and neuron costs, its memory included.

    Every operation forward or of an error is priced as a spike that meets a synapse, every operation of an update
    as its learning engine's. The chip sends spikes of one size only, so that real-valued operands (`macs_*`) cost
    at least that; no weight can be sent to another synapse, so that transport has no price.

    Args:
        name: of the table.
        title: what the hardware is.
        synapse_pj: a spike at a synapse, at least.
        update_pj: an update of a synapse, by pairwise spike-timing-dependent plasticity.
        active_neuron_pj: an update of a neuron that fires, its current and membrane included; an adaptive threshold
            has no price of its own.
        idle_neuron_pj: an update of a neuron that does not.
        spike_pj: a spike within a tile.
    """

    name: str
    title: str
    synapse_pj: Cited
    update_pj: Cited
    active_neuron_pj: Cited
    idle_neuron_pj: Cited
    spike_pj: Cited

    scope = "synapses and neurons with their spikes"

    def prices(self) -> Mapping[str, UnitPrice]:
        synapse, update = UnitPrice(self.synapse_pj.value), UnitPrice(self.update_pj.value)
        more_if_it_fires = self.active_neuron_pj.value - self.idle_neuron_pj.value
        return {
            **dict.fromkeys(("acs_forward", "macs_forward", "acs_error", "macs_error"), synapse),
            **dict.fromkeys(("acs_update", "macs_update"), update),
            "writes_weights": UnitPrice(included_in="acs_update"),
            "neuron_updates": UnitPrice(self.idle_neuron_pj.value),
            "state_updates": UnitPrice(included_in="neuron_updates"),
            "spikes": UnitPrice(more_if_it_fires + self.spike_pj.value),
        }


def loihi(bits: int) -> Loihi:
    """The chip at its own precision, whatever the bits of a number."""
    return Loihi(
        "loihi",
        "Intel's Loihi, 14 nm",
        synapse_pj=Cited(23.6, _TABLE + "energy per synaptic spike op (min)"),
        update_pj=Cited(120.0, _TABLE + "energy per synaptic update (pairwise STDP)"),
        active_neuron_pj=Cited(81.0, _TABLE + "energy per neuron update, active"),
        idle_neuron_pj=Cited(52.0, _TABLE + "energy per neuron update, inactive"),
        spike_pj=Cited(1.7, _TABLE + "within-tile spike energy"),
    )
