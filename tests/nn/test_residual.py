"""Residual blocks: layered rules add up both ways; under direct rules no error crosses the skip."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, nn, rules
from onchip.cost.ledger import Ledger
from onchip.diagnostics import activity
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.learning.noise import Rademacher
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.graph_builder import build_graph
from tests.cases import agree, gradients, loss_of, scaled


def network() -> nn.Sequential:
    """A stem, a block with an identity skip, one with a shortcut that has weights, and a read-out."""
    torch.manual_seed(1)
    stem = [nn.Conv2d(2, 4, 3, padding=1), nn.LIF(threshold=0.5)]
    plain = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.LIF(), nn.Conv2d(4, 4, 3, padding=1), nn.LIF())
    halved = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.LIF(threshold=0.5))
    shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 1), nn.LIF(threshold=0.5))
    blocks = [nn.Residual(plain), nn.Residual(halved, shortcut)]
    return scaled(nn.Sequential(*stem, *blocks, nn.Flatten(), nn.Linear(6 * 9, 3)), 3.0).double()


def frames() -> Tensor:
    return torch.rand(4, 3, 2, 6, 6, dtype=torch.float64)


def layer(module: torch.nn.Module, h: Tensor) -> Tensor:
    return module(h.flatten(0, 1)).unflatten(0, h.shape[:2])


def by_hand(model: nn.Sequential, h: Tensor, taps: list[Tensor] | None = None) -> Tensor:
    """The same network written out, one line a step; every activity is cut off and kept if asked."""

    def tapped(activity: Tensor) -> Tensor:
        if taps is None:
            return activity
        taps.append(activity)
        return activity.detach()

    first, second = model[2], model[3]
    assert isinstance(first, nn.Residual)
    assert isinstance(second, nn.Residual)
    assert second.shortcut is not None
    a = tapped(model[1](layer(model[0], h)))
    b = tapped(first.body[1](layer(first.body[0], a)))
    c = tapped(first.body[3](layer(first.body[2], b)) + a)
    short = second.shortcut[2](layer(second.shortcut[1], layer(second.shortcut[0], c)))
    d = second.body[1](layer(second.body[0], c)) + short
    return layer(model[5], layer(model[4], tapped(d)))  # maps are seen before they are flattened


def test_layered_rules_add_up_the_errors_of_both_ways() -> None:
    model, signal = network(), frames()
    expected = by_hand(model, signal)
    loss_of(expected).backward()
    formula = gradients(model)
    assert all(bool(gradient.any()) for gradient in formula.values()), "a silent network would agree with anything"
    model.zero_grad()
    torch.testing.assert_close(model(signal), expected)
    with torch.no_grad():
        torch.testing.assert_close(model(signal), expected)
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula)


def test_direct_rules_have_an_error_for_each_activity_and_none_crosses() -> None:
    model, signal = network(), frames()
    rule, ledger = rules.dfa(model, temporal=ThroughTime()), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(signal)))
    ours, feedback = gradients(model), list(rule.state_dict().values())
    model.zero_grad()
    taps: list[Tensor] = []
    output = by_hand(model, signal, taps)
    loss = loss_of(output)
    (error,) = torch.autograd.grad(loss, output, retain_graph=True)
    assert len(taps) == len(feedback) == 4
    for arrived, matrix in zip(taps, feedback, strict=True):
        if arrived.dim() == 5:
            shape = (*arrived.shape[-2:], arrived.shape[2])  # matrices hold maps as (H, W, C)
            projected = (error @ matrix.t()).unflatten(-1, shape).movedim(-1, 2)
        else:
            projected = error @ matrix.t()
        loss = loss + (arrived * projected).sum()
    loss.backward()
    agree(ours, gradients(model))
    assert ledger.summary()["products_backward"] == 0


@pytest.mark.parametrize("name", ["opzo", "anchored_dkp", "dkp", "zeroth_order", "local_learning", "noisy_bp", "fbp"])
def test_rules_of_every_kind_train_it(name: str) -> None:
    model, signal = network(), frames()
    rule = getattr(rules, name)(model)
    rule.forward(signal)
    rule.backward(torch.stack([loss_of(out) for out in rule.outputs]).sum())
    assert gradients(model).keys() == dict(model.named_parameters()).keys()
    assert all(bool(gradient.isfinite().all()) for gradient in gradients(model).values())
    model.eval()
    with torch.no_grad():
        assert torch.equal(rule.forward(signal), model(signal))


def test_noise_takes_both_ways() -> None:
    """With a silent body the block's input reaches the output by the skip alone, and the estimate must say so."""
    torch.manual_seed(0)
    silent = nn.Sequential(nn.Linear(20, 20), nn.LIF())
    model = nn.Sequential(nn.Linear(6, 20), nn.LIF(), nn.Residual(silent), nn.Linear(20, 4))
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    rule = rules.opzo(model, noise=Rademacher())
    with pytest.warns(UserWarning, match=r"'2\.body\.0' is silent"):
        rule.forward(Static(torch.rand(64, 6), 6))
    for _ in range(49):
        rule.forward(Static(torch.rand(64, 6), 6))
    readout = model[3].weight
    assert isinstance(readout, Tensor)
    for estimate in list(rule.state_dict().values())[:2]:
        assert F.cosine_similarity(estimate.flatten(), readout.detach().t().flatten(), 0) > 0.95


def test_streams_add_up_to_the_whole_sequence() -> None:
    model, signal = network(), frames()
    rule = rules.ottt(model)
    rule.backward(rule.forward(signal).square().sum())
    whole = gradients(model)
    model.zero_grad()
    for out in rule.stream(signal):
        rule.backward(out.square().sum())
    agree(gradients(model), whole)


def test_the_input_may_skip_a_layer() -> None:
    torch.manual_seed(0)
    model = scaled(nn.Sequential(nn.Residual(nn.Sequential(nn.Linear(5, 5), nn.LIF())), nn.Linear(5, 3)), 3.0)
    image = torch.rand(2, 5)
    for make in (rules.bp, rules.dfa):
        rule = make(model)
        torch.testing.assert_close(rule.forward(Static(image, 4)), model(Static(image, 4).expand()))
        rule.detach()


def test_reports_see_every_layer() -> None:
    names = ["0", "2.body.0", "2.body.2", "3.body.0", "3.shortcut.1"]
    assert list(activity(network(), [frames()])) == names
    plan = build_graph(network())
    assert [stage.name for stage in plan.layers] == [*names, "5"]
    assert [plan.layers[index].name for index in plan.receivers.values()] == [*names[:4], "5"]


def one(*layers: torch.nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.LIF(), *layers, nn.Linear(4, 2))


class Jump(torch.nn.Module):
    """A skip that the engine cannot see."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x


REFUSED: dict[str, tuple[nn.Sequential, type[OnchipError], str]] = {
    "nothing-to-train": (
        one(nn.Residual(nn.Sequential(nn.Dropout(0.5)))),
        RequestError,
        "Residual '2'.*cross it unnoticed",
    ),
    "own-skip": (one(Jump()), UnsupportedError, "cannot treat Jump '2'"),
    "inside": (one(nn.Residual(nn.Sequential(Jump(), nn.Linear(4, 4)))), UnsupportedError, r"Jump '2\.body\.0'"),
    "neurons-after": (one(nn.Residual(nn.Sequential(nn.Linear(4, 4))), nn.LIF()), RequestError, "LIF '3' does not fol"),
    "times": (
        nn.Sequential(
            nn.Residual(nn.Sequential(nn.Linear(4, 4, bias=False), nn.TTFS())),
            nn.Linear(4, 2, bias=False),
            nn.TTFSReadout(),
        ),
        UnsupportedError,
        "Residual '0'.*spike times cannot be added",
    ),
}


@pytest.mark.parametrize(("model", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(model: nn.Sequential, error: type[OnchipError], message: str) -> None:
    for make in (rules.bp, rules.dfa):
        with pytest.raises(error, match=message):
            make(model)


def test_shapes_that_do_not_add_up_are_refused_by_name() -> None:
    model = one(nn.Residual(nn.Sequential(nn.Linear(4, 3), nn.LIF())))
    with pytest.raises(RequestError, match=r"Residual '2' adds activity of shape .*shortcut"):
        model(torch.rand(5, 2, 4))
