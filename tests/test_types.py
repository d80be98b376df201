from __future__ import annotations

from typing import Any

import pytest

from onchip._types import converted, decoded


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, int, 1),
        (1, float, 1.0),
        (None, int | None, None),
        ([1, 2], tuple[int, ...], (1, 2)),
        ({"a": None}, dict[str, float | None], {"a": None}),
    ],
)
def test_a_value_that_fits_is_taken(value: object, kind: Any, expected: object) -> None:
    got = converted(value, kind)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, int),
        (1.0, int),
        ("1", float),
        ("a", int | None),
        ([1, "2"], tuple[int, ...]),
        ({1: 1.0}, dict[str, float]),
    ],
)
def test_another_type_is_refused(value: object, kind: Any) -> None:
    with pytest.raises(ValueError, match="Expected"):
        converted(value, kind)


@pytest.mark.parametrize("text", [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b'"\xff"', b"", b"1 2", b"\x00"])
def test_json_is_read_strictly(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decoded(text)
