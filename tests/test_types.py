from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from onchip._types import fits, misfits


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (1, int, True),
        (True, int, False),
        (1, float, True),
        (1.0, int, False),
        ("1", float, False),
        (None, int | None, True),
        ("a", int | None, False),
        ("any", Literal["one"], True),
        ((1, 2), tuple[int, ...], True),
        ((1, "2"), tuple[int, ...], False),
        ([1], tuple[int, ...], False),
        ({"a": None}, dict[str, float | None], True),
        ({"a": {}}, dict[str, float | None], False),
        ({1: 1.0}, dict[str, float | None], False),
        (object(), Any, True),
    ],
)
def test_a_value_fits_its_type_or_not(value: object, hint: Any, expected: bool) -> None:
    assert fits(value, hint) is expected


def test_names_what_does_not_fit_and_what_would() -> None:
    @dataclass
    class Pair:
        size: int
        share: float | None = None

    # Annotations of a local class are text: resolve them as a module's would be.
    Pair.__annotations__ = {"size": int, "share": float | None}
    assert misfits({"size": 1.5, "share": None, "else": 0}, Pair) == [("size", "int")]
    assert misfits({"share": "x"}, Pair) == [("share", "float | None")]
