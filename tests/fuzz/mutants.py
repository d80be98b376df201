"""Mutants of files, and what reading one of them may come to."""

from __future__ import annotations

import contextlib
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from onchip.errors import OnchipError

T = TypeVar("T")

SECONDS = 20.0
"""In which a mutant must be read or refused, on a machine that does much else; most need milliseconds."""

TIMES = int(os.environ.get("MUTANTS", "1"))
"""How many times as many mutants as usual; for a search that takes longer."""

PIECES = (
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"0.5", b"9" * 400),
    *(b'""', b'"', b"{}", b"[]", b"{", b"]", b"[" * 3000, b'{"a":' * 3000, b"\n", b","),
    *(b"\\ud800", b"\\u0000", b"\xff\xfe", b"\xef\xbb\xbf", b"\0", b"\0" * 9, b"\xff" * 4),
    *(b"\x7f\xff\xff\xff", b"\x00\x00\x00\x01", b"F64", b"BF16", b"F8_E5M2", b"C64", b"U8", b"F4"),
)
"""What formats of text, numbers and types stumble over."""

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 1.5, 1e300, -1e300, 2**31, 2**63, 10**400),
    *("", "0", "\0", "\x1b[31m\u202e", "\n", "x" * 9999, "=1+1", "<script>", "folder:\0"),
    *([], {}, [None], ["bp"], [0, 0], [1.5], {"a": {}}, {"": -1}, [[[[]]]], [{"epoch": 1}]),
)
"""Values that a setting or a result has never had."""


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Content of which one to three parts are lost, repeated, or replaced by others."""
    content = whole
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        length = draw(st.one_of(st.integers(0, 1), st.integers(0, 9), st.integers(0, len(content))))
        place = draw(st.integers(0, len(content)))
        repeated = content[place : place + draw(st.integers(0, 30))]
        piece = draw(st.one_of(st.binary(max_size=4), st.sampled_from(PIECES), st.just(repeated)))
        content = content[:start] + piece + content[start + length :]
    return content


@st.composite
def odd(draw: st.DrawFn, values: dict[str, Any]) -> dict[str, Any]:
    """Values of which one, at the top or inside, is missing, has another name, or is odd."""
    changed = dict(values)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(changed)))
        value = changed[name]
        how = draw(st.sampled_from(["inside", "inside", "odd", "odd", "odd", "lost", "renamed"]))
        if how == "inside" and isinstance(value, dict) and value:
            changed[name] = draw(odd(value))
        elif how == "inside" and isinstance(value, list) and value and isinstance(value[0], dict):
            changed[name] = [draw(odd(value[0])), *value[1:]]
        elif how == "renamed":
            changed[name + "x"] = changed.pop(name)
        elif how == "lost":
            del changed[name]
        else:
            changed[name] = draw(st.sampled_from(ODD))
        if not changed:
            break
    return changed


class TooSlow(BaseException):
    """Not an `Exception`, so that no handler takes it for damage."""


@contextlib.contextmanager
def limited(seconds: float = SECONDS) -> Iterator[None]:
    """Raises TooSlow in the block when its time is over."""

    def over(*_: object) -> None:
        raise TooSlow(f"a mutant took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def outcome(read: Callable[[], T]) -> T | None:
    """What was read; None if it was refused by an error in one line. Anything else is raised."""
    try:
        return read()
    except OnchipError as error:
        message = str(error)
        assert message, "an error says what was wrong"
        assert "\n" not in message
        assert len(message) < 1000, message[:300]
        return None


def check_all(
    mutants: st.SearchStrategy[T],
    check: Callable[[T], object],
    count: int,
    record: Callable[[str, object], None],
) -> None:
    """Check a number of mutants, the same ones each time.

    Args:
        mutants: Draws one.
        check: Fails if reading it goes wrong.
        count: How many.
        record: pytest's `record_property`, which takes their number to the last lines of the output.
    """
    seen = 0

    @settings(
        max_examples=TIMES * count,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    @given(mutants)
    def one(mutant: T) -> None:
        nonlocal seen
        seen += 1
        with limited(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check(mutant)

    one()
    assert seen >= count
    record("mutants", seen)
