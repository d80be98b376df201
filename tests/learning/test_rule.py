"""`Rule` itself: what it holds, what it lets go of, and losses of every shape. Contracts are in rules/."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import OnchipError, RequestError
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.layer_call import LayerCall
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.signals import Static
from tests.cases import CASES, agree, gradients, loss_of, scaled


def network() -> nn.Sequential:
    return scaled(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)), 3.0)


def test_a_rule_is_composed_of_parts() -> None:
    ours, model = CASES[0].build(), CASES[0].signal()
    composed = Rule("mine", ours, feedback=TransposedFeedback(), temporal=Online())
    composed.backward(loss_of(composed.forward(model)))
    mine = gradients(ours)
    ours.zero_grad()
    composed.detach()
    ottt = rules.ottt(ours)
    ottt.backward(loss_of(ottt.forward(model)))
    agree(mine, gradients(ours), 0.0)
    assert composed.name == "mine"


def test_a_rule_may_be_called_like_its_forward() -> None:
    rule, signal = rules.bp(network()), torch.rand(5, 2, 4)
    assert torch.equal(rule(signal), rule.forward(signal))


def test_a_static_input_that_wants_a_gradient_gets_none() -> None:
    image = torch.rand(2, 4, requires_grad=True)
    for make in (rules.bp, rules.fbp, rules.dfa):
        rule = make(network())
        rule.backward(loss_of(rule.forward(Static(image, 5))))
    assert image.grad is None


def test_a_loss_may_hold_other_parameters_and_weights() -> None:
    """A temperature is learnt by plain autograd, and so is a penalty on the weights."""
    model, temperature = network(), torch.nn.Parameter(torch.ones(()))
    rule, signal = rules.bp(model), torch.rand(5, 2, 4)
    rule.backward(loss_of(rule.forward(signal)))
    alone = gradients(model)
    model.zero_grad()
    penalty = sum((p.square().sum() for p in model.parameters()), torch.zeros(()))
    rule.backward(loss_of(rule.forward(signal)) * temperature + penalty)
    assert temperature.grad is not None
    agree(gradients(model), {key: alone[key] + 2 * p.detach() for key, p in model.named_parameters()}, 1e-5)


def test_a_forward_pass_that_only_looks_leaves_the_pending_one_alone() -> None:
    model, signal = network(), torch.rand(5, 2, 4)
    rule = rules.bp(model)
    output = rule.forward(signal)
    with torch.no_grad():
        rule.forward(torch.rand(5, 2, 4))
    rule.backward(loss_of(output))
    assert set(gradients(model)) == set(dict(model.named_parameters()))


def test_an_error_in_the_loss_can_be_survived() -> None:
    rule, signal = rules.bp(network()), torch.rand(5, 2, 4)
    output = rule.forward(signal)
    output.register_hook(lambda error: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        rule.backward(loss_of(output))
    with pytest.raises(OnchipError, match=r"call rule\.backward"):
        loss_of(rule.forward(signal)).backward()
    rule.backward(loss_of(rule.forward(signal)))


def test_neither_rule_nor_network_is_kept_alive() -> None:
    model = network()
    rule = rules.fbp(model)
    rule.backward(loss_of(rule.forward(torch.rand(5, 2, 4))))
    gone = weakref.ref(rule), weakref.ref(model)
    del rule
    gc.collect()
    assert gone[0]() is None
    rules.bp(model)
    del model
    gc.collect()
    assert gone[1]() is None


def _islands() -> int:
    return sum(type(held) is LayerCall for held in gc.get_objects())


def test_a_spent_pass_is_freed_at_once() -> None:
    """Not by the garbage collector some steps later: activity is most of a step's memory."""
    rule = rules.bp(network())
    gc.collect()
    gc.disable()
    try:
        before = _islands()  # other tests may hold some: a caught exception holds its frames
        output = rule.forward(torch.rand(5, 2, 4))
        assert _islands() == before + 2
        rule.backward(loss_of(output))
        del output
        assert _islands() == before
    finally:
        gc.enable()


def test_nonfinite_names_the_parameter() -> None:
    model = network()
    rule = rules.bp(model)
    assert rule.nonfinite() is None
    with torch.no_grad():
        model.get_parameter("2.weight")[0, 0] = torch.inf
    assert rule.nonfinite() == "2.weight"


def test_learnt_feedback_is_among_the_parameters_and_the_first_layer_has_none() -> None:
    model = network()
    assert [id(p) for p in rules.bp(model).parameters()] == [id(p) for p in model.parameters()]
    learnt = rules.kolen_pollack(model)
    assert len(list(learnt.parameters())) == len(list(model.parameters())) + 1


def test_a_rule_goes_to_a_device_with_its_feedback() -> None:
    rule = rules.fbp(network())
    assert rule.to("cpu") is rule
    moved = rules.fbp(network()).to("meta")
    assert {p.device.type for p in moved.parameters()} == {"meta"}
    assert moved.state_dict()["feedback_1"].device.type == "meta"


def test_observers_hear_of_what_was_copied_before_they_came() -> None:
    rule, ledger = rules.fbp(network()), Ledger()
    rule.observe(ledger)
    assert ledger.summary()["weights_transported_initial"] == 24
    assert ledger.summary()["weights_transported"] == 0


def test_credit_through_time_is_credit_at_the_step_where_there_is_one_step() -> None:
    signal = torch.rand(1, 2, 4)
    seen = []
    for temporal in (Online(), ThroughTime()):
        torch.manual_seed(0)
        model = network()
        rule = Rule("either", model, feedback=TransposedFeedback(), temporal=temporal)
        rule.backward(loss_of(rule.forward(signal)))
        seen.append(gradients(model))
    agree(seen[0], seen[1], 0.0)


def test_a_detached_rule_refuses_to_work() -> None:
    rule, signal = rules.ottt(network()), torch.rand(5, 2, 4)
    stream = rule.stream(signal)
    rule.detach()
    for call in (lambda: rule.forward(signal), lambda: next(stream), rule.parameters, rule.detach, rule.nonfinite):
        with pytest.raises(RequestError, match=r"ottt: this rule is detached from its network; make a new one"):
            call()


@pytest.mark.parametrize("name", ["bp", "fbp", "dfa", "ottt"])
@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("0.weight", "weight of Linear '0'"),
        ("0.bias", "bias of Linear '0'"),
        ("1.decay_parameter", "decay_parameter of LIF after '0'"),
        ("2.weight", "weight of Linear '2'"),
    ],
)
def test_weights_changed_between_forward_and_backward_are_refused(name: str, parameter: str, said: str) -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.LIF(learn_decay=True), nn.Linear(8, 3))
    rule = getattr(rules, name)(model)
    output = rule.forward(torch.rand(5, 2, 4))
    with torch.no_grad():
        dict(model.named_parameters())[parameter].mul_(1.0)
    with pytest.raises(RequestError, match=f"{name}: {said} was changed in place between"):
        rule.backward(loss_of(output))
    assert all(p.grad is None for p in model.parameters())
    rule.backward(loss_of(rule.forward(torch.rand(5, 2, 4))))


def test_weights_changed_before_the_pending_pass_or_after_its_backward_pass_are_none_of_its_business() -> None:
    model = network()
    rule = rules.ottt(model)
    optimizer = torch.optim.Adam(rule.parameters())
    for output in rule.stream(torch.rand(5, 2, 4)):
        rule.backward(loss_of(output))
        optimizer.step()
    output = rule.forward(torch.rand(5, 2, 4))
    optimizer.step()
    with torch.no_grad():
        rule.forward(torch.rand(5, 2, 4))  # only looks: the pending pass is still the first
    with pytest.raises(RequestError, match="was changed in place"):
        rule.backward(loss_of(output))
