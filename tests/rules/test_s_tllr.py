"""S-TLLR against loops over time that keep a trace of each side of a synapse; its limits, and streams."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.diagnostics import FactorRecorder
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal, Static
from tests.cases import CASES, agree, gradients, loss_of, scaled
from tests.oracle import slope_of

FEEDBACK = pytest.mark.parametrize("feedback", ["bp", "dfa"])


def dense(neuron: Callable[[], nn.LIF] = nn.LIF) -> nn.Sequential:
    layers = [nn.Linear(5, 7), neuron(), nn.Linear(7, 6), neuron(), nn.Linear(6, 3)]
    return scaled(nn.Sequential(*layers), 3.0).double()


def frames_of(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def run(layer: Any, neuron: nn.LIF, inputs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Spikes and surrogate derivatives of a layer at each step, by hand."""
    constants, spikes, slopes = neuron.membrane(), [], []
    membrane = torch.zeros_like(layer(inputs[0]))
    for x in inputs:
        u = constants.decay * membrane + layer(x)
        s = (u >= constants.threshold).to(u)
        membrane = u * (1 - s) if constants.hard else u - constants.threshold * s
        spikes.append(s)
        slopes.append(slope_of(neuron.surrogate, u - constants.threshold))
    return spikes, slopes


def updates(
    inputs: list[Tensor],
    errors: list[Tensor],
    slopes: list[Tensor],
    product: Callable[[Tensor, Tensor], Tensor],
    options: dict[str, Any],
) -> Tensor:
    """sum_t g[t] (α ψ[t] a[t] + β x[t] p[t-1]) for a product of a presynaptic and a postsynaptic tensor."""
    a, p, terms = torch.zeros_like(inputs[0]), torch.zeros_like(slopes[0]), []
    for x, g, slope in zip(inputs, errors, slopes, strict=True):
        a = options["decay"] * a + x
        terms += [product(a, options["causal"] * g * slope), product(x, options["noncausal"] * g * p)]
        p = options["post_decay"] * p + slope
    return torch.stack(terms).sum(0)


OPTIONS: list[dict[str, Any]] = [
    {"causal": 1.0, "noncausal": -1.0, "decay": 0.75, "post_decay": 0.2},
    {"causal": 0.5, "noncausal": 0.7, "decay": 1.0, "post_decay": 0.9},
    {"causal": 0.0, "noncausal": 1.0, "decay": 0.0, "post_decay": 1.0},
]


@FEEDBACK
@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("neuron", [nn.LIF, nn.IF, lambda: nn.LIF(reset="hard", decay=0.8, threshold=0.7)])
def test_it_is_its_formula(neuron: Callable[[], nn.LIF], options: dict[str, Any], static: bool, feedback: Any) -> None:
    model, frames = dense(neuron), frames_of(6, 4, 5)
    signal: Signal = Static(frames[0], 6) if static else frames
    inputs = [*frames] if not static else [frames[0]] * 6
    rule = rules.s_tllr(model, feedback=feedback, **options)
    output = rule.forward(signal)
    rule.backward(loss_of(output))
    ours = gradients(model)
    model.zero_grad()

    layers: Any = [*model]
    first, one, second, two, last = layers
    hidden, slopes = run(first, one, inputs)
    top, upper_slopes = run(second, two, hidden)
    out = torch.stack([last(s) for s in top]).detach().requires_grad_()
    agree({"out": output.detach()}, {"out": out.detach()})
    (error,) = torch.autograd.grad(loss_of(out), out)
    if feedback == "bp":
        at_top = [e @ last.weight.detach() for e in error]
        below = [(g * slope) @ second.weight.detach() for g, slope in zip(at_top, upper_slopes, strict=True)]
    else:
        state = rule.state_dict()
        at_top, below = [[e @ state[f"direct_{index}"].t() for e in error] for index in (2, 1)]

    def outer(pre: Tensor, post: Tensor) -> Tensor:
        return post.t() @ pre

    agree(
        ours,
        {
            "0.weight": updates(inputs, below, slopes, outer, options),
            "0.bias": options["causal"] * (torch.stack([*below]) * torch.stack(slopes)).sum((0, 1)),
            "2.weight": updates(hidden, at_top, upper_slopes, outer, options),
            "2.bias": options["causal"] * (torch.stack([*at_top]) * torch.stack(upper_slopes)).sum((0, 1)),
            "4.weight": torch.stack([outer(s, e) for s, e in zip(top, error, strict=True)]).sum(0),
            "4.bias": error.sum((0, 1)),
        },
    )


@pytest.mark.parametrize("side", [2, 3], ids=["fused", "ragged"])
def test_a_convolution_with_a_pool_is_its_formula(side: int) -> None:
    """Errors are spread over each pool, and the trace of the neurons has the size of the map before it."""
    size = 8 if side == 2 else 9
    inputs = 4 * ((size - 2) // side) ** 2
    layers = [nn.Conv2d(2, 4, 3), nn.LIF(), nn.AvgPool2d(side), nn.Flatten(), nn.Linear(inputs, 3)]
    model, options = scaled(nn.Sequential(*layers), 3.0).double(), OPTIONS[0]
    frames = [*(torch.rand(5, 3, 2, size, size) < 0.5).double()]
    rule = rules.s_tllr(model, **options)
    output = rule.forward(torch.stack(frames))
    rule.backward(loss_of(output))
    parts: Any = [*model]
    conv, neuron, pool, flat, last = parts
    spikes, slopes = run(conv, neuron, frames)
    errors = []
    (error,) = torch.autograd.grad(loss_of(out := output.detach().requires_grad_()), out)
    for s, e in zip(spikes, error, strict=True):
        s = s.detach().requires_grad_()
        errors.append(torch.autograd.grad(last(flat(pool(s))), s, e)[0])

    def correlated(pre: Tensor, post: Tensor) -> Tensor:
        weight = torch.zeros_like(conv.weight, requires_grad=True)
        return torch.autograd.grad(F.conv2d(pre, weight), weight, post)[0]

    found = gradients(model)
    agree({"w": found["0.weight"]}, {"w": updates(frames, errors, slopes, correlated, options).detach()})


@FEEDBACK
@pytest.mark.parametrize("neuron", [nn.LIF, nn.IF, nn.ALIF, nn.CubaLIF, lambda: nn.LIF(learn_decay=True)])
def test_without_the_other_side_it_is_ottt_or_dfa(neuron: Callable[[], nn.LIF], feedback: Any) -> None:
    model, frames = dense(neuron), frames_of(6, 4, 5)
    other = rules.ottt if feedback == "bp" else rules.dfa
    seen = []
    for make in (other, lambda model: rules.s_tllr(model, feedback=feedback, noncausal=0.0)):
        rule = make(model)
        torch.manual_seed(1)
        rule.backward(loss_of(rule.forward(frames)))
        seen.append(gradients(model))
        model.zero_grad()
        rule.detach()
    agree(seen[0], seen[1])


@FEEDBACK
@pytest.mark.parametrize("kind", ["static", "spikes"])
@pytest.mark.parametrize("neuron", [nn.LIF, nn.IF, lambda: nn.LIF(learn_decay=True), lambda: nn.LIF(reset="hard")])
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.AvgPool2d(3), nn.MaxPool2d(2)], ids=["fused", "ragged", "max"])
def test_a_stream_is_the_whole_sequence(
    neuron: Callable[[], nn.LIF], pool: torch.nn.Module, kind: str, feedback: Any
) -> None:
    side = 1 if isinstance(pool, nn.AvgPool2d) and pool.kernel_size == 3 else 2
    layers = [nn.Conv2d(2, 4, 3), neuron(), pool, nn.Flatten(), nn.Linear(4 * side**2, 8), neuron(), nn.Linear(8, 3)]
    model = scaled(nn.Sequential(*layers), 3.0).double()
    frames = (torch.rand(6, 3, 2, 6, 6) < 0.5).double()
    signal: Signal = frames if kind == "spikes" else Static(torch.rand(3, 2, 6, 6).double(), 6)
    rule = rules.s_tllr(model, feedback=feedback, **OPTIONS[1])
    rule.backward(rule.forward(signal).square().sum())
    expected = gradients(model)
    model.zero_grad()
    for output in rule.stream(signal):
        rule.backward(output.square().sum())
    agree(gradients(model), expected)
    assert all(bool(gradient.any()) for gradient in expected.values())


def test_a_decay_for_all_synapses_serves_neurons_that_differ_in_theirs() -> None:
    decays = torch.linspace(0.3, 0.9, 7, dtype=torch.float64)
    layers = [nn.Linear(5, 7), nn.LIF(decay=decays), nn.Linear(7, 3)]
    model, frames = scaled(nn.Sequential(*layers), 3.0).double(), frames_of(6, 4, 5)
    with pytest.raises(UnsupportedError, match="s_tllr cannot train layer '0': LIF"):
        rules.s_tllr(model)
    rule = rules.s_tllr(model, decay=0.75)
    rule.backward(rule.forward(frames).square().sum())
    expected = gradients(model)
    model.zero_grad()
    for output in rule.stream(frames):
        rule.backward(output.square().sum())
    agree(gradients(model), expected)


def recurrent() -> nn.Sequential:
    inner = nn.Recurrent(nn.Linear(7, 7), nn.LIF())
    return scaled(nn.Sequential(nn.Linear(5, 7), inner, nn.Linear(7, 3)), 3.0).double()


def test_recurrent_weights_have_the_neurons_own_spikes_one_step_earlier_as_input() -> None:
    model, frames, options = recurrent(), frames_of(6, 4, 5), OPTIONS[0]
    rule = rules.s_tllr(model, **options)
    output = rule.forward(frames)
    rule.backward(loss_of(output))
    parts: Any = [*model]
    first, inner, neuron, last = parts[0], parts[1].recurrent, parts[1].neuron, parts[2]
    spikes: list[Tensor] = []
    slopes: list[Tensor] = []
    arriving = [torch.zeros(4, 7, dtype=torch.float64)]
    membrane = torch.zeros(4, 7, dtype=torch.float64)
    for x in frames:
        u = 0.5 * membrane + first(x) + inner(arriving[-1])
        s = (u >= 1.0).double()
        membrane = u - s
        spikes.append(s)
        arriving.append(s)
        slopes.append(slope_of(neuron.surrogate, u - 1.0))
    out = torch.stack([last(s) for s in spikes]).detach().requires_grad_()
    agree({"out": output.detach()}, {"out": out.detach()})
    errors = [e @ last.weight.detach() for e in torch.autograd.grad(loss_of(out), out)[0]]

    def outer(pre: Tensor, post: Tensor) -> Tensor:
        return (post.t() @ pre).detach()

    found = gradients(model)
    expected = {
        "0.weight": updates([*frames], errors, slopes, outer, options),
        "1.recurrent.weight": updates(arriving[:-1], errors, slopes, outer, options),
    }
    agree({name: found[name] for name in expected}, expected)
    model.zero_grad()
    slope = torch.autograd.grad(loss_of(out), out)[0]
    for t, now in enumerate(rule.stream(frames)):
        rule.backward((now * slope[t : t + 1]).sum())
    agree(gradients(model), found)


def test_errors_at_the_last_steps_alone() -> None:
    model, frames = dense(), frames_of(7, 4, 5)
    rule = rules.s_tllr(model)
    rule.backward(late(rule.forward(frames), 2))
    expected = gradients(model)
    model.zero_grad()
    rule.detach()
    for feedback in ("bp", "dfa"):
        rule = rules.s_tllr(model, last=2)
        rule.backward(loss_of(rule.forward(frames)))
        if feedback == "bp":
            agree(gradients(model), expected)
        assert not rule.claims.online
        with pytest.raises(UnsupportedError, match="s_tllr cannot stream"):
            next(rule.stream(frames))
        model.zero_grad()
        rule.detach()
    rule = rules.s_tllr(model, last=9)
    rule.backward(loss_of(rule.forward(frames)))
    every = gradients(model)
    model.zero_grad()
    rule.detach()
    rule = rules.s_tllr(model)
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), every)


def late(output: Tensor, steps: int) -> Tensor:
    """The part of the loss whose error is at the last steps."""
    (error,) = torch.autograd.grad(loss_of(out := output.detach().requires_grad_()), out)
    return (output * error)[-steps:].sum()


def test_two_products_per_synapse_and_step() -> None:
    bills = []
    for make in (rules.ottt, rules.s_tllr):
        model, ledger = dense(), Ledger()
        rule: Rule = make(model)
        rule.observe(ledger)
        rule.backward(loss_of(rule.forward(frames_of(6, 4, 5))))
        rule.step()
        bills.append(ledger.summary())
    one, two = bills
    assert two["products_update"] - one["products_update"] == 24 * (5 * 7 + 7 * 6)
    assert two["products_error"] == one["products_error"]
    assert two["stored_activity"] - one["stored_activity"] == 24 * (5 + 7 + 7 + 6)


def test_refusals() -> None:
    for case in CASES:
        if case.name.startswith(("ttfs", "stream")):
            with pytest.raises(UnsupportedError, match="s_tllr cannot train"):
                rules.s_tllr(case.build())
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"causal": math.inf}, "causal=inf; expected a finite"),
        ({"noncausal": math.nan}, "noncausal=nan; expected a finite"),
        ({"decay": 1.5}, "decay=1.5; expected a number in"),
        ({"post_decay": -0.1}, "post_decay=-0.1; expected a number in"),
        ({"last": 0}, "last=0; expected at least 1 time step"),
    ]
    for options, message in wrong:
        with pytest.raises(RequestError, match=f"s_tllr got {message}"):
            rules.s_tllr(dense(), **options)
    with pytest.raises(RequestError, match="feedback"):
        rules.s_tllr(dense(), feedback="fa")  # type: ignore[arg-type]
    rule = rules.s_tllr(dense())
    with pytest.raises(UnsupportedError, match=r"s_tllr has no three-factor form .* meet two traces"):
        rule.observe_factors(FactorRecorder())


def test_the_last_steps_of_sequences_of_unequal_length_are_refused() -> None:
    frames, lengths = frames_of(5, 3, 5), torch.tensor([5, 3, 4])
    for last in (None, 2):
        rule = rules.s_tllr(dense(), last=last)
        if last is None:
            rule.forward(frames, lengths)
        else:
            with pytest.raises(UnsupportedError, match=r"s_tllr counts time steps from the end .* Use labels \(T, B\)"):
                rule.forward(frames, lengths)
            rule.forward(frames, torch.tensor([5, 5, 5]))
