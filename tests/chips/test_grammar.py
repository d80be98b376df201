"""Expressions of learning engines, as data and as text."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onchip.chips import Expression, Factor, Product, Program, Trace, parse
from onchip.chips.grammar import DEPENDENCIES, TARGETS, VARIABLES
from onchip.errors import RequestError

numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=True)
simple = st.sampled_from([1.0, -1.0, 0.5, -3 * 2.0**-7, 15.0, 0.1, 1e300, 5e-324, 2.0**53 + 2])
factors = st.builds(Factor, st.sampled_from(VARIABLES), numbers | st.integers(-9, 9).map(float), st.booleans())
products = st.builds(
    Product,
    (numbers | simple).filter(bool),
    st.sampled_from(DEPENDENCIES),
    st.lists(factors, max_size=5).map(tuple),
)
expressions = st.builds(Expression, st.sampled_from(TARGETS), st.lists(products, max_size=5).map(tuple))


@given(expressions)
def test_parsing_is_the_inverse_of_printing(expression: Expression) -> None:
    assert parse(str(expression)) == expression


@given(st.text(string.ascii_letters + string.digits + " +-*^().=σ", max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    try:
        expression = parse(f"dw = {text}")
    except RequestError:
        return
    assert parse(str(expression)) == expression


def test_an_expression_as_it_is_written_in_papers() -> None:
    expression = parse("dw = -2^-7*u0*x1*y1 + x0*(y2 - 3)*sgn(w + 1)*0.3 - y0 * x1")
    assert expression == Expression(
        "w",
        (
            Product(-1 / 128, "u0", (Factor("x1"), Factor("y1"))),
            Product(0.3, "x0", (Factor("y2", -3.0), Factor("w", 1.0, sign=True))),
            Product(-1.0, "y0", (Factor("x1"),)),
        ),
    )
    assert str(expression) == "dw = -2^-7 * u0 * x1 * y1 + 0.3 * x0 * (y2 - 3) * sgn(w + 1) - y0 * x1"


def test_spikes_are_factors_beside_a_period() -> None:
    assert parse("dt = x0 * y0 * u3").products == (Product(1.0, "u3", (Factor("x0"), Factor("y0"))),)
    assert parse("dt = y0 * x0").products == (Product(1.0, "y0", (Factor("x0"),)),)
    assert parse("dw = 0").products == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x1 * y1", "dw, dd or dt"),
        ("dv = u0", "dw, dd or dt"),
        ("dw = x1 * y1", "u0 to u9, x0 or y0 in each product"),
        ("dw = u0 * u1 * x1", "one of u0 and u1"),
        ("dw = u0 * x3", "one of x0, y0"),
        ("dw = u0 * x1 +", "a factor at the end"),
        ("dw = u0 x1", "before x1"),
        ("dw = u0 * (x1 + y1)", "a number"),
        ("dw = u0 * (x1", "+ before the end"),
        ("dw = u0 * x1^2", "*, + or - before ^"),
        ("dw = 2^x1 * u0", "a power such as 2^-7"),
        ("dw = 0 * u0", "finite numbers other than 0"),
        ("dw = 1e999 * u0", "finite numbers"),
        ("dw = 10^900 * u0", "finite numbers"),
        ("dw = import * u0", "numbers, variables"),
        ("dw = ", "a factor at the end"),
        ("dw = " + "(" * 9000, "one of"),
        ("dw = u0" + " * x1" * 9000, "a sum of products"),
    ],
)
def test_text_that_is_not_in_the_grammar(text: str, expected: str) -> None:
    with pytest.raises(RequestError, match="not in the grammar") as refused:
        parse(text)
    assert expected in str(refused.value)
    assert len(str(refused.value)) < 500


def test_a_program_prints_its_traces() -> None:
    written = Trace("y1", "program: max(ψ·e, 0)")
    program = Program((Trace("x1", "x0", 2.0, 0.9), written), (parse("dw = u0 * x1 * y1"),), epoch=4)
    assert str(program).splitlines() == [
        "x1[t] = 0.9 * x1[t-1] + 2 * x0[t]",
        "y1[t] = max(ψ·e, 0)",
        "every 4 time steps:",
        "dw = u0 * x1 * y1",
    ]
    assert written.written
    assert program.trace("y1") is written
    assert program.trace("y2") is None
    assert program.expression("t") == Expression("t", ())


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Trace("x3", "x0"), "one of x1, x2, y1"),
        (lambda: Trace("y1", "x0"), "y0, or program:"),
        (lambda: Trace("x1", "x0", -1.0), "at least 0"),
        (lambda: Trace("x1", "x0", decay=1.5), "a share in"),
        (lambda: Trace("y1", "program: e", decay=0.5), "0, with impulse=1"),
        (lambda: Factor("z"), "one of x0"),
        (lambda: Factor("x1", float("nan")), "a finite number"),
        (lambda: Product(0.0, "u0"), "a finite number but 0"),
        (lambda: Product(1.0, "u10"), "one of x0, y0, u0"),
        (lambda: Expression("dw", ()), "one of w, d, t"),
        (lambda: Program((), (parse("dw = u0 * x1"),)), "also x1"),
        (lambda: Program((Trace("x1", "x0"), Trace("x1", "x0")), ()), "each once"),
        (lambda: Program((), (parse("dw = u0"), parse("dw = x0"))), "each target once"),
        (lambda: Program((), (), epoch=0), "at least 1 time step"),
    ],
)
def test_parts_that_do_not_exist(make: object, expected: str) -> None:
    assert callable(make)
    with pytest.raises(RequestError, match="expected") as refused:
        make()
    assert expected in str(refused.value)
