"""Whether a value is of the type that an annotation asks for: for what comes from files and command lines."""

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type. A whole number also is a float, and a truth value is no number.

    Args:
        value: anything.
        hint: a class, `Any`, or a union, `Literal`, `tuple[item, ...]` or `dict[key, item]` of such. The
            choices of a `Literal` are for its owner to check, who knows what to say.

    Example:
        >>> fits(3, float | None), fits(True, int), fits({"a": [1]}, dict[str, int])
        (True, False, False)
    """
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return isinstance(value, str)
    if origin is tuple:
        return isinstance(value, tuple) and all(fits(item, parts[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items())
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def misfits(values: Mapping[str, object], owner: type) -> list[tuple[str, str]]:
    """Names whose values are not of the type that a class annotates, each with that type as a reader knows it."""
    hints = get_type_hints(owner)
    wrong = [name for name, value in values.items() if name in hints and not fits(value, hints[name])]
    return [(name, str(getattr(hints[name], "__name__", hints[name])).replace("typing.", "")) for name in wrong]
