"""Prices of rules as rows of a table, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from onchip.cost.energy import EnergyTable
from onchip.report.energy import unpriced_lines
from onchip.report.markdown import markdown_table
from onchip.report.summary import count

if TYPE_CHECKING:
    from onchip.cost.estimate import Price, Pricing

COUNTED = "forward", "error", "update"
TRANSPORTED = "rule", "weights transported / step", "fewer than bp", "bits / step", "of these index", "compares / step"
STORED = "stored activity", "draws / step", "feedback memory", "phases", "update locking"
COUNTS = (*TRANSPORTED, *COUNTED, *STORED)


def header(prices: EnergyTable) -> tuple[str, ...]:
    """Heads of the columns; those of energy say what the table prices."""
    energy = f"energy of {prices.scope} ({prices.name})"
    return (*COUNTS, energy, "operations alone") if _prices_memory(prices) else (*COUNTS, energy)


def important(prices: EnergyTable) -> tuple[str, ...]:
    """The same, the most important first, without that of the rules."""
    energy = header(prices)[len(COUNTS) :]
    return (energy[0], "bits / step", *COUNTED, "stored activity", "feedback memory", *COUNTS[1:], *energy[1:])


def _prices_memory(prices: EnergyTable) -> bool:
    return any(price.memory_pj for price in prices.prices().values())


def cells(price: Price, bp: Price | None, pricing: Pricing) -> tuple[str, ...]:
    """A row of the table, in the order of `header`."""
    step, samples = price.step, pricing.batch_size
    fewer = _fewer(price, bp)
    return (
        price.rule,
        count(step["weights_transported"]),
        "-" if fewer is None else f"{float(f'{fewer:.3g}'):,g}x",
        count(step["transport_value_bits"] + step["transport_index_bits"]),
        count(step["transport_index_bits"]),
        count(step["transport_compares"]),
        *(count(step[f"operations_{part}"] / samples) for part in COUNTED),
        count(step["stored_activity_peak"] / samples) + (" (stream)" if price.streams else ""),
        count(step["random_draws"]),
        count(step["feedback_memory"]),
        f"{step['phases_per_step']:g}",
        f"{step['update_locking_phases']:.3g}",
        _joules(price.energy.total_pj / samples),
        *([_joules(price.energy.operations_pj / samples)] if _prices_memory(pricing.prices) else []),
    )


def note(pricing: Pricing) -> str:
    """What the columns mean."""
    return (
        f"A training step of {pricing.batch_size} samples, transports averaged over {pricing.train_steps:,} steps; "
        "forward, error, update (operations for values other than zero at a synapse), stored activity (scalars until "
        "the update, at most) and energy are per sample. Fewer than bp: scalars, the first copy apart. Update locking: "
        "phases between a layer's forward product and its update. Energy: what the table "
        f"{pricing.hardware} prices, at {pricing.bits} bits. k, M, G: 10^3, 10^6, 10^9. docs/costs.md explains them."
    )


def unpriced(prices: Sequence[Price], pricing: Pricing) -> list[str]:
    """What the bills hold and the sums do not, in a line; none if all is priced."""
    return unpriced_lines(pricing.prices, {price.rule: price.energy.unpriced for price in prices})


def markdown(prices: Sequence[Price], bp: Price | None, about: str, pricing: Pricing) -> str:
    """The table as Markdown."""
    rows = [cells(price, bp, pricing) for price in prices]
    lines = [f"- {line}" for line in unpriced(prices, pricing)]
    blocks = [[about], [markdown_table(header(pricing.prices), rows, padded=True)], lines, [note(pricing)]]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def to_json(price: Price, bp: Price | None, about: str, pricing: Pricing) -> str:
    """One line of JSON: every count of a training step, and the energy, in picojoules, of those with a price."""
    return json.dumps(
        {
            "rule": price.rule,
            "about": about,
            "batch_size": pricing.batch_size,
            "train_steps": pricing.train_steps,
            "bits": pricing.bits,
            "streams": price.streams,
            "times_fewer_weights_than_bp": _fewer(price, bp),
            "step": price.step,
            "energy": {
                "table": price.energy.table,
                "scope": price.energy.scope,
                "total_pj": price.energy.total_pj,
                "operations_pj": price.energy.operations_pj,
                "priced": list(pricing.prices.prices()),
                "unpriced": price.energy.unpriced,
            },
        }
    )


def _fewer(price: Price, bp: Price | None) -> float | None:
    """How many times fewer scalars are moved than under bp; None where none are."""
    moved = price.step["weights_transported"]
    return bp.step["weights_transported"] / moved if bp and moved else None


def _joules(pj: float) -> str:
    """Picojoules in the unit that suits their size.

    Example:
        >>> _joules(4.6), _joules(1.25e7)
        ('4.6 pJ', '12.5 µJ')
    """
    for size, unit in ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if pj >= size:
            return f"{pj / size:.3g} {unit}"
    return f"{pj:.3g} pJ"
