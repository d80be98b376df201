"""A derived program, run by hand, changes weights as the rule does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.chips import Chip, Program, chip, read_chip
from onchip.chips.engine import refusals
from onchip.diagnostics.factors import FactorRecorder
from onchip.errors import UnsupportedError
from onchip.learning.description import PostFactor, SynapseDescription, Term, UpdateForm
from onchip.learning.observers import Observer, ProductKind
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.mapping import Derivation, Setting, derive
from onchip.nn.synapses.product import SynapticProduct
from tests.cases import learn, scaled, spikes

STEPS, LR = 6, 0.0123
SETTING = Setting(steps=STEPS, lr=LR)
LOIHI = chip("loihi")
UNLIMITED = read_chip(
    b"name = 'u'\ntitle = 'u'\n[engine]\ngrammar = { value = 'programmable', source = 's' }\n"
    b"sequence = { value = true, source = 's' }\n[traces]\nsigned = { value = true, source = 's' }\n",
    "u.toml",
)


def network(**neuron: Any) -> nn.Sequential:
    layers = [nn.Linear(6, 8), nn.LIF(decay=0.7, **neuron), nn.Linear(8, 7), nn.LIF(decay=0.3), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 2.0).double()


class Inputs(Observer):
    """What enters each layer, (T, in)."""

    def __init__(self) -> None:
        self.layers: dict[str, Tensor] = {}

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        if kind == "forward" and product.pre is not None:
            self.layers[layer] = product.pre.clone()


def run(program: Program, rows: Tensor, posts: Mapping[str, Tensor], units: int) -> Tensor:
    """The change of weights (out, in) by a program, time step after time step, in plain loops."""
    state = {
        trace.name: torch.zeros(rows.shape[1] if trace.name[0] == "x" else units).double() for trace in program.traces
    }
    variables = {name: torch.zeros(units, rows.shape[1]).double() for name in ("w", "t")}
    for t, row in enumerate(rows):
        for trace in program.traces:
            now = posts[trace.name][t] if trace.written else trace.impulse * row
            state[trace.name] = now if trace.written else trace.decay * state[trace.name] + now
        values = {**state, **variables, "x0": row}
        changes = {}
        for expression in program.expressions:
            total = torch.zeros(units, rows.shape[1]).double()
            for product in expression.products:
                term = torch.full_like(total, product.scale)
                if product.dependency == "x0":
                    term = term * (row != 0)
                for factor in product.factors:
                    value = values[factor.variable] + factor.plus
                    term = term * (value.unsqueeze(1) if factor.variable[0] == "y" else value)
                total += term
            changes[expression.target] = total
        for target, change in changes.items():
            variables[target] = variables[target] + change
    return variables["w"]


def written(derivation: Derivation, error: Tensor, local: Tensor | None) -> dict[str, Tensor]:
    """What neurons write at each time step, (T + 1, out), from the error and the slope (T, out)."""
    slope = torch.ones_like(error) if local is None else local
    values = {}
    for each in derivation.written:
        if each.part == "gate":
            values[each.trace] = torch.zeros(STEPS + 1, error.shape[1]).double()
            values[each.trace][-1] = 1.0
            continue
        value = torch.full_like(error, each.gain)
        for factor in each.factors:
            value = value * late(factor, {"error": error, "slope": slope}[factor.name])
        value = torch.cat([value, torch.zeros_like(value[:1])])  # the closing time step
        parts: dict[str, Callable[[Tensor], Tensor]] = {
            "positive": lambda x: x.clamp(min=0),
            "negative": lambda x: (-x).clamp(min=0),
            "signed": lambda x: x,
            "offset": lambda x: x + 1,
        }
        values[each.trace] = parts[each.part](value)
    return values


def late(factor: PostFactor, values: Tensor) -> Tensor:
    if factor.trace is not None:
        traced, rows = torch.zeros_like(values[0]), []
        for row in values:
            traced = factor.trace * traced + row
            rows.append(traced)
        values = torch.stack(rows)
    for _ in range(factor.delay):
        values = torch.cat([torch.zeros_like(values[:1]), values[:-1]])
    return values


def recorded(rule: Rule, twin: Rule | None = None) -> tuple[dict[str, Tensor], FactorRecorder]:
    """Inputs of the layers, and errors and slopes; of a twin with the same feedback where a rule shows none."""
    inputs, factors = Inputs(), FactorRecorder()
    signal = spikes(STEPS, 1, 6).double()
    torch.manual_seed(0)
    rule.observe(inputs)
    if twin is None:
        rule.observe_factors(factors)
    rule.forward(signal)
    learn(rule)
    if twin is not None:
        twin.load_state_dict(rule.state_dict())
        twin.observe_factors(factors)
        torch.manual_seed(0)
        twin.forward(signal)
        learn(twin)
    return inputs.layers, factors


RULES: list[tuple[str, dict[str, Any]]] = [
    ("dfa", {}),
    ("drtp", {}),
    ("etlp", {}),
    ("eprop", {}),
    ("osttp", {}),
    ("decolle", {}),
    ("fa", {"temporal": Online()}),
    ("never", {"temporal": Online()}),
]
ANYWHERE: list[tuple[str, dict[str, Any]]] = [*RULES, ("ottt", {}), ("sltt", {}), ("ostl", {}), ("dkp", {})]


@pytest.mark.parametrize(
    ("name", "options", "engine"),
    [*((*each, LOIHI) for each in RULES), *((*each, UNLIMITED) for each in ANYWHERE)],
    ids=lambda value: getattr(value, "name", value if isinstance(value, str) else ""),
)
def test_weights_by_the_program_are_those_of_the_rule(name: str, options: dict[str, Any], engine: Chip) -> None:
    model = network()
    rule = getattr(rules, name)(model, **options)
    inputs, factors = recorded(rule)
    for synapse in rule.describe().synapses:
        if synapse.readout:
            continue
        assert_same(synapse, engine, model, inputs[synapse.layer], factors)


def test_the_rule_with_two_values_takes_traces_plus_one() -> None:
    options: dict[str, Any] = {"feedback": "dfa", "causal": 0.8, "noncausal": 0.3, "decay": 0.6, "post_decay": 0.4}
    model, other = network(), network()
    other.load_state_dict(model.state_dict())
    rule = rules.s_tllr(model, **options)
    inputs, factors = recorded(rule, rules.dfa(other))
    for synapse in rule.describe().synapses:
        if not synapse.readout:
            parts = assert_same(synapse, LOIHI, model, inputs[synapse.layer], factors)
            assert parts == ["offset", "offset", "gate"]


def assert_same(
    synapse: SynapseDescription, engine: Chip, model: nn.Sequential, rows: Tensor, factors: FactorRecorder
) -> list[str]:
    derivation = derive(synapse, engine, SETTING)
    assert list(refusals(derivation.program, engine)) == list(refusals(derivation.bias, engine)) == []
    found = factors.layers[synapse.layer]
    posts = written(derivation, found.error[:, 0], found.local[:, 0])
    closed = torch.cat([rows, torch.zeros_like(rows[:1])])
    if derivation.timing != "closing time step":
        closed = rows
    layer = model.get_submodule(synapse.layer)
    assert isinstance(layer, nn.Linear)
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    change = run(derivation.program, closed, posts, synapse.shape[0])
    assert layer.weight.grad.abs().max() > 1e-3
    torch.testing.assert_close(change, -LR * layer.weight.grad, atol=1e-12, rtol=1e-9)
    always = torch.ones(len(closed), 1).double()
    bias = run(derivation.bias, always, posts, synapse.shape[0])[:, 0]
    torch.testing.assert_close(bias, -LR * layer.bias.grad, atol=1e-12, rtol=1e-9)
    return [each.part for each in derivation.written]


def described(terms: Sequence[Term], **update: Any) -> SynapseDescription:
    form = UpdateForm(tuple(terms), tuple(terms), update.pop("history", "traces"), **update)
    return SynapseDescription(
        "1", "Linear", (4, 3), shared=False, recurrent=False, neuron="LIF", signal="time steps", readout=False,
        surrogate="Sigmoid(slope=4.0)", update=form, paths=(),
    )  # fmt: skip


ERROR, SLOPE = PostFactor("error"), PostFactor("slope")


@pytest.mark.parametrize("decays", [(0.9, 0.4), (0.4, 0.9), (0.8, 0.0)])
def test_two_filters_in_series_are_a_difference_of_traces(decays: tuple[float, float]) -> None:
    derivation = derive(described([Term(1.0, decays, (ERROR, SLOPE))]), LOIHI, SETTING)
    torch.manual_seed(0)
    rows, error = spikes(STEPS, 1, 3).double()[:, 0], torch.randn(STEPS, 4).double()
    filtered, states = torch.zeros(STEPS, 3).double(), [torch.zeros(3).double()] * 2
    for t, row in enumerate(rows):
        states[0] = decays[0] * states[0] + row
        states[1] = decays[1] * states[1] + states[0]
        filtered[t] = states[1]
    posts = written(derivation, error, None)
    change = run(derivation.program, torch.cat([rows, rows[:1] * 0]), posts, 4)
    torch.testing.assert_close(change, -LR * torch.einsum("to,ti->oi", error, filtered))


def test_an_eligibility_that_is_filtered_again_lives_in_the_tag() -> None:
    derivation = derive(described([Term(1.0, (0.5,), (ERROR, SLOPE), (0.75,))]), LOIHI, Setting(steps=STEPS, lr=2**-7))
    assert str(derivation.program).splitlines()[1:] == [
        "y1[t] = ψ",
        "y2[t] = max(e, 0)",
        "y3[t] = max(-e, 0)",
        "dw = -3 * 2^-9 * u0 * t * y2 - 2^-7 * u0 * x1 * y1 * y2 + 3 * 2^-9 * u0 * t * y3 + 2^-7 * u0 * x1 * y1 * y3",
        "dt = u0 * x1 * y1 - 2^-2 * u0 * t",
    ]
    assert derivation.timing == "every time step"
    torch.manual_seed(0)
    rows = spikes(STEPS, 1, 3).double()[:, 0]
    error, local = torch.randn(STEPS, 4).double(), torch.rand(STEPS, 4).double()
    trace, state, expected = torch.zeros(3).double(), torch.zeros(4, 3).double(), torch.zeros(4, 3).double()
    for t, row in enumerate(rows):
        trace = 0.5 * trace + row
        state = 0.75 * state + local[t].unsqueeze(1) * trace
        expected -= 2**-7 * error[t].unsqueeze(1) * state
    change = run(derivation.program, rows, written(derivation, error, local), 4)
    torch.testing.assert_close(change, expected)


def test_a_product_of_sums_is_formed_at_the_last_time_step() -> None:
    term = Term(1.0, (), (PostFactor("error sum"),), input_mean=True)
    derivation = derive(described([term], per_sequence=True), LOIHI, Setting(steps=4, lr=0.25))
    assert str(derivation.program).splitlines() == [
        "x1[t] = 1 * x1[t-1] + 2^-2 * x0[t]",
        "y1[t] = max(Σψ·e, 0) at the last time step, else 0",
        "y2[t] = max(-Σψ·e, 0) at the last time step, else 0",
        "dw = -2^-2 * u0 * x1 * y1 + 2^-2 * u0 * x1 * y2",
    ]
    assert derivation.timing == "last time step"


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "no sum of products"),
        ([Term(1.0, (0.5, 0.5), (ERROR,))], "2 leaky filters in series with decays 0.5, 0.5"),
        ([Term(1.0, (0.5, 0.4, 0.3), (ERROR,))], "3 leaky filters"),
        ([Term(1.0, (0.5,), (ERROR, SLOPE), (0.9, 0.8))], "several states per synapse"),
        ([Term(1.0, (d,), (ERROR,)) for d in (0.5, 0.6, 0.7)], "more than 2 traces"),
        ([Term(1.0, (0.5,), (ERROR, PostFactor("slope", d))) for d in (0.5, 0.6, 0.7)], "4 values"),
    ],
)
def test_updates_that_traces_cannot_give(terms: list[Term], message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        derive(described(terms), LOIHI, SETTING)
