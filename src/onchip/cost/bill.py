"""From a ledger's raw counts to the numbers of the bill."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from onchip.cost.energy import known_tables, table

__all__ = ["Bill", "LedgerCounts", "bill"]

Bill = dict[str, int | float]

KINDS = {
    "forward": ("forward", "readout", "probe"),
    "error": ("pull", "project", "local"),
    "update": ("update", "learn"),
}
"""What the products of each part of a step are for."""


@dataclass(frozen=True)
class LedgerCounts:
    """Raw counts, each by (stage, what).

    Args:
        stage: whose they are; empty for those of the whole network.
        steps: training steps.
        exact: of these, how many counted operations from values.
        products: dense products, by kind.
        transported: what was moved to feedback weights.
        counted: what exact counts found, by `kind/what`, beside the dense products that they were found in.
        tallies: neuron updates, draws, writes, phases and memory.
    """

    stage: str
    steps: int
    exact: int
    products: Counter[tuple[str, str]]
    transported: Counter[tuple[str, str]]
    counted: Counter[tuple[str, str]]
    tallies: Counter[tuple[str, str]]


def bill(counts: LedgerCounts) -> Bill:
    """The numbers that docs/costs.md explains, by name."""
    found = _counted(counts)
    for name in known_tables():
        energy = table(name).energy(found)
        key = name.replace("-", "_")
        found |= {f"energy_pj_{key}": energy.total_pj, f"energy_operations_pj_{key}": energy.operations_pj}
    return found


def _counted(counts: LedgerCounts) -> Bill:
    products, moved, tallies = (_totals(c) for c in (counts.products, counts.transported, counts.tallies))
    found: Bill = {
        "steps": counts.steps,
        "weights_transported": moved["scalars"],
        "weights_transported_initial": moved["initial_scalars"],
        "transport_value_bits": moved["value_bits"],
        "transport_index_bits": moved["index_bits"],
        "transport_compares": moved["compares"],
        "transport_products": moved["products"],
        "transport_sorts": moved["sorts"],
        "transport_events": moved["events"],
        "transport_coded": moved["coded"],
        **{f"products_{part}": sum(products[kind] for kind in kinds) for part, kinds in KINDS.items()},
        "products_pull": products["pull"],
        "products_project": products["project"] + products["local"],
        "products_learn": products["learn"],
        "operations_counted_steps": counts.exact,
    }
    for part, kinds in KINDS.items():
        macs, acs = (_scaled(counts, kinds, what) for what in ("multiplied", "accumulated"))
        found |= {f"operations_{part}": macs + acs, f"macs_{part}": macs, f"acs_{part}": acs}
    errors, alive = (_scaled(counts, KINDS["error"], what) for what in ("values", "active"))
    updates, waiting, passes = tallies["neuron_updates"], tallies["waiting"], tallies["passes"]
    return found | {
        "error_sparsity": 1.0 - alive / errors if errors else 0.0,
        "neuron_updates": updates,
        "spikes": _scaled_spikes(counts),
        "random_draws": tallies["draws"] + moved["draws"],
        "writes_weights": tallies["writes"],
        "writes_feedback": tallies["feedback_writes"],
        "feedback_memory": tallies["feedback_memory"],
        "stored_activity": tallies["kept"],
        "stored_activity_peak": counts.tallies[counts.stage, "kept_peak"],
        "phases_per_step": tallies["phases"] / passes if passes else 0.0,
        "update_wait_phases": tallies["waits"] / waiting if waiting else 0.0,
    }


def _totals(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Counts by what was counted, over all stages."""
    totals: Counter[str] = Counter()
    for (_, what), count in counts.items():
        totals[what] += count
    return totals


def _scaled(counts: LedgerCounts, kinds: tuple[str, ...], what: str) -> int:
    """A count over all steps: of each stage and kind, what exact counts found a dense product."""
    total = 0
    for (stage, kind), products in counts.products.items():
        seen = counts.counted[stage, f"{kind}/products"]
        if kind in kinds and seen:
            total += round(counts.counted[stage, f"{kind}/{what}"] * products / seen)
    return total


def _scaled_spikes(counts: LedgerCounts) -> int:
    total = 0
    for (stage, what), updates in counts.tallies.items():
        seen = counts.counted[stage, "fired/updates"]
        if what == "neuron_updates" and seen:
            total += round(counts.counted[stage, "fired/spikes"] * updates / seen)
    return total
