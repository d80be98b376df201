"""Which forward weights a rule reads, when, and whether the ledger knows of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from onchip.audit.isolation import isolated
from onchip.audit.setup import Setup
from onchip.audit.training import Decoys, StepLog, train
from onchip.certificates import Finding

SPAN = 128
"""Training steps in which reads of the weights are searched for; more than the default period of fbp, 100."""

Pairs = set[tuple[int, int]]
"""(reader, read): layers by their index from the input."""


@dataclass
class _Reads:
    """What the search found.

    Args:
        pairs: Layers whose update depends on the weights of which layer, in the same step.
        copied: First steps after which something else than an update depends on the weights, by layer.
        learned: The first step after which something depends on the weights through reported probes only, or None.
        booked: Scalars that were reported with the first of these, by layer.
        unbooked: Layers whose weights were read without a report.
        single: Layers with probes that read single weights, or that are no random numbers.
    """

    pairs: Pairs = field(default_factory=set)
    copied: dict[int, int] = field(default_factory=dict)
    learned: int | None = None
    booked: dict[int, int] = field(default_factory=dict)
    unbooked: set[int] = field(default_factory=set)
    single: set[int] = field(default_factory=set)


@dataclass(frozen=True)
class _Difference:
    """The first difference between two trainings.

    Args:
        step: From 1.
        readers: Layers whose updates differ.
        rest: Whether anything else differs by the end of the backward pass, or of the step.
    """

    step: int
    readers: tuple[int, ...]
    rest: bool


def weight_findings(setup: Setup, names: Sequence[str], span: int) -> list[Finding]:
    """Findings about reads of forward weights.

    Args:
        setup: What all trials share.
        names: Names of the synaptic layers.
        span: Training steps.
    """
    reads = _search(setup, len(names), span)
    test = f"each layer's weights are hidden from all but its own forward product, in {span} training steps"
    in_step = f"{test}, before the backward pass is over: do updates of the same step change?"
    ever = f"{test}: does anything change?"
    kinds = {
        "forward_weights_above": ("forward weights of layers above", {(by, of) for by, of in reads.pairs if of > by}),
        "forward_weights_below": ("forward weights of layers below", {(by, of) for by, of in reads.pairs if of < by}),
        "own_forward_weights": ("forward weights of the same layer", {(by, of) for by, of in reads.pairs if of == by}),
    }
    booked = [f"{scalars:,} scalars {_when(step)}" for step, scalars in _by_step(reads)]
    found = bool(reads.copied or reads.single)
    return [
        *(
            Finding(name, subject, in_step, bool(pairs), named_pairs(names, pairs))
            for name, (subject, pairs) in kinds.items()
        ),
        Finding(
            "weight_transport",
            "weight transport: forward weights copied into the feedback",
            ever,
            found,
            _transport_detail(reads, names, span),
        ),
        Finding(
            "booked_transport", "weight transport in the ledger", "what was reported", bool(booked), "; ".join(booked)
        ),
        Finding(
            "unbooked_transport",
            "forward weights read without a report to the ledger",
            f"{ever} What was reported?",
            bool(reads.unbooked),
            named(names, reads.unbooked) if reads.unbooked else "",
        ),
    ]


def named(names: Sequence[str], layers: Iterable[int]) -> str:
    """Names of layers, for a message."""
    chosen = sorted(set(layers))
    return "all layers" if len(chosen) == len(names) else "layer " + ", ".join(names[index] for index in chosen)


def named_pairs(names: Sequence[str], pairs: Pairs) -> str:
    """`layer 1 depends on 3, 5; ...`, for the first three layers."""
    readers = sorted({reader for reader, _ in pairs})
    lines = []
    for reader in readers[:3]:
        read = [names[of] for by, of in sorted(pairs) if by == reader]
        lines.append(f"layer {names[reader]} depends on {', '.join(read)}")
    return "; ".join(lines) + ("; ..." if len(readers) > 3 else "")


def _search(setup: Setup, layers: int, span: int) -> _Reads:
    everything = tuple(range(layers))
    base, hidden = isolated([partial(train, setup, span), partial(train, setup, span, Decoys(everything))])
    reads = _Reads()
    for log in base:
        reads.unbooked |= log.unbooked
        reads.single |= log.single
    reads.single |= _probes_without_noise(setup, base)
    reads.unbooked |= reads.single
    if (found := _first_difference(base, hidden)) is None:
        return reads
    compared = partial(train, setup, span, over=_differs_from(base))
    (probed,) = isolated([partial(compared, Decoys(everything, probes=True))])
    if _first_difference(base, probed) is None:
        reads.learned = found.step
        return reads
    ways = [Decoys((layer,), in_step=in_step, probes=True) for in_step in (True, False) for layer in everything]
    logs = isolated([partial(compared, way) for way in ways])
    for layer in everything:
        _in_step(setup, base, logs[layer], layer, reads)
        _beyond(setup, base, logs[layers + layer], layer, reads)
    return reads


def _in_step(setup: Setup, base: list[StepLog], hidden: list[StepLog], layer: int, reads: _Reads) -> None:
    """Reads of a layer's weights by updates of the same step."""
    difference = _first_difference(base, hidden)
    if difference is None or not difference.readers:
        return
    if (step := difference.step) > 1:
        # Updates may depend on what was put aside in an earlier step.
        alone = Decoys((layer,), only=step, in_step=True, probes=True)
        (logs,) = isolated([partial(train, setup, step, alone)])
        again = _first_difference(base[:step], logs)
        if again is None or not again.readers:
            return
    reads.pairs |= {(reader, layer) for reader in difference.readers}
    booked = base[step - 1].booked.get(layer, 0)
    if booked:
        reads.booked[layer] = booked
    elif any(reader != layer for reader in difference.readers):
        reads.unbooked.add(layer)


def _beyond(setup: Setup, base: list[StepLog], hidden: list[StepLog], layer: int, reads: _Reads) -> None:
    """Reads of a layer's weights by anything but the updates of the same step."""
    difference = _first_difference(base, hidden)
    if difference is None or (not difference.rest and any(of == layer for _, of in reads.pairs)):
        return
    reads.copied[layer] = difference.step
    reads.booked[layer] = sum(log.booked.get(layer, 0) for log in base[: difference.step])
    reported = frozenset(number for number, log in enumerate(base, start=1) if log.booked.get(layer))
    unreported = Decoys((layer,), shown=reported, probes=True)
    (logs,) = isolated([partial(train, setup, len(base), unreported, over=_differs_from(base))])
    if _first_difference(base, logs) is not None:
        reads.unbooked.add(layer)


def _differs_from(base: Sequence[StepLog]) -> Callable[[int, StepLog], bool]:
    """Ends a training with its first difference: nothing is asked of later steps."""
    return lambda step, log: _first_difference(base[step - 1 : step], [log]) is not None


def _first_difference(base: Sequence[StepLog], other: Sequence[StepLog]) -> _Difference | None:
    # The other one may have ended with the first difference.
    for step, (expected, got) in enumerate(zip(base, other, strict=False), start=1):
        pairs = enumerate(zip(expected.updates, got.updates, strict=True))
        readers = tuple(layer for layer, (one, two) in pairs if one != two)
        backward = _differ(expected.backward, got.backward)
        if readers or backward or _differ(expected.step, got.step):
            return _Difference(step, readers, backward or not readers)
    return None


def _differ(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether two states differ in what both have; a hidden layer's own weights are in one only."""
    return any(one[name] != other[name] for name in one.keys() & other.keys())


def _probes_without_noise(setup: Setup, base: list[StepLog]) -> set[int]:
    """Layers with probes that are the same after other random numbers."""
    step = next((number for number, log in enumerate(base, start=1) if log.probed), None)
    if step is None:
        return set()
    (redrawn,) = isolated([partial(train, setup, step, draws=1)])
    return base[step - 1].probed if set(base[step - 1].probes) & set(redrawn[-1].probes) else set()


def _by_step(reads: _Reads) -> list[tuple[int, int]]:
    """Steps with their reported scalars; step 0 stands for every update."""
    by_step: dict[int, int] = {}
    for layer, scalars in reads.booked.items():
        if scalars:
            step = reads.copied.get(layer, 0)
            by_step[step] = by_step.get(step, 0) + scalars
    return sorted(by_step.items())


def _when(step: int) -> str:
    return f"after step {step}" if step else "for one update"


def _transport_detail(reads: _Reads, names: Sequence[str], span: int) -> str:
    if reads.copied:
        return f"first after step {min(reads.copied.values())}"
    if reads.single:
        return f"probes read single weights, or are no random numbers: {named(names, reads.single)}"
    if reads.learned:
        return f"only through the responses of the synapses, first after step {reads.learned}"
    if any(reader != read for reader, read in reads.pairs):
        return "with the update"
    return f"not in {span} steps"
