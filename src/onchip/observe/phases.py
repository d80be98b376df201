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
        projected = any(kinds["project"] for kinds in made)
        pulls = [bool(kinds["pull"]) for kinds in stages]
        waits = []
        for index, kinds in enumerate(stages):
            above = len(stages) - 1 - index
            if not kinds["update"]:
                continue
            if not above:
                waits.append(0)
            elif any(pulls) or projected:
                waits.append(above + (sum(pulls[index + 1 :]) or 1))
            else:
                waits.append(2)  # its own read-out, and back
        probed = any(kinds["probe"] for kinds in made)
        errors = sum(pulls) or int(projected)
        return Counter(phases=len(stages) + errors + probed, waits=sum(waits), waiting=len(waits), passes=1)
