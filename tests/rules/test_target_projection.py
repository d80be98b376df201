"""`drtp` and `etlp`: hidden layers learn from the target through fixed random weights, and from nothing else."""

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
from onchip.errors import RequestError, UnsupportedError
from onchip.learning import Coincidences, Rule, Temporal, ThroughTime
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled, targets_of, whole
from tests.oracle import run_steps
from tests.rules.test_dfa import projected
from tests.stacks import ONLINE

RULES: dict[str, Callable[[torch.nn.Module], Rule]] = {"drtp": rules.drtp, "etlp": rules.etlp}
both = pytest.mark.parametrize("name", RULES)


def network() -> nn.Sequential:
    layers = [nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)]
    return scaled(nn.Sequential(*layers), 3.0).double()


def frames_of(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64)


def formula(
    model: nn.Sequential,
    frames: Tensor,
    state: dict[str, Tensor],
    labels: Tensor,
    *,
    online: bool = True,
    traced: bool = True,
) -> dict[str, Tensor]:
    """Gradients, written out: -F y / N arrives at each step, for labels (T, B) with -1 where there is none."""
    taps: list[list[Tensor]] = []
    loss = loss_of(run_steps(model, frames, taps=taps, online=online, traced=traced))
    classes = next(iter(state.values())).shape[1] if state else 1
    count = sum(int(label >= 0) for row in labels for label in row)
    for step, arrived in enumerate(taps):
        rows = [F.one_hot(label, classes) if label >= 0 else torch.zeros(classes) for label in labels[step]]
        target = torch.stack([row.double() for row in rows])
        for weights, activity in zip(state.values(), arrived, strict=True):
            loss = loss - (activity * projected(weights, target, activity)).sum() / max(count, 1)
    loss.backward()
    return gradients(model)


@both
@pytest.mark.parametrize("case", ONLINE, ids=lambda case: case.name)
def test_it_is_its_formula(name: str, case: Case) -> None:
    model, frames = case.build(), case.signal()
    rule = RULES[name](model)
    output = rule.forward(frames)
    labels = targets_of(output)
    rule.backward(loss_of(output), targets=labels)
    ours, state = gradients(model), {key: value.clone() for key, value in rule.state_dict().items()}
    model.zero_grad()
    agree(ours, formula(model, frames, state, labels.expand(output.shape[:2])))


@pytest.mark.parametrize(
    ("temporal", "credit"), [(ThroughTime(), {"online": False}), (Coincidences(), {"traced": False})]
)
def test_with_other_temporal_credit_it_is_its_formula(temporal: Temporal, credit: dict[str, bool]) -> None:
    model, frames = network(), frames_of(5, 4, 5)
    rule = rules.drtp(model, temporal=temporal)
    output = rule.forward(frames)
    rule.backward(loss_of(output), targets=targets_of(output))
    ours, state = gradients(model), dict(rule.state_dict())
    model.zero_grad()
    agree(ours, formula(model, frames, state, targets_of(output).expand(5, 4), **credit))


@both
def test_it_is_dfa_for_the_mean_output_of_the_target(name: str) -> None:
    """With a loss whose error does not depend on the output, an error and a projected target are the same."""
    model, frames = network(), frames_of(6, 4, 5)
    labels = torch.tensor([2, 0, 1, 2])
    feedback = [torch.randn(8, 3, dtype=torch.float64), torch.randn(7, 3, dtype=torch.float64)]
    rule = rules.dfa(model)
    rule.load_state_dict({"direct_1": feedback[0], "direct_2": feedback[1]})
    rule.backward(-rule.forward(frames)[:, torch.arange(4), labels].mean())
    expected = gradients(model)
    model.zero_grad()
    rule.detach()
    rule = RULES[name](model)
    rule.load_state_dict({"target_1": feedback[0], "target_2": feedback[1]})
    rule.backward(rule.forward(frames).square().sum(), targets=labels)
    ours = gradients(model)
    hidden = [key for key in ours if not key.startswith("4")]
    agree({key: ours[key] for key in hidden}, {key: expected[key] for key in hidden})
    assert not torch.allclose(ours["4.weight"], expected["4.weight"]), "the read-out learns from its own error"


@both
def test_hidden_layers_hear_of_the_target_alone(name: str) -> None:
    frames, seen = frames_of(4, 3, 5), []
    for scale, labels in ((1.0, [0, 1, 2]), (5.0, [0, 1, 2]), (1.0, [1, 1, 2])):
        torch.manual_seed(0)
        model = network()
        rule = RULES[name](model)
        torch.manual_seed(1)
        rule.backward(scale * rule.forward(frames).square().sum(), targets=torch.tensor(labels))
        seen.append(gradients(model))
    for key, gradient in seen[0].items():
        assert torch.equal(gradient, seen[1][key]) == (not key.startswith("4"))
        assert torch.equal(gradient, seen[2][key]) == key.startswith("4")


@both
def test_steps_without_a_target_are_left_out(name: str) -> None:
    model, frames = network(), frames_of(5, 3, 5)
    labels = torch.tensor([[0, 1, -1], [0, -1, -1], [2, 1, -1], [-1, 1, -1], [1, 0, -1]])
    rule = RULES[name](model)
    rule.backward(loss_of(rule.forward(frames)), targets=labels)
    ours, state = gradients(model), dict(rule.state_dict())
    model.zero_grad()
    agree(ours, formula(model, frames, state, labels))
    model.zero_grad()
    rule.backward(loss_of(rule.forward(frames)), targets=torch.full((5, 3), -1))
    assert not any(gradients(model)[key].any() for key in ours if not key.startswith("4"))


@both
@pytest.mark.parametrize("neuron", [nn.LIF, nn.IF, lambda: nn.LIF(reset="hard", learn_decay=True)])
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["average", "max"])
def test_a_stream_is_the_whole_sequence(name: str, neuron: Any, pool: torch.nn.Module) -> None:
    layers = [nn.Conv2d(2, 4, 3), neuron(), pool, nn.Flatten(), nn.Linear(16, 8), neuron(), nn.Linear(8, 3)]
    model = scaled(nn.Sequential(*layers), 3.0).double()
    frames, labels = (torch.rand(6, 3, 2, 6, 6) < 0.5).double(), torch.tensor([2, 0, 1])
    rule = RULES[name](model)
    rule.backward(rule.forward(frames).square().mean(), targets=labels)
    expected = gradients(model)
    model.zero_grad()
    for output in rule.stream(frames):
        rule.backward(output.square().mean() / 6, targets=labels, share=1 / 6)
    agree(gradients(model), expected)
    assert all(bool(gradient.any()) for gradient in expected.values())


def test_teaching_events_choose_steps_and_samples() -> None:
    model, frames = network(), frames_of(40, 6, 5)
    rule = rules.etlp(model, rate=0.25)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    output = rule.forward(frames)
    torch.manual_seed(7)
    rule.backward(loss_of(output), targets=labels)
    ours, state = gradients(model), dict(rule.state_dict())
    torch.manual_seed(7)
    for value in state.values():  # drawn between the events, which come first, and the end
        assert value.numel()
    events = torch.rand(40, 6) < 0.25
    assert 0.15 < events.double().mean() < 0.35
    model.zero_grad()
    taught = torch.where(events, labels, -1)
    hidden = [key for key in ours if not key.startswith("4")]
    expected = formula(model, frames, state, taught)
    # N counts the steps with a target, not those with an event.
    scale = float(events.sum()) / events.numel()
    agree({key: ours[key] for key in hidden}, {key: expected[key] * scale for key in hidden})


def test_etlp_with_an_event_at_each_step_is_drtp() -> None:
    seen = []
    for make in RULES.values():
        torch.manual_seed(0)
        model, frames = network(), frames_of(5, 4, 5)
        rule = make(model)
        torch.manual_seed(1)
        rule.backward(loss_of(rule.forward(frames)), targets=torch.tensor([0, 1, 2, 0]))
        seen.append(gradients(model))
    agree(seen[0], seen[1])


def test_projections_have_no_phase_of_errors() -> None:
    """4 layers: no product of an error, a label that is one event per sample and step, and no layer that waits."""
    layers = [nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 6), nn.LIF(), nn.Linear(6, 3)]
    model = scaled(nn.Sequential(*layers), 3.0)
    rule, ledger = rules.etlp(model, rate=0.5), Ledger()
    rule.observe(ledger)
    output = rule.forward(torch.rand(4, 2, 5))
    torch.manual_seed(3)
    rule.backward(loss_of(output), targets=torch.tensor([0, 2]))
    rule.step()
    torch.manual_seed(3)
    events, bill = int((torch.rand(4, 2) < 0.5).sum()), ledger.summary()
    assert 0 < events < 8
    assert bill["products_backward"] == bill["weights_transported"] == 0
    assert bill["products_direct"] == bill["products_error"] == 8 * (8 + 7 + 6) * 3
    assert bill["operations_error"] == bill["acs_error"] == events * (8 + 7 + 6)
    assert bill["random_draws"] == 8
    assert bill["phases_per_step"] == 4
    assert bill["update_locking_phases"] == 0


@both
def test_feedback_is_uniform_within_one_over_the_root_of_the_units(name: str) -> None:
    model = scaled(nn.Sequential(nn.Linear(4, 400), nn.LIF(), nn.Linear(400, 50)), 3.0)
    rule = RULES[name](model)
    for _ in range(2):
        rule.backward(loss_of(rule.forward(torch.rand(2, 3, 4))), targets=torch.tensor([0, 1, 2]))
        rule.step()
    (feedback,) = rule.state_dict().values()
    assert 0.999 / math.sqrt(400) < feedback.abs().max().item() <= 1 / math.sqrt(400)
    assert feedback.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)


@both
def test_claims(name: str) -> None:
    claims = RULES[name](CASES[0].build()).claims
    assert {claim.name for claim in claims.known()} - {claim.name for claim in claims.stated()} == {"ternary_errors"}


@both
def test_refusals(name: str) -> None:
    make = RULES[name]
    for case in CASES:
        if case.name.startswith(("ttfs", "stream")):
            with pytest.raises(UnsupportedError, match=f"{name} cannot train"):
                make(case.build())
    for rate in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(RequestError, match=r"etlp got rate=.*expected a chance per time step"):
            rules.etlp(network(), rate=rate)
    model = network()
    rule, frames = make(model), frames_of(4, 3, 5)
    assert rule.by_target
    assert not rules.dfa(network()).by_target
    loss = loss_of(rule.forward(frames))
    wrong: list[tuple[Tensor | None, str]] = [
        (None, r"projects targets in place of errors, and got none; call rule\.backward\(loss, targets=labels\)"),
        (torch.zeros(4, dtype=torch.long), r"got targets of shape \(4,\); expected .*\(3,\), or .*\(4, 3\)"),
        (torch.zeros(3), r"got targets of torch\.float32; expected whole numbers"),
        (torch.tensor([True, False, True]), r"got targets of torch\.bool"),
        (torch.tensor([0, 3, 1]), "got a target of 3; expected classes from 0 to 2, or -1"),
        (torch.tensor([0, -2, 1]), "got a target of -2"),
    ]
    for labels, message in wrong:
        with pytest.raises(RequestError, match=f"{name}:? ?{message}"):
            rule.backward(loss, targets=labels)
        assert not gradients(model)
    rule.backward(loss, targets=torch.tensor([0, 1, 2]))
    assert gradients(model)
    rules.dfa(other := network())
    assert not gradients(other)


def test_other_rules_take_targets_and_do_not_need_them() -> None:
    seen = []
    for targets in (None, torch.tensor([0, 1, 2])):
        torch.manual_seed(0)
        model = network()
        rule, frames = rules.local_learning(model), frames_of(4, 3, 5)
        torch.manual_seed(1)
        rule.forward(frames)
        rule.backward(whole(rule), targets=targets, share=0.5)
        seen.append(gradients(model))
    agree(seen[0], seen[1])
