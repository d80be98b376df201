"""How many things must happen one after another in a training step, seen from the products that were made."""

from __future__ import annotations

from collections import Counter

from onchip.learning.observers import ProductKind

__all__ = ["Phases"]


class Phases:
    """Kinds of products of one training step, by stage, and the waits that follow from them.

    A phase is a product of one stage that needs what another phase gave: forward through each stage, then an
    error down through each stage, or once, straight from the output to all. A stage waits, after its own
    forward product, for all phases that its error has come through.
    """

    def __init__(self) -> None:
        self._made: dict[str, set[ProductKind]] = {}
        self._last: tuple[dict[str, set[ProductKind]], Counter[str]] = ({}, Counter())

    def first(self, stage: str, kind: ProductKind) -> bool:
        """Takes down that a product was made; whether it is the stage's first of that kind in this step."""
        kinds = self._made.get(stage)
        if kinds is None:
            kinds = self._made[stage] = set()
        if kind in kinds:
            return False
        kinds.add(kind)
        return True

    def closed(self) -> Counter[str]:
        """Ends the step: its phases, the phases that its stages waited for, and the stages that waited."""
        if self._made != self._last[0]:  # most steps are like the one before
            self._last = (self._made, _counted(list(self._made.values())))
        self._made = {}
        return self._last[1]


def _counted(made: list[set[ProductKind]]) -> Counter[str]:
    stages = [kinds for kinds in made if "forward" in kinds]
    if not stages:
        return Counter()
    projected = any("project" in kinds for kinds in made)
    pulls = ["pull" in kinds for kinds in stages]
    waits = []
    for index, kinds in enumerate(stages):
        above = len(stages) - 1 - index
        if "update" not in kinds:
            continue
        if not above:
            waits.append(0)
        elif any(pulls) or projected:
            waits.append(above + (sum(pulls[index + 1 :]) or 1))
        else:
            waits.append(2)  # its own read-out, and back
    probed = any("probe" in kinds for kinds in made)
    errors = sum(pulls) or int(projected)
    return Counter(phases=len(stages) + errors + probed, waits=sum(waits), waiting=len(waits), passes=1)
