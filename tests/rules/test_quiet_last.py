"""Without noise at the last hidden layer: what is learned there is the read-out, and what the other layers estimate."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import Static, nn, rules
from onchip.audit import audit
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.noise import Rademacher
from onchip.learning.rule import Rule
from tests.cases import agree, gradients, loss_of, scaled, spikes

STEPS, BATCH, INPUTS, CLASSES = 4, 6, 5, 3
RATE, DECAY = 0.05, 1e-4
MAKES = [rules.opzo, rules.anchored_dkp]


def network(*units: int) -> nn.Sequential:
    torch.manual_seed(0)
    sizes = (INPUTS, *units)
    hidden = [(nn.Linear(size, above), nn.LIF()) for size, above in itertools.pairwise(sizes)]
    layers = [module for pair in hidden for module in pair]
    return scaled(nn.Sequential(*layers, nn.Linear(units[-1], CLASSES)), 3.0).double()


def signal(seed: int) -> Static:
    images = torch.rand(BATCH, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return Static(images, STEPS)


def learn(rule: Rule, seed: int) -> None:
    """The gradients of one batch."""
    torch.manual_seed(seed)
    rule.backward(loss_of(rule.forward(signal(seed))))


def readout(model: nn.Sequential) -> Tensor:
    last = model[-1]
    assert isinstance(last, nn.Linear)
    return last.weight


def test_with_one_hidden_layer_opzo_is_dkp_from_a_matrix_of_zeros() -> None:
    models = network(8), network(8)
    for model, rule in zip(models, (rules.opzo(models[0], quiet_last=True), rules.dkp(models[1])), strict=True):
        learn(rule, 0)  # the matrix is there, and can be replaced
        (matrix,) = rule.feedback.parameters()
        with torch.no_grad():
            matrix.zero_()
        rule.feedback.zero_grad()
        model.zero_grad()
        learn(rule, 0)
        optimizer = torch.optim.SGD(rule.parameters(), lr=RATE)
        for seed in range(1, 4):
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
            learn(rule, seed)
    agree(gradients(models[0]), gradients(models[1]))
    agree(dict(models[0].state_dict()), dict(models[1].state_dict()))


@pytest.mark.parametrize("make", MAKES)
def test_the_last_matrix_nears_the_readout_by_the_decay_alone(make: Callable[..., Rule]) -> None:
    """Both get the same update; the decay, on the read-out too, shrinks what is left, by 1 - lr decay per step."""
    model = network(8, 7)
    rule = make(model, quiet_last=True)
    learn(rule, 0)
    name = "estimate_2" if make is rules.opzo else "feedback_2"
    apart = [(rule.feedback.get_parameter(name) - readout(model).t()).detach()]
    optimizer = torch.optim.SGD(rule.parameters(), lr=RATE)
    for seed in range(1, 5):
        gradient = readout(model).grad
        assert gradient is not None
        gradient.add_(readout(model).detach(), alpha=DECAY)
        optimizer.step()
        optimizer.zero_grad()
        rule.step()
        learn(rule, seed)
        apart.append((rule.feedback.get_parameter(name) - readout(model).t()).detach())
    torch.testing.assert_close(apart[-1], apart[0] * (1 - RATE * DECAY) ** 4, rtol=1e-9, atol=1e-12)
    assert apart[-1].norm() < apart[0].norm()


@pytest.mark.parametrize("make", MAKES)
def test_noise_meets_every_layer_but_the_last(make: Callable[..., Rule]) -> None:
    """The output is that of the network whose first hidden activity alone is noisy, and so is the first estimate."""
    model, scale = network(8, 7), 0.3
    rule = make(model, quiet_last=True, scale=scale, noise=Rademacher())
    torch.manual_seed(0)
    output = rule.forward(signal(0)).detach()
    torch.manual_seed(0)
    noise = Rademacher()(torch.empty(STEPS, BATCH, 8, dtype=torch.float64))
    rule.detach()
    activity = model[1](model[0](signal(0).expand()))
    expected = model[4](model[3](model[2](activity + scale * noise))).detach()
    agree({"output": output}, {"output": expected})
    if make is rules.opzo:
        centered = (expected - expected.mean(1, keepdim=True)) * BATCH / (BATCH - 1)
        centered = (centered - centered.mean(0)) * STEPS / (STEPS - 1)
        estimate = torch.einsum("tbn,tbk->nk", noise, centered) / (scale * STEPS * BATCH)
        agree({"M": rule.state_dict()["estimate_1"]}, {"M": estimate})


@pytest.mark.parametrize("make", MAKES)
def test_no_random_number_and_no_estimate_is_paid_for_the_last_layer(make: Callable[..., Rule]) -> None:
    bills = []
    for quiet in (False, True):
        rule, ledger = make(network(8, 7), quiet_last=quiet), Ledger()
        rule.observe(ledger)
        learn(rule, 0)
        bills.append(ledger.summary())
    samples, matrix = STEPS * BATCH, 7 * CLASSES
    assert bills[0]["random_draws"] - bills[1]["random_draws"] == samples * 7
    learned_instead = make is rules.opzo  # as many products as the estimate would have needed
    spared = bills[0]["products_feedback_update"] - bills[1]["products_feedback_update"]
    assert spared == (0 if learned_instead else samples * matrix)
    assert bills[1]["products_backward"] == bills[1]["weights_transported"] == 0


@pytest.mark.parametrize("make", MAKES)
def test_its_description_says_which_feedback_is_learned(make: Callable[..., Rule]) -> None:
    rule = make(network(8, 7), quiet_last=True)
    first, second, _ = (synapse.paths[0] for synapse in rule.describe().synapses)
    assert (first.through, second.through) == ("estimate", "learned weights")
    assert [each.by for each in second.learning] == ["error times activity"]
    assert "response to noise" in [each.by for each in first.learning]


@pytest.mark.parametrize("make", MAKES)
def test_a_checkpoint_keeps_both_kinds_of_feedback(make: Callable[..., Rule]) -> None:
    found = []
    for restored in (False, True):
        model = network(8, 7)
        rule = make(model, quiet_last=True)
        learn(rule, 0)
        rule.step()
        if restored:
            state, weights = rule.state_dict(), model.state_dict()
            model = network(8, 7)
            model.load_state_dict(weights)
            rule = make(model, quiet_last=True)
            rule.load_state_dict(state)
        model.zero_grad()
        learn(rule, 1)
        found.append(gradients(model))
    agree(found[0], found[1])


@pytest.mark.parametrize("options", [{"local": True}, {"intermediate": 2}, {"each_step": True}, {"quiet_after": 1}])
def test_it_goes_with_other_options(options: dict[str, Any]) -> None:
    """The last layer still gets no noise, and its feedback is still the product of error and activity."""
    model = network(8, 7, 6)
    rule = rules.opzo(model, quiet_last=True, **options)
    before = {name for name, _ in rule.feedback.named_parameters() if "estimate" in name}
    for seed in range(2):
        rule.forward(signal(seed))
        rule.backward(torch.stack([loss_of(output) for output in rule.outputs]).sum())
        (learned,) = (value for name, value in rule.feedback.named_parameters() if name in before)
        update = readout(model).grad
        assert update is not None
        torch.testing.assert_close(learned.grad, update.t() + DECAY * learned.detach())
        rule.feedback.zero_grad()
        model.zero_grad()
        rule.step()


@pytest.mark.parametrize("make", MAKES)
def test_claims_hold_and_the_last_layer_needs_no_other_sample(make: Callable[..., Rule]) -> None:
    def small() -> nn.Sequential:
        return network(8, 7).float()

    certificate = audit(lambda net: make(net, quiet_last=True), small, spikes(4, 3, INPUTS), torch.tensor([0, 1, 2]))
    assert certificate.holds
    others = next(finding for finding in certificate.findings if finding.name == "other_samples")
    assert others.detail == "layer 0"


def test_noise_before_the_neurons_is_refused() -> None:
    with pytest.raises(RequestError, match="opzo got place=before; expected after, or quiet_last=false beside it"):
        rules.opzo(network(8, 7), quiet_last=True, place="before")
