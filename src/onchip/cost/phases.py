"""How many things must happen one after another in a training step, derived from the products that were made."""

from collections import Counter

from onchip.learning.observers import ProductKind


class Phases:
    """Kinds of products of one training step, by layer, and the update locking that follows from them.

    A phase is a product of one layer that needs the result of another phase: forward through each layer, then an
    error back through each layer, or once, directly from the output to all. After its own forward product, a layer is
    locked for all phases that its error comes through. A target can be projected at any time.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, set[ProductKind]] = {}
        self._last: tuple[dict[str, set[ProductKind]], Counter[str]] = ({}, Counter())

    def first(self, layer: str, kind: ProductKind) -> bool:
        """Notes a product; returns whether it is the layer's first of that kind in this step."""
        kinds = self._kinds.get(layer)
        if kinds is None:
            kinds = self._kinds[layer] = set()
        if kind in kinds:
            return False
        kinds.add(kind)
        return True

    def closed(self) -> Counter[str]:
        """Ends the step: its phases, the phases for which its layers were locked, and the number of such layers."""
        if self._kinds != self._last[0]:  # most steps are like the one before
            self._last = (self._kinds, _counted(list(self._kinds.values())))
        self._kinds = {}
        return self._last[1]


def _counted(all_kinds: list[set[ProductKind]]) -> Counter[str]:
    layers = [kinds for kinds in all_kinds if "forward" in kinds]
    if not layers:
        return Counter()
    direct = any("direct" in kinds for kinds in all_kinds)
    taught = any("target" in kinds for kinds in all_kinds)
    backward = ["backward" in kinds for kinds in layers]
    locked = []
    for index, kinds in enumerate(layers):
        above = len(layers) - 1 - index
        if "update" not in kinds:
            continue
        if not above:
            locked.append(0)
        elif any(backward) or direct:
            locked.append(above + (sum(backward[index + 1 :]) or 1))
        elif taught:
            locked.append(0)  # a target is there before the forward pass
        else:
            locked.append(2)  # its own read-out, and back
    probed = any("probe" in kinds for kinds in all_kinds)
    errors = sum(backward) or int(direct)
    return Counter(phases=len(layers) + errors + probed, locked=sum(locked), locked_layers=len(locked), passes=1)
