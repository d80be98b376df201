"""Local learning: each layer is trained by a read-out of its own, and by nothing else."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled, whole
from tests.oracle import run_steps
from tests.rules.test_dfa import projected


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return scaled(nn.Sequential(nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 7), nn.LIF(), nn.Linear(7, 3)), 3.0)


def readouts_of(rule: Rule) -> list[Tensor]:
    """F_l (n_l, classes) of each hidden layer."""
    return [value.clone() for value in rule.state_dict().values()]


def rows(received: Tensor) -> Tensor:
    """What a layer received, (T, B, features...), as (T, B, n), maps in (height, width, channel) order."""
    return received.flatten(2) if received.dim() == 3 else received.permute(0, 1, 3, 4, 2).flatten(2)


@pytest.mark.parametrize("case", CASES[:2], ids=lambda case: case.name)
def test_outputs_and_updates_equal_their_formulas(case: Case) -> None:
    torch.manual_seed(0)
    model, frames = case.build().double(), case.signal().double()
    rule = rules.local_learning(model)
    out = rule.forward(frames)
    outputs = rule.outputs
    assert outputs[0] is out
    rule.backward(whole(rule))
    ours = gradients(model)
    readouts = readouts_of(rule)
    learnt = [parameter.grad for parameter in list(rule.parameters())[-2:]]
    model.zero_grad()

    taps: list[list[Tensor]] = []
    output = run_steps(model, frames, online=True, taps=taps)
    agree({"out": outputs[0].detach()}, {"out": output.detach()})
    loss = loss_of(output)
    for index, readout in enumerate(readouts):
        received = torch.stack([arrived[index] for arrived in taps])
        weights = readout.clone().requires_grad_()
        local = (rows(received.detach()) @ weights).detach().requires_grad_()
        agree({"out": outputs[index + 1].detach()}, {"out": local.detach()})
        (errors,) = torch.autograd.grad(loss_of(local), local)
        for step, error in zip(received, errors, strict=True):
            loss = loss + (step * projected(readout, error, step)).sum()
        gradient = learnt[index]
        assert gradient is not None
        agree({"F": gradient}, {"F": torch.einsum("tbn,tbc->nc", rows(received.detach()), errors)})
    loss.backward()
    agree(ours, gradients(model))


def test_no_layer_hears_of_the_networks_output() -> None:
    frames, labels = torch.rand(4, 3, 5), torch.tensor([0, 1, 2])
    seen = []
    for other in (labels, labels.flip(0)):
        model = network()
        rule = rules.local_learning(model)
        torch.manual_seed(1)
        out, *local = rule.forward(frames), *rule.outputs[1:]
        rule.backward(sum((F.cross_entropy(o.sum(0), labels) for o in local), F.cross_entropy(out.sum(0), other)))
        seen.append(gradients(model))
    for name in seen[0]:
        assert torch.equal(seen[0][name], seen[1][name]) == (not name.startswith("4")), name


def test_with_the_networks_readout_it_is_ottt() -> None:
    build = [nn.Linear(5, 8), nn.LIF(), nn.Linear(8, 3, bias=False)]
    model = scaled(nn.Sequential(*build), 3.0).double()
    frames = torch.rand(4, 3, 5, dtype=torch.float64)
    rule = rules.ottt(model)
    rule.backward(loss_of(rule.forward(frames)))
    expected = gradients(model)
    model.zero_grad()
    rule.detach()
    rule = rules.local_learning(model)
    rule.load_state_dict({"readout_1": model.get_parameter("2.weight").detach().t().clone()})
    rule.forward(frames)
    rule.backward(whole(rule))
    agree(gradients(model), expected)


def test_the_readouts_learn() -> None:
    rule = rules.local_learning(network())
    optimizer = torch.optim.Adam(rule.parameters(), lr=0.01)
    frames, labels = torch.rand(6, 32, 5), torch.arange(32) % 3
    losses = []
    for _ in range(60):
        rule.forward(frames)
        steps = [F.cross_entropy(out.mean(0), labels) for out in rule.outputs]
        losses.append(torch.stack(steps).detach())
        rule.backward(torch.stack(steps).sum())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()
    assert bool((losses[-1] < 0.9 * losses[0]).all())


def test_the_bill() -> None:
    rule, ledger = rules.local_learning(network()), Ledger()
    rule.observe(ledger)
    rule.forward(torch.rand(4, 3, 5))
    rule.backward(whole(rule))
    forward, local, bill = 12 * (5 * 8 + 8 * 7 + 7 * 3), 12 * (8 + 7) * 3, ledger.summary()
    assert bill["products_backward"] == bill["weights_transported"] == 0
    assert bill["products_forward"] == forward + local
    assert bill["products_direct"] == local
    assert bill["products_update"] == forward + local


def test_a_loss_of_the_output_alone_is_refused() -> None:
    model = network()
    rule = rules.local_learning(model)
    with pytest.raises(RequestError, match=r"local_learning: .* local read-out of layer '0'; .*rule\.outputs"):
        rule.backward(loss_of(rule.forward(torch.rand(4, 3, 5))))
    rule.forward(torch.rand(4, 3, 5))
    with pytest.raises(RequestError, match="local read-out of layer '2'"):
        rule.backward(torch.stack([loss_of(out) for out in rule.outputs[:2]]).sum())
    assert not gradients(model)


def test_outputs_are_those_of_the_last_pass() -> None:
    for make, count in ((rules.bp, 1), (rules.dfa, 1), (rules.local_learning, 3)):
        rule = make(network())
        with pytest.raises(RequestError, match="no forward pass"):
            _ = rule.outputs
        out = rule.forward(torch.rand(4, 3, 5))
        assert len(rule.outputs) == count
        assert all(output.shape == out.shape and output.is_leaf for output in rule.outputs)
        rule.backward(whole(rule))
        with pytest.raises(RequestError, match="no forward pass"):
            _ = rule.outputs
        with torch.no_grad():
            out = rule.forward(torch.rand(4, 3, 5))
        (only,) = rule.outputs
        assert only is out


def test_refusals() -> None:
    with pytest.raises(UnsupportedError, match="local_learning cannot train TTFS"):
        rules.local_learning(next(case for case in CASES if case.name == "ttfs-linear").build())
    rule = rules.local_learning(network())
    rule.load_state_dict({"readout_1": torch.randn(9, 3), "readout_2": torch.randn(7, 3)})
    with pytest.raises(RequestError, match=r"local_learning has feedback weights \(9, 3\) for layer '2'"):
        rule.forward(torch.rand(4, 3, 5))
