"""Energies of runs, computed from the counts of their records, and what these energies leave out."""

from collections.abc import Mapping, Sequence

from onchip.cost.energy import WORK, EnergyTable, in_words, known_tables, table
from onchip.report.costs import COSTS, Cost, per_sample
from onchip.report.summary import Summary
from onchip.runs.record import Record

PREFIX = "energy_pj_"
"""How the keys for energy in a record begin; the name of the table follows."""


def costs(records: Sequence[Record], hardware: Sequence[str] = ()) -> list[Cost]:
    """Every kind of cost, with the energy by several tables; those asked for have a column, or else the first.

    Args:
        records: the runs that are compared.
        hardware: tables that are asked for. Those that the records name come after them.

    Raises:
        RequestError: there is no such table.
    """
    keys = [key for record in records for key in record.ledger if key.startswith(PREFIX)]
    named = {**{name: _key(name) for name in hardware}, **{_name(key): key for key in keys}}
    shown, known = hardware or list(named)[:1], {*known_tables(), *hardware}
    energies = [
        _priced(table(name), records, shown=name in shown) if name in known else _recorded(name, key, name in shown)
        for name, key in named.items()
    ]
    return [*COSTS, *energies]


def unpriced(summaries: Sequence[Summary], costs: Sequence[Cost]) -> list[str]:
    """For each energy, a line that says what it leaves out under which rules; none if it leaves nothing out."""
    lines = []
    for cost in costs:
        if cost.table and cost.table in known_tables():
            prices = table(cost.table)
            counts = {
                summary.label: [count for record in summary.good for count in prices.unpriced(record.ledger)]
                for summary in summaries
                if summary.good
            }
            lines += unpriced_lines(prices, counts)
        elif cost.table:
            lines.append(f"Energies by {cost.table} are as recorded: what they leave out is not known here.")
    return lines


def unpriced_lines(prices: EnergyTable, counts: Mapping[str, Sequence[str]]) -> list[str]:
    """The line of one table; none if it prices all work.

    Args:
        prices: the table.
        counts: rule -> counts of work that have no price and are not 0, in any order and more than once.

    Example:
        >>> unpriced_lines(table("loihi"), {"bp": ["random_draws", "stored_activity"], "fa": ["stored_activity"]})
        ['Unpriced by loihi, and in no sum: storage of activity (all rules); random numbers (bp).']
    """
    rules: dict[str, list[str]] = {}
    for phrase in in_words(WORK):
        having = [rule for rule, own in counts.items() if phrase in in_words(own)]
        if having:
            rules[phrase] = having
    by_rules: dict[str, list[str]] = {}
    for phrase, having in sorted(rules.items(), key=lambda item: -len(item[1])):
        who = "all rules" if len(having) == len(counts) > 1 else ", ".join(having)
        by_rules.setdefault(who, []).append(phrase)
    parts = "; ".join(f"{', '.join(phrases)} ({who})" for who, phrases in by_rules.items())
    return [f"Unpriced by {prices.name}, and in no sum: {parts}."] if parts else []


def _priced(prices: EnergyTable, records: Sequence[Record], *, shown: bool) -> Cost:
    """All runs by the prices of today, or all as recorded if some lack a count that has a price."""
    if any(_key(prices.name) in record.ledger and not prices.can_price(record.ledger) for record in records):
        return _recorded(prices.name, _key(prices.name), shown, scope=prices.scope)

    def picojoules(record: Record) -> float | None:
        return prices.energy(record.ledger).total_pj if prices.can_price(record.ledger) else None

    return Cost(
        f"energy-{prices.name}",
        f"µJ / sample: {prices.scope} ({prices.name})" if shown else None,
        f"energy of {prices.scope} by {prices.name} per training sample [µJ]",
        lambda record: _microjoules(record, picojoules(record)),
        detail=not shown,
        table=prices.name,
    )


def _recorded(name: str, key: str, shown: bool, *, scope: str = "") -> Cost:
    """The energies that were computed when the runs were recorded."""
    return Cost(
        f"energy-{name}",
        f"µJ / sample{scope and f': {scope}'} ({name})" if shown else None,
        f"energy{scope and f' of {scope}'} by {name} per training sample [µJ]",
        lambda record: _microjoules(record, record.ledger.get(key)),
        detail=not shown,
        table=name,
    )


def _microjoules(record: Record, picojoules: float | None) -> float | None:
    each = None if picojoules is None else per_sample(record, picojoules)
    return None if each is None else each * 1e-6


def _key(name: str) -> str:
    return PREFIX + name.replace("-", "_")


def _name(key: str) -> str:
    return key.removeprefix(PREFIX).replace("_", "-")
