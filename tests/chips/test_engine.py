"""What programs an engine refuses, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onchip.chips import Fact, Program, Trace, chip, parse
from onchip.chips.engine import refusals, representable

LOIHI = chip("loihi")
TRACES = {
    "x1": Trace("x1", "x0", 2.0, 0.5),
    "x2": Trace("x2", "x0"),
    "y1": Trace("y1", "program: max(e, 0)"),
    "y2": Trace("y2", "y0", 1.0, 0.9),
    "y3": Trace("y3", "program: e"),
}


def program(*texts: str, epoch: int = 1) -> Program:
    expressions = tuple(map(parse, texts))
    used = set[str]().union(*(each.variables for each in expressions))
    return Program(tuple(trace for name, trace in TRACES.items() if name in used), expressions, epoch)


@pytest.mark.parametrize(
    "texts",
    [
        ("dw = -7 * 2^-9 * u0 * x1 * y1 + 2^-3 * x0 * y2 - 5 * y0 * x2", "dt = u0 * x1 * y3 - 2^-2 * u0 * t"),
        ("dw = 2^-3 * u4 * sgn(w) * (t - 3)", "dt = 2^40 * u4 * x1"),
        ("dw = 0",),
    ],
)
def test_what_loihi_can_do(texts: tuple[str, ...]) -> None:
    assert list(refusals(program(*texts, epoch=63), LOIHI)) == []


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (program("dw = u0 * x1", "dt = u1 * x1"), "u0 and u1: the periods of all expressions must be the same"),
        (program("dw = 9 * u0 * x1"), "the scale 9 has a mantissa of more than 4 bits"),
        (program("dw = 0.3 * u0 * x1"), "the scale 0.3 has a mantissa of more than 4 bits"),
        (program("dw = u0 * sgn(y1)"), "sgn(y1): signs are of w, d and t only"),
        (program("dw = u0 * x1", epoch=64), "an epoch of 64 time steps: the chip has 63 steps at most"),
    ],
)
def test_what_loihi_cannot_do(made: Program, expected: str) -> None:
    assert list(refusals(made, LOIHI)) == [expected]


def test_limits_of_traces_tags_and_programs() -> None:
    few: Fact[int] = Fact(1, "1", "a test")
    small = replace(LOIHI, traces=replace(LOIHI.traces, pre=few, post=few))
    found = list(refusals(program("dw = u0 * x1 * x2 * y1 * y2"), small))
    assert found == ["x1, x2: the chip has 1 presynaptic traces", "y1, y2: the chip has 1 postsynaptic traces"]
    only_y2: Fact[tuple[str, ...]] = Fact(("y2",), "y2", "a test")
    silent = replace(LOIHI, neurons=replace(LOIHI.neurons, written=only_y2))
    assert list(refusals(program("dw = u0 * y1 * y2"), silent)) == ["y1: a neuron's program writes y2"]
    untagged = replace(LOIHI, synapses=replace(LOIHI.synapses, state_bits=Fact()))
    assert list(refusals(program("dt = u0 * x1"), untagged)) == ["dt: the chip's synapses have no tag"]
    unknown = replace(LOIHI, traces=replace(LOIHI.traces, pre=Fact()), engine=replace(LOIHI.engine, epoch=Fact()))
    assert list(refusals(program("dw = u0 * x1", epoch=2), unknown)) == [
        "x1: the chip has unknown presynaptic traces",
        "an epoch of 2 time steps: the chip has unknown at most",
    ]


def test_programs_and_arrays_take_any_form() -> None:
    odd = program("dw = 0.3 * u0 * x1 * sgn(y1)", "dt = u1 * x2", epoch=1000)
    for name in ("spinnaker2", "digital", "crossbar"):
        assert list(refusals(odd, chip(name))) == []


@pytest.mark.parametrize(
    ("scale", "bits", "fits"),
    [(7.0, 4, True), (8.0, 4, True), (9.0, 4, False), (-7 * 2.0**-30, 4, True), (0.1, 4, False), (0.1, None, True)],
)
def test_mantissas(scale: float, bits: int | None, fits: bool) -> None:
    assert representable(scale, bits) is fits
