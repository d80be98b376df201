"""Feedback weights that learn from the neurons' own noise come to the forward weights they never read."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.encoding import RandomPhase
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from onchip.losses import StepLoss

LOSS = StepLoss(mix=0.0)


def dense() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(12, 16), nn.Stochastic(), nn.Linear(16, 8), nn.Stochastic()]
    return awake(nn.Sequential(*layers, nn.Linear(8, 4), nn.MeanReadout()))


def conv(**options: int) -> nn.Sequential:
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 4, 3, padding=1), nn.Stochastic(), nn.AvgPool2d(2)]
    second = [nn.Conv2d(4, 6, 3, padding=1, **options), nn.Stochastic(), nn.Flatten()]  # type: ignore[arg-type]
    side = second[0](torch.zeros(1, 4, 6, 6)).shape[-1]
    return awake(nn.Sequential(*first, *second, nn.Linear(6 * side * side, 4), nn.MeanReadout()))


def awake(model: nn.Sequential) -> nn.Sequential:
    """Neurons that are neither silent nor saturated make noise."""
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Linear | nn.Conv2d):
                assert layer.bias is not None
                layer.bias.fill_(0.4)
    return model


def watch(rule: Rule, images: Tensor, steps: int) -> None:
    """Training steps with weights held still."""
    labels = torch.randint(0, 4, (len(images),))
    for _ in range(steps):
        rule.backward(LOSS(rule.forward(RandomPhase(8)(images)), labels))
        rule.step()


def feedback(rule: Rule, index: int) -> Tensor:
    state = rule.state_dict()
    product, squares = state[f"product_{index}"], state[f"variance_{index}"]
    return product / squares.repeat_interleave(len(product) // len(squares), 0)


@pytest.mark.parametrize(
    ("build", "shape"),
    [(dense, (12,)), (conv, (1, 12, 12)), (lambda: conv(groups=2), (1, 12, 12)), (lambda: conv(stride=2), (1, 12, 12))],
    ids=["dense", "conv", "groups", "stride"],
)
def test_feedback_weights_come_to_the_weights_in_size_and_direction(build: object, shape: tuple[int, ...]) -> None:
    model = build()  # type: ignore[operator]
    rule = rules.own_noise_mirror(model, decay=0.98)
    watch(rule, torch.rand(64, *shape), 150)
    for index, stage in enumerate(rule.layers[1:], start=1):
        found, truth = feedback(rule, index), stage.weight
        # Half of the weights' own norm would already be lost if noise of the other inputs were let in.
        assert (found - truth).norm() < 0.25 * truth.norm(), index


@pytest.mark.parametrize(("steps", "axis"), [(8, 0), (1, 1)])
def test_both_means_are_those_of_the_definition(steps: int, axis: int) -> None:
    """Noise and drive with means over time, samples and neurons of their own, so that no other axis will do."""
    rule = rules.own_noise_mirror(dense(), decay=0.75)
    probability, drive = torch.rand(steps, 5, 16), torch.randn(steps, 5, 8) * torch.rand(steps, 1, 8)
    fired = (torch.rand(steps, 5, 16) < probability).float()
    rule._feedback.fired(0, fired, probability)
    drive += torch.rand(5, 8)
    rule._feedback.at_drive(1, drive.clone())
    noise, response = (one - one.mean(axis, keepdim=True) for one in (fired - probability, drive))
    state = rule.state_dict()
    torch.testing.assert_close(state["product_1"], 0.25 * torch.einsum("tbo,tbi->oi", response, noise))
    torch.testing.assert_close(state["variance_1"], 0.25 * noise.square().sum((0, 1)).view(1, 16))


def test_the_feedback_is_what_errors_come_through() -> None:
    """With B = W put in, the update is that of `ssnn_bp` under the same draws."""
    images, labels = torch.rand(16, 12), torch.randint(0, 4, (16,))
    found = []
    for make in (rules.own_noise_mirror, rules.ssnn_bp):
        model = dense()
        rule = make(model)
        if make is rules.own_noise_mirror:
            state = rule.state_dict()
            for index, stage in enumerate(rule.layers[1:], start=1):
                state[f"variance_{index}"] = torch.full_like(state[f"variance_{index}"], 1e30)
                state[f"product_{index}"] = stage.weight.detach() * 1e30
            rule.load_state_dict(state)
        torch.manual_seed(7)
        rule.backward(LOSS(rule.forward(RandomPhase(8)(images)), labels))
        found.append([stage.module.weight.grad for stage in rule.layers])
    for one, other in zip(*found, strict=True):
        assert isinstance(one, Tensor)
        torch.testing.assert_close(one, other)


def test_it_begins_with_no_feedback_and_an_evaluation_teaches_it_nothing() -> None:
    model = dense()
    rule = rules.own_noise_mirror(model)
    model.eval()
    rule.forward(RandomPhase(8)(torch.rand(4, 12)))
    with torch.no_grad():
        model.train()
        rule.forward(RandomPhase(8)(torch.rand(4, 12)))
    assert not any(bool(buffer.any()) for buffer in rule.state_dict().values())


def test_no_weight_is_transported_and_what_is_learnt_is_booked() -> None:
    rule, ledger = rules.own_noise_mirror(dense()), Ledger()
    rule.observe(ledger)
    watch(rule, torch.rand(8, 12), 2)
    assert ledger.summary()["weights_transported"] == 0
    learnt = {stage for stage, what in ledger.products if what == "feedback_update"}
    assert learnt == {"2", "4"}


def test_a_decay_out_of_range_is_refused() -> None:
    for decay in (-0.1, 1.0):
        with pytest.raises(RequestError, match=r"own_noise_mirror got decay=.*; expected a share"):
            rules.own_noise_mirror(dense(), decay=decay)
