"""Feedback on a coarse grid of the maps: its formulas, its limits, its bill."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_weight

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.learning.feedback.grid import from_grid, to_grid
from onchip.learning.observers import Observer
from onchip.learning.rule import Rule
from tests.cases import loss_of

STEPS, BATCH, MAPS, SIDE, CLASSES, GRID = 4, 32, 4, 8, 3, 3


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, MAPS, 3, padding=1), nn.LIF(threshold=0.3)),
        *(nn.Conv2d(MAPS, MAPS, 3, padding=1), nn.LIF(threshold=0.3)),
        *(nn.Flatten(), nn.Linear(MAPS * SIDE * SIDE, CLASSES)),
    )


def signal(seed: int) -> Static:
    return Static(torch.rand(BATCH, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)), STEPS)


def readout(model: nn.Sequential) -> Tensor:
    """The read-out's transposed weights on the grid, in the order of the feedback: (n, classes)."""
    weight = model[-1].weight
    assert isinstance(weight, Tensor)
    on_grid = to_grid(weight.detach().view(CLASSES, MAPS, SIDE, SIDE), torch.Size((MAPS, GRID, GRID)))
    return on_grid.permute(2, 3, 1, 0).reshape(-1, CLASSES)


def test_the_estimate_approaches_the_readout_on_the_grid() -> None:
    model = network()
    rule = rules.opzo(model, grid=GRID, momentum=0.99)
    for seed in range(100):
        rule.forward(signal(seed))
    estimate = rule.state_dict()["estimate_2"]
    assert estimate.shape == (MAPS * GRID * GRID, CLASSES)
    assert F.cosine_similarity(estimate.flatten(), readout(model).flatten(), 0).item() > 0.9
    along = float((estimate * readout(model)).sum() / readout(model).square().sum())
    assert along == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("name", ["opzo", "anchored_dkp", "dkp", "local_learning"])
def test_a_grid_as_large_as_the_maps_changes_nothing(name: str) -> None:
    updates = []
    for grid in (None, SIDE):
        model = network()
        rule = getattr(rules, name)(model, grid=grid)
        torch.manual_seed(1)
        rule.forward(signal(0))
        rule.backward(total_loss(rule))
        updates.append([p.grad for p in rule.parameters() if p.grad is not None])
    assert len(updates[0]) >= 6
    assert all(torch.equal(a, b) for a, b in zip(*updates, strict=True))


def total_loss(rule: Rule) -> Tensor:
    """The loss of all outputs of the last pass."""
    return torch.stack([loss_of(output) for output in rule.outputs]).sum()


class Arrived(Observer):
    """The error at each layer's activity."""

    def __init__(self) -> None:
        self.errors: dict[str, Tensor] = {}

    def arrived(self, layer: str, error: Tensor) -> None:
        self.errors[layer] = error.clone()


def test_a_readout_on_the_grid_and_its_error_are_derivatives_of_its_loss() -> None:
    """By autograd, through the cosine transform."""
    model = network()
    rule, arrived = rules.local_learning(model, grid=GRID), Arrived()
    rule.observe(arrived)
    rule.forward(signal(0))
    rule.backward(total_loss(rule))
    with torch.no_grad():
        hidden = model[1](model[0](signal(0).image).expand(STEPS, *[-1] * 4).contiguous())
    hidden.requires_grad_()
    weights = rule.state_dict()["readout_1"].clone().requires_grad_()
    rows = to_grid(hidden, torch.Size((MAPS, GRID, GRID))).permute(0, 1, 3, 4, 2).flatten(2)
    expected = torch.autograd.grad(loss_of(rows @ weights), [hidden, weights])
    found = [arrived.errors[rule.layers[0].name], rule.feedback.get_parameter("readout_1").grad]
    for ours, theirs in zip(found, expected, strict=True):
        assert bool(theirs.any())
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-6 * float(theirs.abs().max()))


def by_hand(model: nn.Sequential, error: Tensor, feedback: Tensor, activity: Tensor) -> Tensor:
    """The last hidden layer's update: M e on the grid, spread over the maps, gated, and met with the traces."""
    layer = model[2]
    assert isinstance(layer, nn.Conv2d)
    sent = (error @ feedback.t()).view(STEPS, BATCH, GRID, GRID, MAPS).permute(0, 1, 4, 2, 3)
    arriving = from_grid(sent, torch.Size((MAPS, SIDE, SIDE)))
    trace = membrane = torch.zeros(1)
    total = torch.zeros_like(layer.weight)
    for t in range(STEPS):
        trace = 0.5 * trace + activity[t]
        potential = 0.5 * membrane + layer(activity[t]).detach()
        membrane = potential - 0.3 * (potential >= 0.3).float()
        gate = torch.sigmoid(4 * (potential - 0.3))
        delta = 4 * gate * (1 - gate) * arriving[t]
        total += conv2d_weight(trace, layer.weight.shape, delta, padding=1)
    return total


def test_dkps_update_is_its_formula_on_the_grid() -> None:
    model = network()
    rule = rules.dkp(model, grid=GRID, decay=0.0)
    out = rule.forward(signal(0))
    error = _error(out)
    rule.backward(loss_of(out))
    with torch.no_grad():
        hidden = model[1](model[0](signal(0).image).expand(STEPS, *[-1] * 4).contiguous())
        received = model[3](_folded(model[2], hidden))
    feedback = rule.state_dict()["feedback_2"]
    layer = model[2]
    assert isinstance(layer, nn.Conv2d)
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, by_hand(model, error, feedback, hidden), rtol=1e-3, atol=1e-6)
    rows = to_grid(received, torch.Size((MAPS, GRID, GRID))).permute(0, 1, 3, 4, 2).flatten(2)
    learnt = list(rule.parameters())[-1].grad
    torch.testing.assert_close(learnt, torch.einsum("tbn,tbc->nc", rows, error), rtol=1e-3, atol=1e-6)


def _folded(layer: torch.nn.Module, activity: Tensor) -> Tensor:
    folded: Tensor = layer(activity.flatten(0, 1))
    return folded.unflatten(0, activity.shape[:2])


def _error(out: Tensor) -> Tensor:
    exposed = out.detach().requires_grad_(True)
    (error,) = torch.autograd.grad(loss_of(exposed), exposed)
    return error


def test_a_stream_on_the_grid_adds_up_to_the_whole_sequence() -> None:
    outcomes = []
    for streamed in (False, True):
        torch.manual_seed(0)
        model = network()
        rule = rules.dkp(model, grid=GRID, decay=0.0)
        torch.manual_seed(1)
        if streamed:
            for out in rule.stream(signal(0)):
                rule.backward(out.square().sum())
        else:
            rule.backward(rule.forward(signal(0)).square().sum())
        outcomes.append([p.grad for p in rule.parameters() if p.grad is not None])
    assert len(outcomes[0]) == 8
    for whole, stream in zip(*outcomes, strict=True):
        assert bool(whole.any())
        torch.testing.assert_close(whole, stream, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


def test_a_checkpoint_keeps_the_estimate_on_the_grid() -> None:
    outcomes = []
    for restored in (False, True):
        model = network()
        rule = rules.opzo(model, grid=GRID)
        torch.manual_seed(1)
        rule.backward(loss_of(rule.forward(signal(0))))
        rule.step()
        model.zero_grad()
        if restored:
            state = {key: value.clone() for key, value in rule.state_dict().items()}
            rule.detach()
            rule = rules.opzo(model, grid=GRID)
            rule.load_state_dict(state)
        torch.manual_seed(2)
        rule.backward(loss_of(rule.forward(signal(1))))
        outcomes.append([p.grad for p in model.parameters() if p.grad is not None])
    assert len(outcomes[0]) == 6
    assert all(torch.equal(a, b) for a, b in zip(*outcomes, strict=True))


def billed(rule: Rule) -> dict[str, float]:
    ledger = Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(signal(0))))
    rule.step()
    return ledger.summary()


def test_memory_draws_and_products_are_those_of_the_grid() -> None:
    bill = billed(rules.opzo(network(), grid=GRID))
    kept, samples = 2 * MAPS * GRID * GRID, STEPS * BATCH
    assert bill["feedback_memory"] == kept * CLASSES
    assert bill["random_draws"] == samples * kept
    turned = MAPS * (GRID * GRID * SIDE + SIDE * GRID * SIDE)  # rows, then columns, of one sample's maps
    assert bill["products_direct"] == samples * (kept * CLASSES + 2 * turned)
    assert bill["products_feedback_update"] == samples * (kept * CLASSES + 2 * turned), (
        "estimates, and noise brought to the maps"
    )
    assert bill["products_backward"] == 0


def test_dkps_products_on_the_grid_are_billed() -> None:
    bill = billed(rules.dkp(network(), grid=GRID))
    units, samples = MAPS * SIDE * SIDE, STEPS * BATCH
    turned = MAPS * (SIDE * GRID * SIDE + GRID * GRID * SIDE)
    assert bill["products_feedback_update"] == 2 * (samples * units * CLASSES + CLASSES * turned)


@pytest.mark.parametrize("make", [rules.dkp, rules.anchored_dkp, rules.opzo])
def test_readouts_on_the_grid_are_billed(make: Callable[..., Rule]) -> None:
    plain, ledger, rule = billed(make(network())), Ledger(), make(network(), local=True, readout_grid=GRID)
    rule.observe(ledger)
    rule.forward(signal(0))
    rule.backward(total_loss(rule))
    rule.step()
    bill, turned = ledger.summary(), MAPS * (SIDE * GRID * SIDE + GRID * GRID * SIDE)
    kept, samples = MAPS * GRID * GRID, STEPS * BATCH
    assert bill["feedback_memory"] - plain["feedback_memory"] == 2 * CLASSES * kept
    for count in ("products_forward", "products_direct"):  # maps to the grid and through a matrix; and back
        assert bill[count] - plain[count] == 2 * samples * (kept * CLASSES + turned)


def test_an_intermediate_readout_sees_the_grid() -> None:
    rule = rules.opzo(network(), intermediate=2, readout_grid=GRID)
    rule.forward(signal(0))
    rule.backward(total_loss(rule))
    read = {len(value) for name, value in rule.state_dict().items() if "readout_" in name}
    assert MAPS * GRID * GRID in read
    assert max(read) == MAPS * GRID * GRID


@pytest.mark.parametrize("make", [rules.dkp, rules.anchored_dkp, rules.opzo])
def test_a_grid_for_readouts_needs_readouts(make: Callable[..., Rule]) -> None:
    with pytest.raises(RequestError, match="got readout_grid=3; expected none, or local=true beside it"):
        make(network(), readout_grid=GRID)


@pytest.mark.parametrize("name", ["opzo", "anchored_dkp", "dkp", "local_learning"])
def test_a_grid_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="grid=0"):
        getattr(rules, name)(network(), grid=0)


@pytest.mark.parametrize("name", ["opzo", "anchored_dkp", "dkp", "local_learning"])
def test_a_grid_larger_than_the_maps_is_refused(name: str) -> None:
    rule = getattr(rules, name)(network(), grid=SIDE + 1)
    with pytest.raises(RequestError, match="got grid=9 for feature maps of 8x8; expected at most 8"):
        rule.backward(loss_of(rule.forward(signal(0))))
