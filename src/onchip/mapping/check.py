"""Can a chip run a rule?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onchip.chips.engine import refusals
from onchip.chips.profile import OUTER_PRODUCT, PROGRAMMABLE, SUM_OF_PRODUCTS, Chip
from onchip.errors import UnsupportedError
from onchip.learning.description import RuleDescription
from onchip.learning.rule import Rule
from onchip.mapping.clauses import CLAUSES, Case, chip_steps, through
from onchip.mapping.derivation import derive
from onchip.mapping.needs import energy_of, memory_of, traffic_of
from onchip.mapping.setting import Inputs, Setting
from onchip.mapping.verdict import APPROXIMATE, UNSUPPORTED, Derivation, MemoryNeed, Reason, Verdict, worst

__all__ = ["check", "judge"]


def check(
    rule: Rule,
    chip: Chip,
    *,
    setting: Setting = Setting(),
    inputs: Inputs = Inputs(),
    bill: Mapping[str, float] | None = None,
    label: str = "",
) -> Verdict:
    """The verdict on a rule, from its description and the facts of a chip.

    It is judged for samples one after another, a loss at each time step whose derivative the output neurons are given,
    and unlimited precision: `faithful` means that the weights would then equal those of the rule.

    Args:
        rule: The rule, attached to a network.
        chip: The chip.
        setting: How it trains.
        inputs: What the layers receive; see `inputs_of`.
        bill: Counts of a training step of one sample, by the names of `Ledger.summary`.
        label: The rule with its options, for messages; its name if left out.

    Raises:
        UnsupportedError: A part of the rule does not describe itself.

    Example:
        >>> from onchip import chips, nn, rules
        >>> rule = rules.dfa(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)))
        >>> verdict = check(rule, chips.chip("loihi"))
        >>> verdict.word
        'faithful'
        >>> print(verdict.derivations[0].program)
        x1[t] = 0.5 * x1[t-1] + x0[t]
        y1[t] = max(ψ·e, 0)
        y2[t] = max(-ψ·e, 0)
        y3[t] = 1 at the closing time step, else 0
        dt = -2^-7 * u0 * x1 * y1 + 2^-7 * u0 * x1 * y2 - u0 * y3 * t
        dw = u0 * y3 * t
    """
    return judge(rule.describe(), chip, setting=setting, inputs=inputs, bill=bill, label=label)


def judge(
    rule: RuleDescription,
    chip: Chip,
    *,
    setting: Setting = Setting(),
    inputs: Inputs = Inputs(),
    bill: Mapping[str, float] | None = None,
    label: str = "",
) -> Verdict:
    """`check` for a description, such as that of a file."""
    cases = [Case(rule, each, chip, setting, inputs.received.get(each.layer, "spikes")) for each in rule.synapses]
    reasons = [reason for case in cases for clause in CLAUSES for reason in clause(case)]
    derivations: list[Derivation] = []
    if worst(reason.word for reason in reasons) != UNSUPPORTED:
        for case in cases:
            try:
                derivation = derive(case.synapse, chip, setting, case.received)
            except UnsupportedError as error:
                reasons += _underived(case, str(error))
                continue
            derivations.append(derivation)
            reasons += _checked(case, derivation)
    memory = memory_of(rule, chip, setting, inputs, derivations)
    reasons += _fits(chip, memory)
    word = worst(reason.word for reason in reasons)
    return Verdict(
        label or rule.rule,
        chip.name,
        tuple(_merged(reasons)),
        summary(rule),
        () if word == UNSUPPORTED else tuple(derivations),
        memory,
        traffic_of(rule, chip, setting, inputs, bill),
        None if bill is None or word == UNSUPPORTED else energy_of(rule, chip, bill, stored=_stores(derivations)),
        () if word == UNSUPPORTED else tuple(_notes(cases)),
    )


def _stores(derivations: Iterable[Derivation]) -> bool:
    """Whether activity is stored; also where no derivation says that traces take its place."""
    timings = {each.timing for each in derivations}
    return not timings or "stored sequence" in timings


def _underived(case: Case, why: str) -> Iterable[Reason]:
    """A program of any form needs no derivation, as long as a processor computes it; other engines do."""
    if case.chip.engine.grammar.value not in (PROGRAMMABLE, OUTER_PRODUCT) or case.synapse.update.terms:
        yield Reason("form of the update", UNSUPPORTED, why, "", (case.synapse.layer,))


def _checked(case: Case, derivation: Derivation) -> Iterable[Reason]:
    layers = (case.synapse.layer,)
    for program in (derivation.program, derivation.bias):
        for text in refusals(program, case.chip):
            yield Reason("engine's grammar", UNSUPPORTED, text, "", layers)
    if derivation.timing == "every time step" and case.setting.update == "sequence" and case.setting.steps > 1:
        text = "weights change at each time step, not at the end of the sequence: no tag is free to collect the sum"
        yield Reason(
            "updates within the sequence", APPROXIMATE, text, "updates at each time step, --update step", layers
        )


def _fits(chip: Chip, memory: MemoryNeed) -> Iterable[Reason]:
    cores = chip.memory.cores.value
    if memory.cores is not None and cores and memory.cores > cores and chip.memory.several_chips.value is not True:
        text = f"at least {memory.cores:,} cores are needed; a chip has {cores:,}, and chips are not joined"
        yield Reason("memory", UNSUPPORTED, text, "a smaller network")


def _merged(reasons: Iterable[Reason]) -> Iterable[Reason]:
    """Reasons that differ by the layer only, as one."""
    merged: dict[tuple[str, str, str], Reason] = {}
    for each in reasons:
        key = (each.clause, each.text, each.change)
        before = merged[key].layers if key in merged else ()
        layers = tuple(dict.fromkeys((*before, *each.layers)))
        merged[key] = Reason(each.clause, each.word, each.text, each.change, layers)
    return merged.values()


def summary(rule: RuleDescription) -> str:
    """Where errors of hidden layers come from, and what updates keep of the past, in a few words.

    Example:
        >>> from onchip import nn, rules
        >>> summary(rules.dfa(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))).describe())
        'output error through fixed weights; traces'
    """
    hidden = [each for each in rule.synapses if not each.readout] or list(rule.synapses)
    paths = dict.fromkeys(f"{path.origin} {through(path)}" for each in hidden for path in each.paths)
    histories = dict.fromkeys(each.update.history for each in hidden)
    past = " or ".join("no traces" if each == "none" else each for each in histories)
    return f"{' and '.join(paths)}; {past}"


def _notes(cases: list[Case]) -> Iterable[str]:
    """What numbers travel, and how time steps of the network and the chip relate."""
    chip, rule = cases[0].chip, cases[0].rule
    if chip.engine.grammar.value != SUM_OF_PRODUCTS:
        return
    paths = [path for each in rule.synapses for path in each.paths]
    if any(path.through != "nothing" and path.origin != "target" for path in paths):
        yield f"errors are the payload of graded spikes, of {chip.neurons.graded_bits}"
    if real := [case.synapse.layer for case in cases if case.received != "spikes"]:
        layers = f"layer{'s' if len(real) > 1 else ''} {', '.join(real)}"
        yield f"the input of {layers} is real-valued: the payload of graded spikes is added to x1"
    steps = chip_steps(rule)
    yield f"one time step of the network is an epoch of {steps} time steps of the chip, one for each hop of a spike"
