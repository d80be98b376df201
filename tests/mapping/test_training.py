"""Rules that a verdict calls faithful are trained by the expressions of its derivation, to the weights of the rule."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import chips, nn, rules
from onchip.chips.grammar import Expression, Product, Program, Trace
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.mapping import Setting, Verdict, check
from onchip.mapping.precision import Precision
from onchip.mapping.training import ProgramTraining
from onchip.mapping.verdict import Derivation
from tests.cases import scaled

STEPS, SAMPLES, CLASSES = 5, 6, 3
RATES = {"sequence": 0.3, "step": 0.25}
"""Learning rates: one that needs a factor beside the scale, and one that does not, as an eligibility has no such."""

NETWORKS: dict[str, Callable[[], nn.Sequential]] = {
    "feed-forward": lambda: nn.Sequential(
        *[nn.Linear(6, 8), nn.LIF(decay=0.7)], *[nn.Linear(8, 7), nn.LIF(decay=0.3)], nn.Linear(7, CLASSES)
    ),
    "recurrent": lambda: nn.Sequential(
        *[nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF(decay=0.7))],
        *[nn.Linear(8, 7), nn.Recurrent(nn.Linear(7, 7, bias=False), nn.LIF())],
        nn.Linear(7, CLASSES),
    ),
    "synaptic currents": lambda: nn.Sequential(
        *[nn.Linear(6, 8), nn.CubaLIF(decay=0.7, current_decay=0.4)],
        *[nn.Linear(8, 7), nn.IF(reset="hard"), nn.Linear(7, CLASSES)],
    ),
    "leaky read-out": lambda: nn.Sequential(
        *[nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF(decay=0.7))],
        *[nn.Linear(8, CLASSES), nn.LI(decay=0.75)],
    ),
}

OPTIONS: tuple[dict[str, Any], ...] = ({}, {"temporal": Online()}, {"feedback": "dfa"}, {"concordant": True})


def made(network: str, name: str, options: dict[str, Any]) -> tuple[nn.Sequential, Rule]:
    """A network that fires, in double precision, under a rule; the same each time."""
    torch.manual_seed(3)
    model = scaled(NETWORKS[network](), 3.0).double()
    torch.manual_seed(4)
    return model, getattr(rules, name)(model, **options)


def setting(update: str) -> Setting:
    return Setting(steps=STEPS, lr=RATES[update], update="step" if update == "step" else "sequence")


def verdict_of(rule: Rule, setting: Setting, chip: str = "loihi") -> Verdict:
    return check(rule, chips.chip(chip), setting=setting)


@functools.cache
def faithful(update: str) -> list[Any]:
    """All rules that Loihi runs faithfully, on each network."""
    found = []
    for network in NETWORKS:
        for name in rules.__all__:
            for options in OPTIONS:
                if options.keys() - inspect.signature(getattr(rules, name)).parameters.keys():
                    continue
                try:
                    _, rule = made(network, name, options)
                    if verdict_of(rule, setting(update)).word == "faithful":
                        text = ",".join(options) or "default"
                        found.append(pytest.param(network, name, options, id=f"{network}-{name}-{text}"))
                except OnchipError:
                    continue
    return found


def samples() -> list[tuple[Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(5)
    spikes = [(torch.rand(STEPS, 1, 6, generator=draws) < 0.5).double() for _ in range(SAMPLES)]
    return [(spike, torch.tensor([number % CLASSES])) for number, spike in enumerate(spikes)]


def backward(rule: Rule, labels: Tensor, *, share: float = 1.0) -> None:
    """The loss at each time step, of all outputs."""
    steps = len(rule.outputs[0])
    losses = [torch.nn.functional.cross_entropy(out.flatten(0, 1), labels.repeat(steps)) for out in rule.outputs]
    rule.backward(torch.stack(losses).sum(), targets=labels, share=share)


def by_rule(network: str, name: str, options: dict[str, Any], *, update: str = "sequence") -> list[Tensor]:
    """The weights after training by the rule with plain gradient descent."""
    model, rule = made(network, name, options)
    optimizer = torch.optim.SGD(rule.parameters(), lr=RATES[update])
    torch.manual_seed(6)
    for spikes, labels in samples():
        if update == "step":
            for _ in rule.stream(spikes):
                backward(rule, labels)
                optimizer.step()
                optimizer.zero_grad()
                rule.step()
        else:
            rule.forward(spikes)
            backward(rule, labels)
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
    return [parameter.detach() for parameter in model.parameters()]


Change = Callable[[Derivation], Derivation]


def by_program(
    network: str,
    name: str,
    options: dict[str, Any],
    *,
    update: str = "sequence",
    chip: str = "loihi",
    change: Change = lambda each: each,
    precision: Precision = Precision(),
) -> list[Tensor]:
    """The weights after training by the expressions of the verdict."""
    model, rule = made(network, name, options)
    derivations = [change(each) for each in verdict_of(rule, setting(update), chip).derivations]
    training = ProgramTraining(rule, derivations, precision)
    torch.manual_seed(6)
    for spikes, labels in samples():
        if update == "step":
            training.begin()
            for _ in rule.stream(spikes):
                backward(rule, labels)
                training.step(streams=True)
                rule.step()
        else:
            rule.forward(spikes)
            backward(rule, labels)
            training.step()
            rule.step()
    return [parameter.detach() for parameter in model.parameters()]


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


def moved(weights: list[Tensor], network: str, name: str, options: dict[str, Any]) -> float:
    """How far the weights that moved least have moved from the first ones."""
    model, _ = made(network, name, options)
    return min(float((a - b.detach()).abs().max()) for a, b in zip(weights, model.parameters(), strict=True))


@pytest.mark.parametrize(("network", "name", "options"), faithful("sequence"))
def test_the_expressions_train_to_the_weights_of_the_rule(network: str, name: str, options: dict[str, Any]) -> None:
    expected = by_rule(network, name, options)
    assert moved(expected, network, name, options) > 1e-3
    assert distance(by_program(network, name, options), expected) < 1e-10


@pytest.mark.parametrize(("network", "name", "options"), faithful("step"))
def test_changes_at_every_time_step_are_those_of_a_stream(network: str, name: str, options: dict[str, Any]) -> None:
    expected = by_rule(network, name, options, update="step")
    assert moved(expected, network, name, options) > 1e-3
    assert distance(by_program(network, name, options, update="step"), expected) < 1e-10


@pytest.mark.parametrize("name", ["ottt", "ostl", "sltt", "s_tllr", "dfa", "drtp", "decolle"])
@pytest.mark.parametrize("network", ["feed-forward", "recurrent"])
def test_a_crossbar_stores_a_sequence_and_takes_outer_products(network: str, name: str) -> None:
    _, rule = made(network, name, {})
    verdict = verdict_of(rule, setting("sequence"), "crossbar")
    assert verdict.word == "faithful"
    assert {each.timing for each in verdict.derivations} == {"stored sequence"}
    assert distance(by_program(network, name, {}, chip="crossbar"), by_rule(network, name, {})) < 1e-10


def test_many_rules_were_trained() -> None:
    trained = {(each.values[0], each.values[1]) for each in faithful("sequence")}
    for network in ("feed-forward", "recurrent"):
        names = {name for place, name in trained if place == network}
        assert names >= {"dfa", "drtp", "eprop", "osttp", "decolle", "s_tllr", "fa", "etlp"}
    assert ("leaky read-out", "eprop") in {(each.values[0], each.values[1]) for each in faithful("step")}


def _of_expressions(text: Callable[[str], str]) -> Change:
    """A change of the expressions of a derivation's program, as text."""

    def changed(program: Program) -> Program:
        return replace(
            program, expressions=tuple(chips.parse(text(str(expression))) for expression in program.expressions)
        )

    return lambda each: replace(each, program=changed(each.program))


def _of_traces(**values: Any) -> Change:
    def changed(trace: Trace) -> Trace:
        return trace if trace.written else replace(trace, **values)

    def of(derivation: Derivation) -> Derivation:
        return replace(
            derivation,
            program=replace(derivation.program, traces=tuple(map(changed, derivation.program.traces))),
        )

    return of


def _of_products(change: Callable[[Product], Product], target: str) -> Change:
    """A change of the first product of an expression."""

    def of(derivation: Derivation) -> Derivation:
        expressions = [
            Expression(each.target, (change(each.products[0]), *each.products[1:])) if each.target == target else each
            for each in derivation.program.expressions
        ]
        return replace(derivation, program=replace(derivation.program, expressions=tuple(expressions)))

    return of


MUTANTS: dict[str, Change] = {
    "sign": _of_products(lambda each: replace(each, scale=-each.scale), "t"),
    "scale": _of_products(lambda each: replace(each, scale=each.scale * 1.01), "t"),
    "scale of the last product": _of_products(lambda each: replace(each, scale=each.scale * 0.99), "w"),
    "other trace": _of_expressions(lambda text: re.sub(r"\by1\b", "y2", text)),
    "input in place of the trace": _of_expressions(lambda text: re.sub(r"\bx1\b", "x0", text)),
    "decay": _of_traces(decay=0.55),
    "impulse": _of_traces(impulse=1.01),
    "tag not cleared": _of_expressions(lambda text: text.replace(" - u0 * y3 * t", "")),
    "decimation": _of_products(lambda each: replace(each, dependency="u1"), "t"),
    "bias": lambda each: replace(each, bias=replace(each.bias, expressions=each.bias.expressions[:1])),
}


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.parametrize("network", ["feed-forward", "recurrent"])
def test_an_expression_with_a_mistake_is_noticed(network: str, mutant: str) -> None:
    expected = by_rule(network, "dfa", {})
    assert distance(by_program(network, "dfa", {}, change=MUTANTS[mutant]), expected) > 1e-4


def test_the_slope_that_neurons_write_counts() -> None:
    def error_alone(derivation: Derivation) -> Derivation:
        written = [
            replace(each, factors=tuple(factor for factor in each.factors if factor.name != "slope"))
            for each in derivation.written
        ]
        return replace(derivation, written=tuple(written))

    expected = by_rule("feed-forward", "dfa", {})
    assert distance(by_program("feed-forward", "dfa", {}, change=error_alone), expected) > 1e-2


def test_with_the_bits_of_the_chip_weights_are_near_and_on_the_grid() -> None:
    precision = Precision.of(chips.chip("loihi"), bounds={"w": 4.0, "t": 1.0, "y1": 0.5, "y2": 0.5}, seed=1)
    weights = by_program("feed-forward", "dfa", {}, precision=precision)
    expected = by_rule("feed-forward", "dfa", {})
    quantum = 4.0 / 256 * 1.0
    for weight in weights:
        steps = weight / (2 * quantum / 2)
        assert torch.equal(steps, steps.round())
    assert 0.0 < distance(weights, expected) < 0.3
    again = by_program("feed-forward", "dfa", {}, precision=precision)
    assert distance(weights, again) == 0.0


def test_refuses_by_name() -> None:
    model, rule = made("feed-forward", "dfa", {})
    derivations = verdict_of(rule, setting("sequence")).derivations
    with pytest.raises(RequestError, match=r"derivations of the layers 0, 2; expected those of 0, 2, 4"):
        ProgramTraining(rule, derivations[:2])
    training = ProgramTraining(rule, derivations)
    with pytest.raises(RequestError, match=r"call rule\.backward first"):
        training.step()
    rule.forward(torch.ones(STEPS, 2, 6).double())
    backward(rule, torch.tensor([0, 1]))
    with pytest.raises(RequestError, match=r"error of shape \(5, 2, 8\); expected \(T, 1, out\)"):
        training.step()
    assert model[0].weight.shape == (8, 6)


def test_a_second_bias_is_refused() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8), nn.LIF()), nn.Linear(8, CLASSES))
    rule = rules.dfa(model)
    with pytest.raises(UnsupportedError, match="has a bias beside that of its layer"):
        ProgramTraining(rule, verdict_of(rule, Setting()).derivations)
