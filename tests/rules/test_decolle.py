"""DECOLLE: each layer is trained by a fixed random read-out of its own, and by nothing else."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled, whole
from tests.oracle import run_steps
from tests.rules.test_dfa import projected
from tests.rules.test_local_learning import network, rows
from tests.stacks import ONLINE


def readouts_of(rule: Rule) -> list[tuple[Tensor, Tensor]]:
    """G_l, and the weights through which errors return, (n_l, classes) each."""
    state = {name: value.clone() for name, value in rule.state_dict().items()}
    ones = {name: torch.ones_like(value) for name, value in state.items()}
    return [
        (value, value * state.get(f"{name}_sizes", ones[name]))
        for name, value in state.items()
        if not name.endswith("_sizes")
    ]


@pytest.mark.parametrize("concordant", [False, True])
@pytest.mark.parametrize("case", ONLINE, ids=lambda case: case.name)
def test_outputs_and_updates_equal_their_formulas(case: Case, concordant: bool) -> None:
    model, frames = case.build(), case.signal()
    rule = rules.decolle(model, concordant=concordant)
    rule.forward(frames)
    outputs = rule.outputs
    rule.backward(whole(rule))
    ours, readouts = gradients(model), readouts_of(rule)
    assert len(outputs) == 1 + len(readouts)
    model.zero_grad()

    taps: list[list[Tensor]] = []
    loss = loss_of(run_steps(model, frames, online=True, taps=taps))
    for index, (readout, back) in enumerate(readouts):
        received = torch.stack([arrived[index] for arrived in taps])
        local = (rows(received.detach()) @ readout).requires_grad_()
        agree({"out": outputs[index + 1].detach()}, {"out": local.detach()})
        (errors,) = torch.autograd.grad(loss_of(local), local)
        for step, error in zip(received, errors, strict=True):
            loss = loss + (step * projected(back, error, step)).sum()
    loss.backward()
    agree(ours, gradients(model))


def test_it_is_local_learning_whose_readouts_have_not_learned_yet() -> None:
    seen = []
    for make in (rules.local_learning, rules.decolle):
        model = network()
        frames = torch.rand(4, 3, 5)
        rule = make(model)
        torch.manual_seed(3)
        rule.forward(frames)
        rule.backward(whole(rule))
        seen.append(gradients(model))
    for name, gradient in seen[0].items():
        assert torch.equal(gradient, seen[1][name]), name


def test_readouts_are_drawn_once_and_never_trained() -> None:
    layers = [nn.Linear(4, 400), nn.LIF(), nn.Linear(400, 50)]
    model = scaled(nn.Sequential(*layers), 3.0)
    rule = rules.decolle(model, concordant=True)
    assert [*rule.parameters()] == [*model.parameters()]
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    states = []
    for _ in range(2):
        rule.forward(torch.rand(2, 3, 4))
        rule.backward(whole(rule))
        optimizer.step()
        rule.step()
        states.append({name: value.clone() for name, value in rule.state_dict().items()})
    assert states[0].keys() == {"readout_1", "readout_1_sizes"}
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name])
    readout, sizes = states[0].values()
    assert 0.999 / math.sqrt(400) < readout.abs().max().item() <= 1 / math.sqrt(400)
    assert readout.std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)
    assert sizes.mean().item() == pytest.approx(1.0, abs=0.02)
    assert sizes.std().item() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("concordant", [False, True])
@pytest.mark.parametrize("neuron", [nn.LIF, nn.IF])
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["average", "max"])
def test_a_stream_is_the_whole_sequence(neuron: Any, pool: torch.nn.Module, concordant: bool) -> None:
    layers = [nn.Conv2d(2, 4, 3), neuron(), pool, nn.Flatten(), nn.Linear(16, 8), neuron(), nn.Linear(8, 3)]
    model = scaled(nn.Sequential(*layers), 3.0).double()
    frames = (torch.rand(6, 3, 2, 6, 6) < 0.5).double()
    rule = rules.decolle(model, concordant=concordant)

    def squares(output: Tensor) -> Tensor:
        return output.square().sum() + output.sum()

    rule.forward(frames)
    rule.backward(whole(rule, squares))
    expected = gradients(model)
    model.zero_grad()
    for _ in rule.stream(frames):
        rule.backward(whole(rule, squares))
    agree(gradients(model), expected)
    assert all(bool(gradient.any()) for gradient in expected.values())


def test_the_bill() -> None:
    rule, ledger = rules.decolle(network(), concordant=True), Ledger()
    rule.observe(ledger)
    rule.forward(torch.rand(4, 3, 5))
    rule.backward(whole(rule))
    rule.step()
    forward, local, bill = 12 * (5 * 8 + 8 * 7 + 7 * 3), 12 * (8 + 7) * 3, ledger.summary()
    assert bill["products_backward"] == bill["weights_transported"] == bill["products_feedback_update"] == 0
    assert bill["products_forward"] == forward + local
    assert bill["products_direct"] == local
    assert bill["products_update"] == forward
    assert bill["feedback_memory"] == 2 * (8 + 7) * 3


def test_refusals() -> None:
    with pytest.raises(UnsupportedError, match="decolle cannot train TTFS"):
        rules.decolle(next(case for case in CASES if case.name == "ttfs-linear").build())
    with pytest.raises(UnsupportedError, match="decolle cannot train Stochastic"):
        rules.decolle(next(case for case in CASES if case.name.startswith("stream")).build())
    model = network()
    rule = rules.decolle(model, concordant=True)
    with pytest.raises(RequestError, match=r"decolle: .* local read-out of layer '0'; .*rule\.outputs"):
        rule.backward(loss_of(rule.forward(torch.rand(4, 3, 5))))
    rule.load_state_dict(
        {"readout_1": torch.rand(8, 3), "readout_2": torch.rand(7, 3), "readout_1_sizes": torch.rand(9, 3)}
    )
    rule.forward(torch.rand(4, 3, 5))
    with pytest.raises(
        RequestError, match=r"decolle has feedback weights \(9, 3\) for layer '2', which needs \(8, 3\)"
    ):
        rule.backward(whole(rule))
