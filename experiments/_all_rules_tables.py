"""What the table of all rules says, in sentences and tables that are made from its records alone."""

from __future__ import annotations

from collections.abc import Sequence

from _all_rules_rows import NEEDS, Result, bill, mean_cost
from _tables import spread
from onchip.report.costs import Cost
from onchip.report.energy import unpriced
from onchip.report.markdown import markdown_table
from onchip.report.summary import count
from onchip.runs.record import Record

CLOSE = 1.0
"""Points below backpropagation within which findings call a rule close."""

COLUMNS = {
    "bits": "bits transported / step",
    "error": "error products / sample",
    "operations": "operations / sample",
    "memory": "memory",
    "energy": "µJ / sample",
}
"""The bill's columns, by the names of costs."""

WORDS = {
    "transport": "weight transport",
    "backward": "errors from layer to layer",
    "history": "stored history",
    "output error": "the output's error",
}
"""Needs in sentences."""

WITHOUT: tuple[tuple[str, ...], ...] = (
    (),
    ("transport",),
    ("backward",),
    ("history",),
    ("transport", "backward"),
    ("backward", "history"),
    ("transport", "backward", "history"),
    ("transport", "backward", "history", "output error"),
)
"""Needs that a chip cannot meet, for which the best rule is looked up."""


def findings(found: Sequence[Result], costs: dict[str, Cost], missing: int) -> str:
    """What was found, with n."""
    trained = [result for result in found if result.runs]
    bp = next(result for result in trained if result.label == "bp")
    others = [result for result in trained if result is not bp and not result.spiking]
    seeds = sorted({len(result.runs) for result in trained})
    n = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    unfinished = f", {missing} rules still without a run" if missing else ""
    close = [result for result in others if result.gap > -CLOSE]
    energy = costs["energy"]
    least, cheap = (min(some, key=lambda r: mean_cost(r, energy)) for some in (trained, [bp, *close]))
    lines = [
        f"n = {n} {'seed' if seeds == [1] else 'seeds'} per rule{unfinished}; `bp` reaches {spread(bp.test)} %. In "
        "parentheses: points above `bp`, mean over seeds.",
        f"Better than `bp`, or less than {CLOSE:g} point below it: {listed(close)}.",
    ]
    if any(result.differs is not None for result in others):
        same = [result for result in others if result.differs is False]
        lines.append(f"Not told apart from `bp` by a paired t-test at 5%: {listed(same)}.")
    lines += [
        "Most accurate "
        + "; ".join(best_in_words(trained, needs) for needs in WITHOUT if len(needs) in (1, 3, 4))
        + ".",
        f"Least energy per sample: `{least.label}`, {in_microjoules(least, energy)}; of `bp` "
        f"({in_microjoules(bp, energy)}) and the rules less than {CLOSE:g} point below it: `{cheap.label}`, "
        f"{in_microjoules(cheap, energy)}.",
    ]
    return "\n".join(f"- {line}" for line in lines)


def in_microjoules(result: Result, energy: Cost) -> str:
    return f"{mean_cost(result, energy):.3g} µJ"


def listed(results: Sequence[Result]) -> str:
    """Names with differences from backpropagation."""
    return ", ".join(f"`{result.label}` ({result.gap:+.2f})" for result in results) or "none"


def best_without(trained: Sequence[Result], needs: Sequence[str]) -> Result | None:
    """The most accurate rule that has none of these needs."""
    return next((result for result in trained if not set(needs) & set(result.needs)), None)


def best_in_words(trained: Sequence[Result], needs: Sequence[str]) -> str:
    """Which rule is the most accurate without these needs."""
    best = best_without(trained, needs)
    return f"without {in_words(needs)}: " + (f"`{best.label}` ({best.gap:+.2f})" if best else "none")


def in_words(needs: Sequence[str]) -> str:
    """Needs as a phrase."""
    words = [WORDS[need] for need in needs]
    return " and ".join([", ".join(words[:-1]), words[-1]] if words[1:] else words)


def choices(trained: Sequence[Result], costs: dict[str, Cost]) -> str:
    """The most accurate rule without each need."""
    rows = []
    for needs in WITHOUT:
        best = best_without(trained, needs)
        if best is not None:
            paid = [count(mean_cost(best, costs[name])) for name in ("bits", "operations", "energy")]
            rows.append((in_words(needs) or "(all rules)", f"`{best.label}`", spread(best.test), gaps(best), *paid))
    header = ("without", "most accurate rule", "test %", "against bp")
    return markdown_table((*header, *(COLUMNS[name] for name in ("bits", "operations", "energy"))), rows, left=2)


def gaps(result: Result) -> str:
    """Points against backpropagation with the same neurons, per seed."""
    return "" if result.rule == "bp" or not result.gaps else spread(list(result.gaps.values()), "+")


def rows(trained: Sequence[Result], costs: dict[str, Cost]) -> str:
    """Accuracy and bill of each rule, the most accurate first."""
    lines = []
    for result in trained:
        lr = f"{result.runs[0].settings['lr']:g}"
        paid = [count(mean_cost(result, costs[name])) for name in COLUMNS]
        needs = ", ".join(result.needs) or "-"
        lines.append((f"`{result.label}`", needs, lr, str(len(result.runs)), spread(result.test), gaps(result), *paid))
    header = ("rule", "needs", "lr", "seeds", "test %", "against bp", *COLUMNS.values())
    return markdown_table(header, lines, left=2)


def page(found: Sequence[Result], records: Sequence[Record], missing: Sequence[str], figure: str) -> str:
    """Findings, figure and tables.

    Args:
        found: All rules that have a record.
        records: All runs.
        missing: Rules of the export list without a record.
        figure: The file name of the figure.
    """
    trained = [result for result in found if result.runs]
    good = [record for record in records if record.status == "ok"]
    costs = bill(good)
    energy = costs["energy"].column or ""
    unpaid = unpriced([result.summary for result in trained], [costs["energy"]])
    failed = [f"- `{result.label}`: {error}" for result in found for error in result.failures]
    return "\n\n".join(
        [
            findings(found, costs, len(missing)),
            f"![Accuracy of every rule against transported bits and energy]({figure})",
            "**The most accurate rule without what a chip may lack:**",
            choices(trained, costs),
            "**All rules.** *Needs*: " + "; ".join(f"*{need}*: {what}" for need, what in NEEDS.items()) + ".",
            rows(trained, costs),
            " ".join([f"Energy of {energy.partition(': ')[2]}.", *unpaid]),
            *(["Runs that did not succeed:", "\n".join(failed)] if failed else []),
            *([f"Rules without a run: {', '.join(f'`{name}`' for name in missing)}."] if missing else []),
        ]
    )
