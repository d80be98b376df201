from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import pytest

from onchip.errors import RequestError
from onchip.runs.grammar import Call, bind, command_name, convert, describe, grid, parse, split

__all__ = ["Circle", "Round", "Shape", "Square"]  # what may be named in options here


class Shape(ABC):
    @abstractmethod
    def area(self) -> float: ...


@dataclass(frozen=True)
class Square(Shape):
    side: float
    filled: bool = True

    def area(self) -> float:
        return self.side**2


@dataclass(frozen=True)
class Circle(Shape):
    def area(self) -> float:
        return 3.14


@dataclass(frozen=True)
class Hidden(Shape):  # not exported
    def area(self) -> float:
        return 0.0


Round = Circle


def method(
    model: object,
    *,
    period: int,
    rate: float = 0.5,
    on: bool = True,
    name: str = "x",
    mode: Literal["soft", "hard"] = "soft",
    limit: int | None = None,
    shape: Shape | None = None,
    size: int | Square = 1,
) -> None: ...


def bound(**options: str) -> dict[str, object]:
    return bind("rule 'method'", method, options, settled=["model"])


def test_splits_rules_from_each_other() -> None:
    assert split("bp, fbp:period=100;transport=top:0.1 ,dfa") == ["bp", "fbp:period=100;transport=top:0.1", "dfa"]


def test_parses_a_call_and_writes_it_back() -> None:
    call = parse("Weight_Mirror: period = 3 ; transport=top:0.1")
    assert call == Call("weight-mirror", {"period": "3", "transport": "top:0.1"})
    assert str(call) == "weight-mirror:period=3;transport=top:0.1"
    assert str(parse("bp")) == "bp"


def test_values_take_the_annotated_types() -> None:
    values = bound(period="3", rate="1e-2", on="False", name="7", mode="hard", limit="4", shape="square:2:false")
    assert values == {
        "period": 3,
        "rate": 0.01,
        "on": False,
        "name": "7",
        "mode": "hard",
        "limit": 4,
        "shape": Square(2.0, False),
        "size": 1,
    }


def test_what_is_not_given_keeps_its_default() -> None:
    assert bound(period="3")["limit"] is None
    assert bound(period="3", limit="none")["limit"] is None


def test_parts_take_arguments_by_name_too() -> None:
    assert bound(period="1", shape="square:filled=false:side=3")["shape"] == Square(3.0, False)
    assert bound(period="1", shape="circle")["shape"] == Circle()
    assert bound(period="1", size="square:2")["size"] == Square(2.0)


@pytest.mark.parametrize("value", [1, 2.5, True, "x", None])
def test_describes_plain_values_as_they_are(value: object) -> None:
    assert describe(value) == value


def test_describes_a_part_as_it_is_written() -> None:
    text = describe(Square(2.0, False))
    assert text == "square:side=2.0:filled=false"
    assert convert(str(text), Shape, "shape") == Square(2.0, False)


def test_command_names() -> None:
    assert command_name("conv_small") == command_name(" Conv-Small") == "conv-small"


@pytest.mark.parametrize("text", ["", "bp,", ",bp", "bp,,fa"])
def test_refuses_an_empty_name(text: str) -> None:
    with pytest.raises(RequestError, match="empty name"):
        split(text)


def test_says_how_options_are_separated() -> None:
    with pytest.raises(RequestError, match="';'"):
        split("fbp:period=100,transport=top:0.1")


@pytest.mark.parametrize("text", ["", ":a=1", "fbp:", "fbp:period", "fbp:period=", "fbp:=3", "fbp:a=1;", "fbp:a=1;a=2"])
def test_refuses_what_is_no_call(text: str) -> None:
    with pytest.raises(RequestError):
        parse(text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the option period"),
        ({"perod": "3"}, "did you mean 'period'"),
        ({"period": "x"}, "expected int"),
        ({"period": "1", "size": "x"}, "expected int or square"),
        ({"period": "1.5"}, "expected int"),
        ({"period": "1", "on": "1"}, "expected bool"),
        ({"period": "1", "mode": "sof"}, "did you mean 'soft'"),
        ({"period": "1", "shape": "sqare:1"}, "did you mean 'square'"),
        ({"period": "1", "shape": "hidden"}, "There are: "),
        ({"period": "1", "shape": "square"}, "needs the option side"),
        ({"period": "1", "shape": "square:1:true:3"}, "takes only side, filled"),
        ({"period": "1", "shape": "circle:1"}, "takes no argument"),
        ({"period": "1", "shape": "square:width=1"}, "unknown option"),
    ],
)
def test_refuses_by_name_what_does_not_fit(options: dict[str, str], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        bound(**options)


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("bp,fa", ["bp", "fa"]),
        ("fbp:period=1,10,100", ["fbp:period=1", "fbp:period=10", "fbp:period=100"]),
        ("fbp:period=1 , 2,dfa", ["fbp:period=1", "fbp:period=2", "dfa"]),
        ("fbp:transport=top:0.1,.01", ["fbp:transport=top:0.1", "fbp:transport=top:.01"]),
        ("fbp:transport=top:0.1|sign", ["fbp:transport=top:0.1", "fbp:transport=sign"]),
        ("fbp:transport=low-rank:1:bits=4,8", ["fbp:transport=low-rank:1:bits=4", "fbp:transport=low-rank:1:bits=8"]),
        ("r:a=1|2;b=x|y", ["r:a=1;b=x", "r:a=1;b=y", "r:a=2;b=x", "r:a=2;b=y"]),
        ("r:a=1e-3,-2", ["r:a=1e-3", "r:a=-2"]),
        ("r:a=none|7", ["r:a=none", "r:a=7"]),
    ],
)
def test_a_grid_is_every_combination(text: str, calls: list[str]) -> None:
    assert grid(text) == calls


@pytest.mark.parametrize("text", ["r:a=1|", "r:a=|1", "r:a=1||2", "r:a=1,", "r:b,c=1"])
def test_a_grid_has_no_gaps(text: str) -> None:
    with pytest.raises(RequestError):
        list(map(parse, grid(text)))
