"""Signals, weights and feedback on several devices or of several types: refused by name, with what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.errors import RequestError
from onchip.signals import Signal, Static

Asked = Callable[[nn.Sequential, Signal], Tensor]


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))


def bare(model: nn.Sequential, signal: Signal) -> Tensor:
    out: Tensor = model(signal)
    return out


def under_a_rule(model: nn.Sequential, signal: Signal) -> Tensor:
    return rules.bp(model).forward(signal)


both = pytest.mark.parametrize("asked", [bare, under_a_rule])


@both
@pytest.mark.parametrize("static", [False, True])
def test_a_signal_elsewhere(asked: Asked, static: bool) -> None:
    signal = Static(torch.rand(2, 4), 3) if static else torch.rand(3, 2, 4)
    with pytest.raises(RequestError, match=r"Linear '0' is on device 'meta' and the signal on 'cpu'.*signal\.to"):
        asked(network().to("meta"), signal)


@both
def test_a_layer_elsewhere(asked: Asked) -> None:
    model = network()
    model[2].to("meta")
    with pytest.raises(RequestError, match="Linear '2' is on device 'meta' and the signal on 'cpu'"):
        asked(model, torch.rand(3, 2, 4))


@both
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_signal_of_another_type(asked: Asked, dtype: torch.dtype) -> None:
    with pytest.raises(RequestError, match=f"weights of torch.float32 and the signal is of {dtype}; expected one type"):
        asked(network(), torch.rand(3, 2, 4).to(dtype))


@both
def test_weights_of_a_type_without_products(asked: Asked) -> None:
    with pytest.raises(RequestError, match=r"weights of torch.float8_e5m2; expected float32, .*Use model\.float"):
        asked(network().to(torch.float8_e5m2), torch.rand(3, 2, 4).to(torch.float8_e5m2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_one_type_throughout_is_welcome(dtype: torch.dtype) -> None:
    rule = rules.bp(network().to(dtype))
    out = rule.forward(torch.rand(3, 2, 4).to(dtype))
    assert out.dtype == dtype
    rule.backward(out.square().mean())
    assert all(parameter.grad is not None and parameter.grad.dtype == dtype for parameter in rule.parameters())


def test_feedback_that_stayed_behind() -> None:
    model = network()
    rule = rules.fa(model)
    rule._feedback.to("meta")
    with pytest.raises(RequestError, match=r"fa has its feedback on device 'meta' and the network on 'cpu'.*rule\.to"):
        rule.forward(torch.rand(3, 2, 4))
    assert rules.bp(network()).to("cpu").forward(torch.rand(3, 2, 4)).shape == (3, 2, 3)
