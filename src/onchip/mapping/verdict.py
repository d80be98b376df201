"""What is said of a rule on a chip: the verdict with its reasons, the derivation, memory, traffic and price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from onchip.chips.grammar import Program
from onchip.learning.description import PostFactor

__all__ = [
    "FAITHFUL",
    "Derivation",
    "Energy",
    "MemoryNeed",
    "Reason",
    "Traffic",
    "Verdict",
    "Word",
    "Written",
    "worst",
]

Word = Literal["faithful", "approximate", "unsupported"]

Timing = Literal["closing time step", "last time step", "every time step", "stored sequence"]

FAITHFUL: Word = "faithful"
APPROXIMATE: Word = "approximate"
UNSUPPORTED: Word = "unsupported"
ORDER: tuple[Word, ...] = (FAITHFUL, APPROXIMATE, UNSUPPORTED)

SYMBOLS = {"error": "e", "slope": "ψ", "error sum": "Σψ·e"}
TRACED = {"error": "ē", "slope": "p", "error sum": "Σψ·e"}


@dataclass(frozen=True)
class Reason:
    """Why a rule is not faithful on a chip.

    Args:
        clause: Name of the clause, such as `weight transport`.
        word: What it makes of the verdict.
        text: What the rule needs and the chip lacks.
        change: What would have to change.
        layers: The layers that it is about; empty for the whole network.
    """

    clause: str
    word: Word
    text: str
    change: str = ""
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """What the program of the postsynaptic neurons writes into a trace at each time step.

    Args:
        trace: The trace.
        part: `positive` part of the value, its `negative` part as a positive number, the value itself (`signed`), the
            value plus 1 (`offset`), or 1 at the closing time step of a sequence and 0 before (`gate`).
        factors: The factors whose product is the value; none for a gate.
        gain: A constant that multiplies the product.
        at_end: Whether it is written at the last time step of a sequence only, and is 0 before.
    """

    trace: str
    part: Literal["positive", "negative", "signed", "offset", "gate"]
    factors: tuple[PostFactor, ...] = ()
    gain: float = 1.0
    at_end: bool = False

    def __str__(self) -> str:
        ordered = sorted(self.factors, key=lambda factor: factor.name == "error")
        value = "·".join([*([f"{self.gain:g}"] if self.gain != 1.0 else []), *map(_symbol, ordered)])
        text = {
            "positive": f"max({value}, 0)",
            "negative": f"max(-{value}, 0)",
            "signed": value,
            "offset": f"{value} + 1",
            "gate": "1 at the closing time step, else 0",
        }[self.part]
        return f"{text} at the last time step, else 0" if self.at_end else text


@dataclass(frozen=True)
class Derivation:
    """The update of the synapses of one layer in the grammar of a chip.

    Args:
        layer: Name of the layer.
        program: Traces and expressions.
        bias: The same for the bias, the weight of a presynaptic neuron that fires at every time step.
        written: What the postsynaptic neurons' program writes.
        timing: When weights change: at the `closing time step` after a sequence, its `last time step`, at `every time
            step`, or after a `stored sequence`, for each of whose time steps the expressions are then evaluated.
    """

    layer: str
    program: Program
    bias: Program
    written: tuple[Written, ...]
    timing: Timing

    def legend(self) -> tuple[str, ...]:
        """What the traces of factors that neurons' programs keep are, such as `p[t] = 0.2 * p[t-1] + ψ[t]`."""
        factors = {factor for each in self.written for factor in each.factors if factor.trace is not None}
        return tuple(
            sorted(
                f"{TRACED[each.name]}[t] = {each.trace:g} * {TRACED[each.name]}[t-1] + {SYMBOLS[each.name]}[t]"
                for each in factors
            )
        )

    @property
    def uses_tag(self) -> bool:
        """Whether each synapse needs its second number."""
        return bool(self.program.expression("t").products)


@dataclass(frozen=True)
class MemoryNeed:
    """Memory on the chip, at least: routing tables are not counted.

    Args:
        synapses: Synapses, those of feedback weights included.
        synapse_bits: Bits of a learning synapse; None if the chip's bits are unknown.
        neurons: Neurons, those that carry errors included.
        neuron_bits: Bits of the traces of a neuron; None if unknown.
        total_bits: All together; None if unknown.
        cores: Cores needed; None if unknown.
        sequence: Numbers kept per sample for the length of a sequence.
    """

    synapses: int
    synapse_bits: int | None
    neurons: int
    neuron_bits: int | None
    total_bits: int | None
    cores: int | None
    sequence: int


@dataclass(frozen=True)
class Traffic:
    """Numbers sent in one training step of one sample, besides the spikes of the network.

    Args:
        errors: Real-valued errors, each sent to a layer.
        targets: Targets, each sent to a layer.
        weights: Forward weights that a host or the chip copies to feedback weights, on average.
    """

    errors: int
    targets: int
    weights: float


@dataclass(frozen=True)
class Energy:
    """What one training step of one sample costs, operation by operation.

    Args:
        parts_pj: Picojoules of what the chip has a price for.
        unpriced: Counts of what it has no price for, those of 0 apart.
        of: The generations of the chip that the prices are of.
    """

    parts_pj: Mapping[str, float]
    unpriced: Mapping[str, float]
    of: tuple[str, ...] = ()

    @property
    def total_pj(self) -> float | None:
        """The sum; None if anything is unpriced."""
        return None if self.unpriced else sum(self.parts_pj.values())


@dataclass(frozen=True)
class Verdict:
    """What a chip makes of a rule on a network.

    Args:
        rule: The rule, with its options.
        chip: Name of the chip.
        reasons: Why it is not faithful; empty if it is.
        summary: Where errors come from and what updates keep of the past, in a few words.
        derivations: The updates, layer by layer; empty if the rule is unsupported.
        memory: Memory on the chip.
        traffic: What is sent.
        energy: What it costs; None if the rule's counts are unknown.
        notes: What the derivations take for granted of the chip, in words.
    """

    rule: str
    chip: str
    reasons: tuple[Reason, ...]
    summary: str
    derivations: tuple[Derivation, ...]
    memory: MemoryNeed
    traffic: Traffic
    energy: Energy | None = None
    notes: tuple[str, ...] = ()

    @property
    def word(self) -> Word:
        """`faithful`, `approximate` or `unsupported`."""
        return worst(reason.word for reason in self.reasons)

    @property
    def changes(self) -> tuple[str, ...]:
        """What would have to change, each once."""
        return tuple(dict.fromkeys(reason.change for reason in self.reasons if reason.change))

    def to_dict(self) -> dict[str, Any]:
        """The verdict as plain values, for JSON; programs as text."""
        plain = asdict(self)
        for each, derivation in zip(plain["derivations"], self.derivations, strict=True):
            each |= {"program": str(derivation.program).split("\n"), "bias": str(derivation.bias).split("\n")}
            each["written"] = {written.trace: str(written) for written in derivation.written}
        if self.energy is not None:
            plain["energy"]["total_pj"] = self.energy.total_pj
        return {"word": self.word, **plain, "changes": list(self.changes)}


def worst(words: Iterable[Word]) -> Word:
    """The worst of words; faithful if there are none."""
    return max(words, key=ORDER.index, default=FAITHFUL)


def _symbol(factor: PostFactor) -> str:
    late = f"[t-{factor.delay}]" if factor.delay else ""
    return (SYMBOLS if factor.trace is None else TRACED)[factor.name] + late
