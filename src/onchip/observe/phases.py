"""How many things must happen one after another in a training step, seen from the products that were made."""

from __future__ import annotations

from collections import Counter

from onchip.credit import Product

__all__ = ["Phases"]


class Phases:
    """Products of one training step, by stage, and the waits that follow from them.

    A phase is a product of one stage that needs what another phase gave: forward through each stage, then an
    error down through each stage, or once, straight from the output to all. A stage waits, after its own
    forward product, for all phases that its error has come through.
    """

    def __init__(self) -> None:
        self._made: dict[str, Counter[str]] = {}

    def product(self, stage: str, kind: Product) -> None:
        """A product was made."""
        self._made.setdefault(stage, Counter())[kind] += 1

    def first(self, stage: str, kind: Product) -> bool:
        """Whether the product just made is the stage's first of that kind in this step."""
        return self._made[stage][kind] == 1

    def closed(self) -> Counter[str]:
        """Ends the step: its phases, the phases that its stages waited for, and the stages that waited."""
        made, self._made = list(self._made.values()), {}
        stages = [kinds for kinds in made if kinds["forward"]]
        if not stages:
            return Counter()
        waits = [_wait(stages[index + 1 :]) for index, kinds in enumerate(stages) if kinds["update"]]
        probed = any(kinds["probe"] for kinds in made)
        return Counter(phases=len(stages) + _errors(stages) + probed, waits=sum(waits), waiting=len(waits), passes=1)


def _errors(stages: list[Counter[str]]) -> int:
    """Phases in which errors travel: through one stage after another, or straight to all stages."""
    pulled = sum(bool(kinds["pull"]) for kinds in stages)
    return pulled or int(any(kinds["project"] for kinds in stages))


def _wait(above: list[Counter[str]]) -> int:
    """Phases between a stage's forward product and its update, from what was made for the stages above it."""
    if not above:
        return 0
    if above[0]["pull"] or above[0]["project"]:
        return len(above) + _errors(above)
    return 2 if above[0]["local"] else len(above)  # its own read-out, and back
