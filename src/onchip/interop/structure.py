"""The order in a graph of nodes and edges: a chain of nodes, recurrent connections, and branches that are added.

A node gets the sum of what arrives on its edges, so a signal is the set of nodes that send it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from onchip.errors import UnsupportedError

Signal = frozenset[str]

MOST_TRIED = 1_000_000
"""Pairs of signals that are compared before a graph is given up; a network of a thousand blocks needs as many."""


@dataclass(frozen=True)
class Branches:
    """Two chains that get the same signal, and whose outputs are added; an empty chain passes the signal on."""

    first: Chain
    second: Chain


Chain = tuple["str | Branches", ...]
"""Nodes and branches in the order in which a signal passes them."""


@dataclass(frozen=True)
class Structure:
    """What a graph consists of.

    Args:
        chain: From behind the input to before the output.
        recurrent: For nodes with a recurrent connection, the node on it.
    """

    chain: Chain
    recurrent: Mapping[str, str]


def structure(
    edges: Sequence[tuple[str, str]], source: str, sink: str, nodes: Iterable[str], *, weights: Iterable[str]
) -> Structure:
    """Reads a graph.

    Args:
        edges: Pairs of nodes.
        source: The input.
        sink: The output.
        nodes: All nodes.
        weights: Those with weights, which alone may lie on a recurrent connection.

    Raises:
        UnsupportedError: The graph is no such chain: it has other cycles or branches, or nodes that lead nowhere.
    """
    before: dict[str, set[str]] = {node: set() for node in nodes}
    after: dict[str, set[str]] = {node: set() for node in before}
    for start, end in edges:
        before[end].add(start)
        after[start].add(end)
    recurrent: dict[str, str] = {}
    for node in weights:
        if before[node] == after[node] and len(before[node]) == 1:
            (neuron,) = before[node]
            if neuron == node or neuron in recurrent:
                raise UnsupportedError(
                    f"node {neuron!r} has two recurrent connections, or one without weights; expected one"
                )
            recurrent[neuron] = node
            before[neuron].discard(node)
            after[neuron].discard(node)
            del before[node], after[node]
    _refuse_cycles(before, after)
    for node in before:
        if node != source and not before[node]:
            raise UnsupportedError(f"node {node!r} gets no input; expected a chain from {source!r} to {sink!r}")
        if node != sink and not after[node]:
            raise UnsupportedError(f"node {node!r} leads nowhere; expected a chain from {source!r} to {sink!r}")
    parser = _Parser({node: frozenset(senders) for node, senders in before.items()}, sink)
    chain, leaving = parser.chain(frozenset({source}))
    passed: list[str] = []
    # Whatever the parser has found: each node gets exactly what the graph says, and none is left out.
    if (
        _sent(chain, Counter([source]), parser.before, passed) != Counter(before[sink])
        or len(passed) != len(before) - 2
    ):
        raise UnsupportedError(_no_chain(leaving))
    return Structure(chain, recurrent)


@dataclass
class _Parser:
    """Reads an acyclic graph as a chain.

    Args:
        before: For each node, those that send to it.
        sink: The output.
    """

    before: Mapping[str, Signal]
    sink: str

    def __post_init__(self) -> None:
        self.takers: dict[Signal, list[str]] = {}
        self.containing: dict[str, list[Signal]] = {}
        self.tried = 0
        for node, senders in self.before.items():
            known = self.takers.setdefault(senders, [])
            if node != self.sink:
                known.append(node)
        for arriving in self.takers:
            for sender in arriving:
                self.containing.setdefault(sender, []).append(arriving)

    def chain(self, start: Signal) -> tuple[Chain, Signal]:
        """What a signal passes, as far as it can be followed on its own, and the signal at the end."""
        items: list[str | Branches] = []
        signals = [start]  # before each item, and after the last one
        while True:
            signal = signals[-1]
            takers = self.takers.get(signal, [])
            if len(takers) > 1:
                branches, end = self.branches(signal, takers)
                items.append(branches)
                signals.append(end)
            elif takers:
                items.append(takers[0])
                signals.append(frozenset(takers))
            else:
                past = self.joined(signals)
                if past is None:
                    return tuple(items), signal
                items[past:] = [Branches(tuple(items[past:]), ())]
                signals[past + 1 :] = [signals[past] | signal]

    def joined(self, signals: list[Signal]) -> int | None:
        """The place from which a signal has passed by, to be added to the last one first; None if there is none.

        Several may be added at once, where branches within branches end together: then it is the latest place.
        """
        last, places = signals[-1], {signal: at for at, signal in enumerate(signals[:-1])}
        others = [arriving - last for arriving in self.containing.get(next(iter(last)), []) if last < arriving]
        whole = [places[other] for other in others if other in places]
        if whole:
            return max(whole)
        self.count(len(others) * len(places))
        return max((at for signal, at in places.items() if any(signal < other for other in others)), default=None)

    def branches(self, start: Signal, takers: list[str]) -> tuple[Branches, Signal]:
        """Chains that begin at nodes which get one signal, added up: some of them first where others go on."""
        found = []
        for node in takers:
            chain, end = self.chain(frozenset({node}))
            found.append(((node, *chain), end))
        while True:
            arriving, met, passes = self.meeting(start, [end for _, end in found])
            if len(met) == len(found):
                added = _added([chain for chain, _ in found])
                return added, frozenset[str]().union(*(end for _, end in found))
            together = [found[place] for place in met]
            chain = together[0][0] if len(together) == 1 else (_added([chain for chain, _ in together]),)
            if passes:
                chain = (Branches(chain, ()),)
            further, end = self.chain(arriving)
            rest = [branch for place, branch in enumerate(found) if place not in met]
            found = [*rest, ((*chain, *further), end)]

    def meeting(self, start: Signal, ends: list[Signal]) -> tuple[Signal, list[int], bool]:
        """Where some branches meet: the smallest such signal, their places, and whether the first signal passes by.

        If there is no such signal, all of them meet.
        """
        everything = frozenset[str]().union(*ends)
        candidates = {arriving for end in ends for arriving in self.containing.get(next(iter(end)), [])}
        self.count(len(candidates) * len(ends))
        for arriving in sorted(candidates, key=lambda signal: (len(signal), sorted(signal))):
            met = [place for place, end in enumerate(ends) if end <= arriving]
            rest = arriving.difference(*(ends[place] for place in met))
            if rest in (frozenset(), start) and len(met) + bool(rest) > 1:
                return arriving, met, bool(rest)
        if not any(everything <= arriving for arriving in candidates):
            raise UnsupportedError(_no_chain(everything))
        return everything, list(range(len(ends))), False

    def count(self, tried: int) -> None:
        """Gives a graph up that has too many branches."""
        self.tried += tried
        if self.tried > MOST_TRIED:
            raise UnsupportedError("the graph has more branches than can be followed")


def _added(chains: list[Chain]) -> Branches:
    """Several branches as pairs of branches."""
    *first, last = chains
    if len(first) == 1:
        return Branches(first[0], last)
    return Branches(first[0], (_added(chains[1:]),))


def _refuse_cycles(before: Mapping[str, set[str]], after: Mapping[str, set[str]]) -> None:
    """Raises UnsupportedError if a way leads from a node back to it."""
    missing = {node: len(senders) for node, senders in before.items()}
    ready = [node for node, senders in missing.items() if not senders]
    while ready:
        for taker in after[ready.pop()]:
            missing[taker] -= 1
            if not missing[taker]:
                ready.append(taker)
    if left := sorted(node for node, senders in missing.items() if senders):
        raise UnsupportedError(
            f"a cycle leads through {', '.join(map(repr, left[:4]))}; expected neurons and one layer of weights at most"
        )


def _sent(chain: Chain, signal: Counter[str], before: Mapping[str, Signal], passed: list[str]) -> Counter[str]:
    """What a chain sends for a signal, by how often each node sends it; all nodes on the way are added to `passed`.

    Raises:
        UnsupportedError: A node gets something else than its edges say.
    """
    for item in chain:
        if isinstance(item, Branches):
            signal = _sent(item.first, signal, before, passed) + _sent(item.second, signal, before, passed)
        elif signal != Counter(before[item]):
            raise UnsupportedError(_no_chain(before[item]))
        else:
            passed.append(item)
            signal = Counter([item])
    return signal


def _no_chain(signal: Signal) -> str:
    return (
        f"what leaves {', '.join(map(repr, sorted(signal)))} cannot be followed; expected a chain of nodes, of which "
        "branches start from one signal and are added"
    )
