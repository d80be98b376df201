"""Values of files and command lines, checked against the types of those who take them."""

from typing import Any

import msgspec


def decoded(text: bytes | str, kind: Any = Any) -> Any:
    """JSON as a type; stricter than `json.loads`, which takes NaN, infinity and half of a surrogate pair.

    Args:
        text: One JSON value.
        kind: What `msgspec` converts to: a dataclass, a union, `tuple[item, ...]`, `dict[key, item]`, ...

    Raises:
        ValueError: It is no JSON in UTF-8, or of another type; the message says where and what was expected.
        RecursionError: It is nested without end.

    Example:
        >>> decoded('{"a": [1, 2]}', dict[str, tuple[int, ...]])
        {'a': (1, 2)}
    """
    return msgspec.json.decode(text, type=kind)


def converted(value: Any, kind: Any) -> Any:
    """A plain value as a type. A whole number may stand for a float, and a list for a tuple; nothing else changes.

    Args:
        value: What JSON or TOML gave.
        kind: See `decoded`.

    Raises:
        ValueError: It is of another type; the message says where and what was expected.

    Example:
        >>> converted(3, float | None)
        3.0
    """
    return msgspec.convert(value, kind)
