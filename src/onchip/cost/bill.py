"""From the raw counts of a ledger to the numbers of the bill."""

from collections import Counter
from dataclasses import dataclass

from onchip.cost.energy import table

Bill = dict[str, int | float]

KINDS = {
    "forward": ("forward", "readout", "probe"),
    "error": ("backward", "direct", "local", "target"),
    "update": ("update", "eligibility", "feedback_update"),
}
"""What the products of each part of a step are for."""

RECORDED = ("horowitz-45nm", "horowitz-45nm-dram", "loihi")
"""Tables whose energies are in every bill, and so in every record, since earlier versions read them there.

Energies by the other tables are computed from the counts by whoever shows them.
"""


@dataclass(frozen=True)
class LedgerCounts:
    """Raw counts, each by layer and by what was counted.

    Args:
        layer: Name of the layer; empty for the whole network.
        steps: Number of training steps.
        exact: Number of these steps in which operations were counted from values.
        products: Dense products, by kind.
        transported: What was transported to feedback weights.
        counted: Exact counts, by `kind/what`, and the dense products in which they were counted.
        tallies: Neuron updates, draws, writes, phases and memory.
    """

    layer: str
    steps: int
    exact: int
    products: Counter[tuple[str, str]]
    transported: Counter[tuple[str, str]]
    counted: Counter[tuple[str, str]]
    tallies: Counter[tuple[str, str]]


def bill(counts: LedgerCounts) -> Bill:
    """The numbers of docs/costs.md, by name."""
    numbers = _counted(counts)
    for name in RECORDED:
        energy = table(name).energy(numbers)
        key = name.replace("-", "_")
        numbers |= {f"energy_pj_{key}": energy.total_pj, f"energy_operations_pj_{key}": energy.operations_pj}
    return numbers


def _counted(counts: LedgerCounts) -> Bill:
    products, sent, tallies = (_totals(c) for c in (counts.products, counts.transported, counts.tallies))
    numbers: Bill = {
        "steps": counts.steps,
        "weights_transported": sent["scalars"],
        "weights_transported_initial": sent["initial_scalars"],
        "transport_value_bits": sent["value_bits"],
        "transport_index_bits": sent["index_bits"],
        "transport_compares": sent["compares"],
        "transport_products": sent["products"],
        "transport_sorts": sent["sorts"],
        "transport_events": sent["events"],
        "transport_coded": sent["coded"],
        **{f"products_{part}": sum(products[kind] for kind in kinds) for part, kinds in KINDS.items()},
        "products_backward": products["backward"],
        "products_direct": products["direct"] + products["local"] + products["target"],
        "products_feedback_update": products["feedback_update"],
        "operations_counted_steps": counts.exact,
    }
    for part, kinds in KINDS.items():
        macs, acs = (_scaled(counts, kinds, what) for what in ("multiplied", "accumulated"))
        numbers |= {f"operations_{part}": macs + acs, f"macs_{part}": macs, f"acs_{part}": acs}
    errors, alive = (_scaled(counts, KINDS["error"], what) for what in ("values", "active"))
    updates, locked, passes = tallies["neuron_updates"], tallies["locked_layers"], tallies["passes"]
    return numbers | {
        "error_sparsity": 1.0 - alive / errors if errors else 0.0,
        "neuron_updates": updates,
        "state_updates": tallies["state_updates"],
        "spikes": _scaled_spikes(counts),
        "random_draws": tallies["draws"] + sent["draws"],
        "writes_weights": tallies["writes"],
        "writes_feedback": tallies["feedback_writes"],
        "feedback_memory": tallies["feedback_memory"],
        "stored_activity": tallies["stored"],
        "stored_activity_peak": counts.tallies[counts.layer, "stored_peak"],
        "phases_per_step": tallies["phases"] / passes if passes else 0.0,
        "update_locking_phases": tallies["locked"] / locked if locked else 0.0,
    }


def _totals(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Counts by what was counted, over all layers."""
    totals: Counter[str] = Counter()
    for (_, what), count in counts.items():
        totals[what] += count
    return totals


def _scaled(counts: LedgerCounts, kinds: tuple[str, ...], what: str) -> int:
    """A count over all steps: for each layer and kind, the exact counts per dense product times all products."""
    total = 0
    for (layer, kind), products in counts.products.items():
        exact = counts.counted[layer, f"{kind}/products"]
        if kind in kinds and exact:
            total += round(counts.counted[layer, f"{kind}/{what}"] * products / exact)
    return total


def _scaled_spikes(counts: LedgerCounts) -> int:
    total = 0
    for (layer, what), updates in counts.tallies.items():
        exact = counts.counted[layer, "fired/updates"]
        if what == "neuron_updates" and exact:
            total += round(counts.counted[layer, "fired/spikes"] * updates / exact)
    return total
