"""Every option of every part refuses what is not of its type, in one line that names it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch

from onchip import nn, rules, surrogate, transport
from onchip._types import checked
from onchip.errors import RequestError
from onchip.nn.neurons import READOUTS
from onchip.training import registry


def parts() -> Iterator[tuple[str, Callable[..., Any]]]:
    for kind in ("rule", "neuron", "encoder", "device", "loss", "augment"):
        yield from registry.known(kind).items()
    for module in (surrogate, transport):
        yield from ((name, getattr(module, name)) for name in module.__all__)
    yield from ((made.__name__, made) for made in (*READOUTS, nn.EarliestPool2d, nn.Residual))


NO_PARTS = {"predict", "compose", "Transported", "plan_within_budget", "planned_bits"}
OPTIONS = [
    pytest.param(made, option, id=f"{name}-{option}")
    for name, made in parts()
    if callable(made) and not inspect.isabstract(made) and name not in NO_PARTS
    for option in inspect.signature(made).parameters
    if option != "model"  # which the network's builder checks
]


@pytest.mark.parametrize(("made", "option"), OPTIONS)
def test_an_option_of_another_type_is_refused(made: Callable[..., Any], option: str) -> None:
    with pytest.raises(RequestError, match=rf"^{made.__name__} got {option}=<object .*; expected [^<]+$") as caught:
        made(**{option: object()})
    assert "\n" not in str(caught.value)


@checked
def example(number: float, count: int = 1, *, way: Literal["up", "down"] = "up", other: nn.LIF | None = None) -> str:
    return f"{number} {count} {way}"


@pytest.mark.parametrize("number", [1, 1.0, np.float32(1), np.float64(1), np.int64(1), torch.tensor(1.0), float("inf")])
def test_numbers_of_all_kinds_are_taken(number: Any) -> None:
    assert example(number, np.int64(2), other=nn.LIF()) == f"{number} 2 up"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"number": "1"}, "example got number='1'; expected float"),
        ({"number": True}, "example got number=True; expected float"),
        ({"number": torch.ones(2)}, r"example got number=tensor\(\[1., 1.\]\); expected float"),
        ({"number": 1, "count": 1.0}, "example got count=1.0; expected int"),
        ({"number": 1, "way": "left"}, "example got way='left'; expected 'up' or 'down'"),
        ({"number": 1, "other": nn.Linear(1, 1)}, "example got other=.*; expected LIF or None"),
        ({"number": None}, "example got number=None; expected float"),
    ],
)
def test_other_values_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=f"^{said}$"):
        example(**arguments)


def test_a_wrong_name_is_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'treshold'"):
        nn.LIF(treshold=1.0)  # type: ignore[call-arg]


def test_a_wrong_threshold_is_refused_as_the_class_that_got_it() -> None:
    with pytest.raises(RequestError, match=r"^LIF got threshold='a'; expected float$"):
        nn.LIF(threshold="a")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"^IF got reset='x'; expected 'soft' or 'hard'$"):
        nn.IF(reset="x")  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"^fbp got period='often'; expected int, Doubling, Balanced or None$"):
        rules.fbp(nn.Sequential(nn.Linear(2, 2)), period="often")  # type: ignore[arg-type]
