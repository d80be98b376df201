"""Verdicts of chips on rules as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from onchip._text import one_line
from onchip.cost.energy import in_words
from onchip.report.markdown import markdown_table

if TYPE_CHECKING:
    from onchip.mapping import Derivation, Reason, Verdict
    from onchip.mapping.verdict import Energy, MemoryNeed, Traffic

HEADER = ("rule", "verdict", "why")

JUDGED = (
    "Judged for samples one after another, a loss at each time step whose derivative the output neurons are given, and "
    "plain SGD. Faithful: with unlimited precision the weights equal those of the rule."
)
LEGEND = (
    "x0 presynaptic spike, or the number that it carries; x1, x2 presynaptic traces; y1 to y3 values that the program "
    "of the postsynaptic neurons writes; e error that arrives, ψ surrogate derivative; u0 every time step; w weight, t "
    "tag. A sequence ends with a closing time step without input or error. docs/chips.md explains the clauses."
)


@dataclass(frozen=True)
class Judged:
    """A rule, and what is said of it.

    Args:
        rule: The rule, with its options.
        verdict: The verdict; None if the rule cannot train the network at all.
        refusal: Why it cannot.
    """

    rule: str
    verdict: Verdict | None
    refusal: str = ""

    def row(self) -> tuple[str, str, str]:
        """A row of the table: the clauses that forbid or change a rule, or what its update is made of."""
        if self.verdict is None:
            return self.rule, "-", one_line(self.refusal)
        clauses = dict.fromkeys(reason.clause for reason in self.verdict.reasons)
        return self.rule, self.verdict.word, "; ".join(clauses) or self.verdict.summary

    def to_json(self, about: str) -> str:
        """One line of JSON."""
        plain = {"word": None, "rule": self.rule, "cannot_train": self.refusal}
        values = plain if self.verdict is None else self.verdict.to_dict()
        return json.dumps({"about": about, **values}, ensure_ascii=False)


def table(judged: Iterable[Judged]) -> str:
    """The table as Markdown."""
    return markdown_table(HEADER, [each.row() for each in judged], left=3, padded=True)


def details(verdict: Verdict) -> str:
    """One verdict: its reasons, or its derivation, then memory, traffic and energy."""
    blocks = [f"### {verdict.rule}: {verdict.word}", f"{verdict.summary}."]
    if verdict.reasons:
        blocks.append("\n".join(f"- {_reason(reason)}" for reason in verdict.reasons))
    blocks += _derivations(verdict.derivations)
    needs = [
        *verdict.notes,
        f"memory: {_memory(verdict.memory)}",
        f"traffic of a training step: {_traffic(verdict.traffic)}",
    ]
    if verdict.energy is not None:
        needs.append(f"energy of a training step: {_energy(verdict.energy)}")
    blocks.append("\n".join(f"- {need}" for need in needs))
    return "\n\n".join(blocks)


def _reason(reason: Reason) -> str:
    where = f" ({_layers(reason.layers)})" if reason.layers else ""
    change = f" Instead: {reason.change}." if reason.change else ""
    return f"{reason.clause}{where}, {reason.word}: {reason.text}.{change}"


def _layers(layers: Iterable[str]) -> str:
    names = list(layers)
    return f"layer{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _derivations(derivations: Iterable[Derivation]) -> Iterator[str]:
    """Each program once, with the layers that it is for."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for each in derivations:
        bias = "\n".join(map(str, each.bias.expressions))
        text = "\n".join([str(each.program), *each.legend()])
        alike.setdefault((text, bias, each.timing), []).append(each.layer)
    for (program, bias, timing), layers in alike.items():
        when = {
            "stored sequence": "evaluated after the sequence, for each of its stored time steps",
            "every time step": "weights change at every time step",
        }.get(timing, f"weights change at the {timing}")
        lines = "".join(f"\nbias: {line}" for line in bias.split("\n") if line not in program)
        yield f"{_layers(layers)[0].upper()}{_layers(layers)[1:]}, {when}:\n\n```\n{program}{lines}\n```"


def _memory(memory: MemoryNeed) -> str:
    if not memory.neuron_bits:
        return f"{memory.synapses:,} synapses, those of feedback weights included, {memory.neurons:,} neurons"
    bits = "bits unknown" if memory.synapse_bits is None else f"{memory.synapse_bits} bits each"
    traces = "traces of unknown bits" if memory.neuron_bits is None else f"{memory.neuron_bits} bits of traces each"
    parts = [f"{memory.synapses:,} synapses, {bits}", f"{memory.neurons:,} neurons, {traces}"]
    if memory.sequence:
        parts.append(f"{memory.sequence:,} numbers of a stored sequence")
    if memory.total_bits is not None:
        parts.append(f"{memory.total_bits / 8 / 1024:,.4g} KiB for synapses and traces")
    parts.append("cores unknown" if memory.cores is None else f"at least {memory.cores:,} core{_s(memory.cores)}")
    return ", ".join(parts)


def _traffic(traffic: Traffic) -> str:
    parts = [
        (traffic.errors, f"{traffic.errors:,} real-valued error{_s(traffic.errors)}"),
        (traffic.targets, f"{traffic.targets:,} target{_s(traffic.targets)}"),
        (traffic.weights, f"{traffic.weights:,.4g} weights copied"),
    ]
    return ", ".join(text for number, text in parts if number) or "spikes alone"


def _energy(energy: Energy) -> str:
    priced = ", ".join(f"{name.replace('_', ' ')} {_joules(value)}" for name, value in energy.parts_pj.items())
    of = f", by prices of {' and '.join(energy.of)}" if energy.of else ""
    if energy.total_pj is not None:
        return f"{_joules(energy.total_pj)} ({priced}){of}"
    return f"{priced or 'nothing is priced'}{of}; unpriced, hence no sum: {', '.join(in_words(energy.unpriced))}"


def _joules(pj: float) -> str:
    for size, unit in ((1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ")):
        if pj >= size:
            return f"{pj / size:.3g} {unit}"
    return f"{pj:.3g} pJ"


def _s(number: int) -> str:
    return "" if number == 1 else "s"
