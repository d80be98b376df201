"""One-point zeroth-order training: right in the mean, and hopelessly noisy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.noise import Gaussian
from onchip.losses import StepLoss
from tests.cases import CASES, agree, gradients, loss_of, scaled

STEPS, CLASSES = 3, 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return scaled(nn.Sequential(nn.Linear(20, 40), nn.LIF(), nn.Linear(40, 30), nn.LIF(), nn.Linear(30, CLASSES)), 3.0)


def error_of(noise: Tensor, losses: Tensor, scale: float) -> Tensor:
    """g (T, B, n) by its formula."""
    shares = losses / losses.numel()
    return torch.stack(
        [
            torch.stack([shares[t, b] / scale * noise[t, b] for b in range(noise.shape[1])])
            for t in range(noise.shape[0])
        ]
    )


@pytest.mark.parametrize("told", ["nothing", "samples", "steps"])
def test_updates_equal_their_formulas(told: str) -> None:
    model, scale = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, CLASSES)).double(), 0.3
    frames = torch.rand(STEPS, 2, 5, dtype=torch.float64)
    rule = rules.zeroth_order(model, scale=scale, noise=Gaussian())
    rest = torch.random.get_rng_state()
    out = rule.forward(frames)
    each = out.detach().square().mean(2)  # (T, B)
    samples = {"nothing": None, "samples": each.mean(0), "steps": each}[told]
    rule.backward(out.square().mean(), samples)
    torch.random.set_rng_state(rest)
    noise = torch.randn(STEPS, 2, 8, dtype=torch.float64)
    if told == "steps":
        error = error_of(noise, each, scale)
    elif told == "samples":
        error = error_of(noise, each.mean(0).expand(STEPS, 2), scale) * STEPS  # the loss counts at each step
    else:
        error = noise * each.mean() / scale
    first = model[0]
    assert isinstance(first, nn.Linear)
    assert first.weight.grad is not None
    agree({"W": first.weight.grad}, {"W": torch.einsum("tbn,tbm->nm", error, frames)})


def test_it_is_unbiased_on_a_network_without_neurons() -> None:
    """Every sample of the batch is the same one under noise of its own."""
    torch.manual_seed(0)
    model, draws = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)).double(), 200_000
    sample = torch.rand(1, 1, 3, dtype=torch.float64)
    clean = model(sample).square().mean()
    first = model[0]
    assert isinstance(first, nn.Linear)
    (truth,) = torch.autograd.grad(clean, first.weight)
    rule = rules.zeroth_order(model, scale=0.5)
    out = rule.forward(sample.expand(1, draws, 3).contiguous())
    rule.backward(out.square().mean(), out.detach().square().mean(2))
    assert first.weight.grad is not None
    assert float((first.weight.grad - truth).norm() / truth.norm()) < 0.05


def test_its_variance_is_thousands_of_times_that_of_bp_and_opzos_is_not() -> None:
    """Issue 4's figures, on a small network: over batches, with weights and feedback as they are."""
    spread = {}
    for make in (rules.bp, rules.opzo, rules.zeroth_order):
        model = network()
        rule = make(model)
        seen = []
        for seed in range(60):
            torch.manual_seed(seed)
            labels = torch.arange(32) % CLASSES
            signal = torch.rand(6, 32, 20) + 0.5 * labels[:, None] / CLASSES
            model.zero_grad()
            out = rule.forward(signal)
            rule.backward(StepLoss()(out, labels), StepLoss().each(out.detach(), labels))
            if seed >= 30:  # when opzo has an estimate
                seen.append(gradients(model))
        spread[rule.name] = [
            torch.stack([g[name] for g in seen]).var(0).mean().item() for name in ("0.weight", "2.weight")
        ]
    for bp, opzo, zeroth in zip(*(spread[name] for name in ("bp", "opzo", "zeroth_order")), strict=True):
        assert zeroth > 1000 * bp
        assert bp / 10 < opzo < 10 * bp


def test_the_bill() -> None:
    rule, ledger = rules.zeroth_order(network()), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.rand(STEPS, 2, 20))))
    bill = ledger.summary()
    assert bill["products_backward"] == bill["weights_transported"] == 0
    assert bill["products_direct"] == STEPS * 2 * (40 + 30)
    assert not rule.state_dict()


def test_a_pass_that_only_looks_leaves_the_noise_of_the_one_that_waits() -> None:
    seen = []
    for look in (False, True):
        model = network()
        rule = rules.zeroth_order(model)
        torch.manual_seed(1)
        out = rule.forward(torch.ones(STEPS, 2, 20))
        if look:
            with torch.no_grad():
                rule.forward(torch.ones(STEPS, 5, 20))
        rule.backward(loss_of(out))
        seen.append(gradients(model))
    agree(seen[1], seen[0], 0.0)


def test_refusals() -> None:
    model = network()
    for scale in (0.0, math.nan, math.inf):
        with pytest.raises(RequestError, match="scale="):
            rules.zeroth_order(model, scale=scale)
    with pytest.raises(UnsupportedError, match="TTFS"):
        rules.zeroth_order(next(case for case in CASES if case.name == "ttfs-linear").build())
    rule = rules.zeroth_order(model)
    out = rule.forward(torch.rand(STEPS, 2, 20))
    with pytest.raises(RequestError, match=r"samples of shape \(5,\); expected .* \(3, 2\), or of each sample, \(2,\)"):
        rule.backward(loss_of(out), torch.rand(5))
    rule.backward(loss_of(out))
    model.eval()
    out = rule.forward(torch.rand(STEPS, 2, 20))
    with pytest.raises(RequestError, match=r"no noise .* model\.train\(\)"):
        rule.backward(loss_of(out))


def test_it_alone_asks_for_the_loss_of_each_sample() -> None:
    assert rules.zeroth_order(network()).by_sample
    assert not any(getattr(rules, name)(network()).by_sample for name in ("bp", "dfa", "opzo", "local_learning"))
