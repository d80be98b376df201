"""Signals, weights and feedback on several devices or of several types: refused by name, with what to do."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from onchip import kernels, nn, rules
from onchip.errors import RequestError
from onchip.learning.silent_layers import SilentLayers
from onchip.nn.neurons.leaky import Leaky
from onchip.nn.signals import Signal, SpikeTimes, SpikeTrains, Static
from tests.cases import Case, learn, some_pairs
from tests.rules.test_contract import RULES, over

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
    rule._engine.feedback.to("meta")
    with pytest.raises(RequestError, match=r"fa has its feedback on device 'meta' and the network on 'cpu'.*rule\.to"):
        rule.forward(torch.rand(3, 2, 4))
    assert rules.bp(network()).to("cpu").forward(torch.rand(3, 2, 4)).shape == (3, 2, 3)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Numbers that Python asks of a device, each of which it would wait for: who asked. It gets a number."""
    asked: list[str] = []

    def stand_in(answer: Callable[[Tensor], object]) -> Callable[[Tensor], object]:
        def answered(tensor: Tensor) -> object:
            asked.append(traceback.extract_stack(limit=2)[0].name)
            return answer(tensor)

        return answered

    answers: dict[str, Callable[[Tensor], object]] = {
        "item": lambda tensor: 0.5,
        "tolist": lambda tensor: [0.5] * tensor.numel(),
        "__float__": lambda tensor: 0.5,
        "__int__": lambda tensor: 1,
        "__bool__": lambda tensor: False,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(Tensor, name, stand_in(answer))
    return asked


@over(some_pairs())
def test_a_step_keeps_to_one_device_and_waits_for_nothing(
    name: str, case: Case, waits: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On tensors that have a device and no numbers, of which none may meet one of another device."""
    monkeypatch.setattr(SilentLayers, "check", lambda *_: None)  # now and then, in one step of a hundred
    for kind in (SpikeTimes, SpikeTrains):
        monkeypatch.setattr(kind, "check_values", lambda *_: None)
    with kernels.forced("torch"), FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("meta"):
            model, signal = case.build(), case.signal()
        rule = RULES[name](model)
        optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
        for _ in range(2):
            waits.clear()
            rule.forward(signal)
            learn(rule)
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
    learnt = any(isinstance(module, Leaky) and module.learned() for module in model.modules())
    assert set(waits) <= ({"constant"} if learnt else set()), "neurons ask for a decay that the layer learns"


def test_the_check_of_devices_can_fail() -> None:
    with FakeTensorMode():
        there, here = torch.zeros(2, 2, device="meta"), torch.zeros(2, 2)
        for meet in (torch.add, torch.mm):
            with pytest.raises(RuntimeError, match=r"same device|different devices"):  # by the version of torch
                meet(there, here)
