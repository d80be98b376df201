"""Weight mirrors: B comes to W by looking at responses to noise, and at nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.rule import Rule


def model_of(*, groups: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 6, (3, 2), padding=2, stride=2, dilation=2, groups=groups)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.LIF(), conv, nn.LIF(), nn.Flatten(), nn.Linear(30, 20))


def inner(model: nn.Sequential) -> list[Tensor]:
    return [module.weight.detach() for module in model if isinstance(module, (nn.Linear, nn.Conv2d))][1:]


def mirrored(rule: Rule) -> list[Tensor]:
    state = rule.state_dict()
    return [state[f"feedback_{index}"] for index in (1, 2)]


@pytest.mark.parametrize("groups", [1, 2])
def test_feedback_aligns_with_the_weights_in_direction_and_norm(groups: int) -> None:
    model = model_of(groups=groups)
    rule = rules.weight_mirror(model, rate=0.05, samples=32)
    begin = [
        F.cosine_similarity(w.flatten(), b.flatten(), 0) for w, b in zip(inner(model), mirrored(rule), strict=True)
    ]
    for _ in range(200):
        rule.step()
    for weight, feedback, before in zip(inner(model), mirrored(rule), begin, strict=True):
        inputs = weight[0].numel()
        noise = (inputs + 1) * 0.05 / (32 * 1.95)
        cosine = F.cosine_similarity(weight.flatten(), feedback.flatten(), 0)
        assert abs(before) < 0.5
        assert cosine > 0.9
        assert cosine.item() == pytest.approx((1 + noise) ** -0.5, abs=0.02)
        assert (feedback.norm() / weight.norm()).item() == pytest.approx((1 + noise) ** 0.5, abs=0.05)


def test_one_noise_phase_is_the_published_update() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.LIF(), nn.Linear(5, 4)).double()
    rule = rules.weight_mirror(model, rate=0.3, samples=7)
    before, weight = rule.state_dict()["feedback_1"].clone(), inner(model)[0]
    torch.manual_seed(8)
    rule.step()
    torch.manual_seed(8)
    noise = torch.randn(7, 5, dtype=torch.float64)
    seen = sum(torch.outer(weight @ x, x) for x in noise) / 7
    torch.testing.assert_close(rule.state_dict()["feedback_1"], 0.7 * before + 0.3 * seen)


def test_a_convolution_is_probed_by_patches() -> None:
    model = model_of()
    rule = rules.weight_mirror(model, rate=1.0, samples=7)
    torch.manual_seed(8)
    rule.step()
    torch.manual_seed(8)
    noise, weight = torch.randn(7, 4, 3, 2), inner(model)[0]
    response = torch.einsum("ochw,nchw->no", weight, noise)
    torch.testing.assert_close(mirrored(rule)[0], torch.einsum("no,nchw->ochw", response, noise) / 7)


def test_noise_comes_once_a_period_and_its_products_are_booked() -> None:
    rule, ledger = rules.weight_mirror(model_of(), period=3, samples=5), Ledger()
    rule.observe(ledger)
    changed = []
    for _ in range(7):
        before = mirrored(rule)[1].clone()
        rule.step()
        changed.append(not torch.equal(before, mirrored(rule)[1]))
    assert changed == [False, False, True, False, False, True, False]
    bill = ledger.summary()
    assert bill["products_forward"] == bill["products_update"] == 2 * 5 * (6 * 4 * 3 * 2 + 30 * 20)
    assert bill["weights_transported"] == bill["weights_transported_initial"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": 0}, "period=0; expected at least 1"),
        ({"rate": 0.0}, r"rate=0.0; expected .* \(0, 1\]"),
        ({"rate": 1.5}, r"rate=1.5; expected .* \(0, 1\]"),
        ({"samples": 0}, "samples=0; expected at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        rules.weight_mirror(model_of(), **options)  # type: ignore[arg-type]


def test_a_restored_rule_has_its_noise_phase_in_the_same_step() -> None:
    rule = rules.weight_mirror(model_of(), period=3)
    for _ in range(2):
        rule.step()
    state, other = rule.state_dict(), rules.weight_mirror(model_of(), period=3)
    other.load_state_dict(state)
    before = [value.clone() for value in mirrored(other)]
    other.step()
    assert all(not after.equal(earlier) for after, earlier in zip(mirrored(other), before, strict=True))
