"""What each rule reached and paid on the common network, from the records, and what it needs, from its claims."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from _paired import Paired
from _records import difference
from onchip.certificates import Claims
from onchip.report.costs import COSTS, Cost
from onchip.report.energy import costs
from onchip.report.summary import Summary
from onchip.runs.record import Record

FEWEST = 3
"""Seeds without which no test is made."""

NEEDS = {
    "transport": "forward weights are copied during training",
    "backward": "errors pass from layer to layer (backward locking)",
    "history": "a time step's update is not known before later time steps, so that what happened is stored",
    "output error": "hidden layers wait for the error, or the loss, of the network's output (update locking)",
}
"""What chips lack, in the order of how hard it is to provide."""

OF_CLAIMS = {
    "transport": "no_weight_transport",
    "backward": "backward_unlocked",
    "history": "online",
    "output error": "update_unlocked",
}
"""The claim that says that a need is absent."""


@dataclass(frozen=True)
class Result:
    """One rule over its seeds.

    Args:
        label: The rule, and its neurons if they are not LIF.
        rule: Its name in the export list.
        spiking: Whether its neurons send random spike trains.
        needs: Names of `NEEDS`.
        runs: Its runs that succeeded.
        gaps: Points above backpropagation with the same neurons, by seed.
        failures: Errors of runs that did not succeed, each once.
    """

    label: str
    rule: str
    spiking: bool
    needs: tuple[str, ...]
    runs: tuple[Record, ...]
    gaps: dict[int, float]
    failures: tuple[str, ...]

    @property
    def summary(self) -> Summary:
        """For the report's own means and fronts."""
        return Summary(self.label, self.runs)

    @property
    def test(self) -> list[float]:
        """Test accuracies in percent."""
        return [100.0 * record.test_accuracy for record in self.runs if record.test_accuracy is not None]

    @property
    def mean(self) -> float:
        """Mean test accuracy in percent."""
        return statistics.mean(self.test)

    @property
    def gap(self) -> float:
        """Mean of the gaps; no number if no seed has both runs."""
        return statistics.mean(self.gaps.values()) if self.gaps else math.nan

    @property
    def differs(self) -> bool | None:
        """Whether a paired t-test at 5% tells it from backpropagation; None if there are too few seeds."""
        half = Paired(tuple(self.gaps.values())).half_width if len(self.gaps) >= FEWEST else None
        return None if half is None else abs(self.gap) > half


def needs_of(claims: Claims) -> tuple[str, ...]:
    """What a rule with these claims needs."""
    return tuple(need for need, claim in OF_CLAIMS.items() if not getattr(claims, claim))


def shown(rule: str, neuron: str) -> str:
    """A rule as tables and figures name it."""
    name = rule.replace("_", "-")
    return name if neuron == "lif" else f"{name}, {neuron}"


def results(records: Sequence[Record], claims: dict[tuple[str, str], Claims]) -> list[Result]:
    """All rules that have a record, the most accurate first, then those that failed.

    Args:
        records: All runs.
        claims: What each rule claims on the network, by rule and neuron.
    """
    of: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        of.setdefault((record.settings["rule"], record.settings["neuron"]), []).append(record)
    found = []
    for (rule, neuron), runs in of.items():
        label = shown(rule, neuron)
        good = [replace(record, label=label) for record in runs if record.status == "ok"]
        bp = {record.seed: record for record in of.get(("bp", neuron), []) if record.status == "ok"}
        gaps = {record.seed: difference(record, bp[record.seed]) for record in good if record.seed in bp}
        failures = tuple(dict.fromkeys(record.error or "" for record in runs if record.status != "ok"))
        needs = needs_of(claims[rule, neuron])
        found.append(Result(label, rule, neuron != "lif", needs, tuple(good), gaps, failures))
    return sorted(found, key=lambda result: (-result.mean if result.runs else 0.0, result.label))


def bill(records: Sequence[Record]) -> dict[str, Cost]:
    """The costs of the tables and of the figure, by a short name."""
    energy = next(cost for cost in costs(records) if cost.table)  # by the default table
    return {**{cost.name: cost for cost in COSTS}, "energy": energy}


def mean_cost(result: Result, cost: Cost) -> float:
    """The mean over the runs of a rule."""
    spread = result.summary.spread(cost.of)
    assert spread is not None, f"a record of {result.label} lacks {cost.name}"
    return spread.mean
