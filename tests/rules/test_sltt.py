"""`sltt` against a loop over time without derivative through time and without traces; its limit, and SLTT-K."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning import ErrorCode, Online, Rule, TransposedFeedback
from onchip.nn.signals import Static
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled
from tests.oracle import run_steps
from tests.stacks import STACKS


def dense(**options: Any) -> nn.Sequential:
    layers = [nn.Linear(5, 7), nn.LIF(**options), nn.Linear(7, 6), nn.LIF(**options), nn.Linear(6, 3)]
    return scaled(nn.Sequential(*layers), 3.0).double()


@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("case", STACKS, ids=lambda case: case.name)
def test_sltt_is_its_formula(case: Case, static: bool) -> None:
    model, frames = case.build(), case.signal()
    signal = Static(2 * frames[0], len(frames)) if static else frames
    if isinstance(signal, Static):
        frames = signal.expand()
    loss_of(run_steps(model, frames, online=True, traced=False)).backward()
    formula = gradients(model)
    model.zero_grad()
    rule = rules.sltt(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula)


def test_without_memory_it_is_bp_and_with_memory_it_is_not() -> None:
    frames = torch.rand(5, 4, 5, dtype=torch.float64)
    for decay in (0.0, 0.5):
        model = dense(decay=decay)
        seen = []
        for make in (rules.bp, rules.sltt):
            rule = make(model)
            rule.backward(loss_of(rule.forward(frames)))
            seen.append(gradients(model))
            model.zero_grad()
            rule.detach()
        if decay:
            assert not torch.allclose(seen[0]["2.weight"], seen[1]["2.weight"])
        else:
            agree(seen[0], seen[1])


def uneven(output: Tensor) -> Tensor:
    """A loss in which no two pairs of steps have errors with the same sum."""
    steps = torch.arange(1, len(output) + 1, dtype=output.dtype).square()
    return loss_of(output * steps.view(-1, 1, 1))


def at_steps(model: nn.Sequential, frames: Tensor, steps: tuple[int, ...]) -> dict[str, Tensor]:
    """Gradients of the part of the loss that these steps contribute, without derivatives through time."""
    output = run_steps(model, frames, online=True, traced=False)
    (error,) = torch.autograd.grad(uneven(output), output, retain_graph=True)
    torch.autograd.backward([output[step] for step in steps], [error[step] for step in steps])
    found = gradients(model)
    model.zero_grad()
    return found


@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("build", [dense, lambda: nn.Sequential(nn.Linear(5, 3)).double()], ids=["deep", "readout"])
def test_with_steps_it_learns_at_that_many_steps_alone(build: Callable[[], nn.Sequential], static: bool) -> None:
    model = build()
    frames = torch.rand(4, 3, 5, dtype=torch.float64)
    signal = Static(frames[0], 4) if static else frames
    if static:
        frames = frames[:1].expand(4, 3, 5)
    choices = {pair: at_steps(model, frames, pair) for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))}
    rule, seen = rules.sltt(model, steps=2), set()
    for _ in range(40):
        rule.backward(uneven(rule.forward(signal)))
        found = gradients(model)
        model.zero_grad()
        fitting = [
            pair
            for pair, expected in choices.items()
            if all(torch.allclose(found[name], expected[name], rtol=1e-9, atol=1e-12) for name in expected)
        ]
        assert len(fitting) == 1, "the steps are the same in all layers, and there are two"
        seen.update(fitting)
    assert seen == set(choices)


def test_no_more_steps_than_the_sequence_has() -> None:
    model, frames = dense(), torch.rand(4, 3, 5, dtype=torch.float64)
    rule = rules.sltt(model, steps=9)
    rule.backward(uneven(rule.forward(frames)))
    found = gradients(model)
    model.zero_grad()
    agree(found, at_steps(model, frames, (0, 1, 2, 3)))


def test_other_steps_cost_no_operation() -> None:
    model, frames = dense(), torch.rand(8, 3, 5, dtype=torch.float64)
    operations = []
    for steps in (2, None):
        rule, ledger = rules.sltt(model, steps=steps), Ledger()
        rule.observe(ledger)
        rule.backward(loss_of(rule.forward(frames)))
        rule.detach()
        operations.append(ledger.summary()["operations_error"])
    assert operations[0] == operations[1] / 4 > 0


def test_refusals() -> None:
    model = CASES[0].build()
    for steps in (0, -1):
        with pytest.raises(RequestError, match=rf"RandomSteps got count={steps}; expected at least 1 time step"):
            rules.sltt(model, steps=steps)
    rule = rules.sltt(model, steps=2)
    with pytest.raises(UnsupportedError, match="sltt cannot stream"):
        next(rule.stream(CASES[0].signal()))
    assert not rule.claims.online
    assert rule.claims.temporally_causal
    for case in CASES:
        if case.name.startswith(("ttfs", "stream")):
            with pytest.raises(UnsupportedError, match="sltt cannot train"):
                rules.sltt(case.build())


class Doubled(ErrorCode):
    def carry(self, delta: Tensor, depth: int) -> Tensor:
        return 2.0 * delta


def test_a_code_of_real_errors_is_used_for_static_images_too() -> None:
    """The first layer's update of a static image has a path of its own, which leaves the errors unwritten."""
    image, seen = torch.rand(3, 5, dtype=torch.float64), []
    model = dense()
    for signal in (Static(image, 4), image.expand(4, 3, 5)):
        rule = Rule("doubled", model, feedback=TransposedFeedback(), temporal=Online(), code=Doubled())
        rule.backward(loss_of(rule.forward(signal)))
        seen.append(gradients(model))
        model.zero_grad()
        rule.detach()
    agree(seen[0], seen[1])
