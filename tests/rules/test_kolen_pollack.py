"""Kolen-Pollack: B makes W's updates, both decay, and so their difference shrinks by an exact law."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=0.01),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.0),
}


def model_of(*, conv: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    if conv:
        layers = [nn.Conv2d(1, 4, 3), nn.LIF(threshold=0.3), nn.Conv2d(4, 6, 3), nn.LIF(threshold=0.3), nn.Flatten()]
        return nn.Sequential(*layers, nn.Linear(24, 3)).double()
    layers = [nn.Linear(36, 12), nn.LIF(threshold=0.3), nn.Linear(12, 8), nn.LIF(threshold=0.3)]
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(8, 3)).double()


def weight_of(model: nn.Sequential, place: int) -> Tensor:
    weight = model[place].weight
    assert isinstance(weight, Tensor)
    return weight


def signal_of(step: int) -> Static:
    generator = torch.Generator().manual_seed(step)
    return Static(torch.rand(3, 1, 6, 6, generator=generator, dtype=torch.float64), steps=4)


def differences(rule: Rule, model: nn.Sequential) -> list[Tensor]:
    """W - B of the second and third layer of weights."""
    weights = [module.weight.detach() for module in model if isinstance(module, (nn.Linear, nn.Conv2d))]
    state = rule.state_dict()
    return [weights[index] - state[f"feedback_{index}"] for index in (1, 2)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("conv", [False, True], ids=["linear", "conv"])
@given(decay=st.floats(0.0, 0.3))
@settings(max_examples=5, deadline=None)
def test_the_difference_shrinks_by_its_exact_law(conv: bool, optimizer: str, decay: float) -> None:
    model = model_of(conv=conv)
    before = [parameter.clone() for parameter in model.parameters()]
    rule = rules.kolen_pollack(model, decay=decay)
    first = differences(rule, model)
    trainer = OPTIMIZERS[optimizer](rule.parameters())
    for step in range(6):
        rule.backward(rule.forward(signal_of(step)).square().mean())
        trainer.step()
        trainer.zero_grad()
        rule.step()
    for begin, now in zip(first, differences(rule, model), strict=True):
        torch.testing.assert_close(now, (1.0 - decay) ** 6 * begin, rtol=1e-9, atol=1e-12)
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(moved)


def test_feedback_is_drawn_with_the_weights_spread_and_apart_from_them() -> None:
    model = nn.Sequential(nn.Linear(4, 100), nn.LIF(), nn.Linear(100, 100))
    weight, drawn = weight_of(model, 2).detach(), rules.kolen_pollack(model).state_dict()["feedback_1"]
    assert (drawn.norm() / weight.norm()).item() == pytest.approx(1.0, abs=0.05)
    assert abs(torch.corrcoef(torch.stack([drawn.flatten(), weight.flatten()]))[0, 1]) < 0.05


def gradients(model: nn.Sequential, rule: Rule) -> list[tuple[Tensor | None, Tensor | None]]:
    """Gradients of W and of its B, for the second and third layer of weights."""
    inner = [module.weight for module in model if isinstance(module, nn.Linear)][1:]
    feedback = [p for p in rule.parameters() if not any(p is own for own in model.parameters())]
    return [(w.grad, b.grad) for w, b in zip(inner, feedback, strict=True)]


@pytest.mark.parametrize("clear", ["model", "optimizer"])
def test_gradients_add_up_over_backward_passes_whoever_clears_them(clear: str) -> None:
    model = model_of()
    rule = rules.kolen_pollack(model)
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    for _ in range(2):
        for step in range(3):
            rule.backward(rule.forward(signal_of(step)).square().mean())
        for of_weight, of_feedback in gradients(model, rule):
            assert of_weight is not None
            assert of_feedback is not None
            assert of_weight is not of_feedback
            assert torch.equal(of_weight, of_feedback)
        (model if clear == "model" else optimizer).zero_grad()


def test_streaming_gives_feedback_the_same_gradients() -> None:
    model = model_of()
    rule = rules.kolen_pollack(model, temporal=Online())
    for output in rule.stream(signal_of(0)):
        rule.backward(output.square().mean())
    streamed = [b.clone() for _, b in gradients(model, rule) if b is not None]
    model.zero_grad()
    rule.backward(rule.forward(signal_of(0)).square().mean(dim=(1, 2)).sum())
    for (_, whole), one in zip(gradients(model, rule), streamed, strict=True):
        torch.testing.assert_close(whole, one)


def test_frozen_weights_neither_learn_nor_decay() -> None:
    model = model_of()
    weight_of(model, 3).requires_grad_(False)
    rule = rules.kolen_pollack(model, decay=0.1)
    before = [weight_of(model, 3).clone(), rule.state_dict()["feedback_1"].clone()]
    rule.backward(rule.forward(signal_of(0)).square().mean())
    torch.optim.SGD(rule.parameters(), lr=0.1).step()
    rule.step()
    assert torch.equal(weight_of(model, 3), before[0])
    assert torch.equal(rule.state_dict()["feedback_1"], before[1])


def test_the_bill_has_no_transport_and_two_updates_for_all_but_the_first_layer() -> None:
    bills = {}
    for make in (rules.fa, rules.kolen_pollack):
        rule, ledger = make(model_of()), Ledger()
        rule.observe(ledger)
        rule.backward(rule.forward(signal_of(0)).square().mean())
        rule.step()
        bills[make.__name__] = ledger
    one, two = bills["fa"].summary(), bills["kolen_pollack"].summary()
    assert two["weights_transported"] == two["weights_transported_initial"] == 0
    samples, steps = 3, 4
    assert two["products_update"] - one["products_update"] == samples * steps * (12 * 8 + 8 * 3)
    assert {key: two[key] for key in ("products_forward", "products_error")} == {
        key: one[key] for key in ("products_forward", "products_error")
    }


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(RequestError, match=rf"decay={decay}; expected .* \[0, 1\)"):
        rules.kolen_pollack(model_of(), decay=decay)
