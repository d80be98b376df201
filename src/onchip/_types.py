"""Values of files, command lines and callers, checked against the types of those who take them."""

import functools
import inspect
import reprlib
import types
from collections.abc import Callable
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from onchip.errors import RequestError

Made = TypeVar("Made", bound=Callable[..., Any])


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


def checked(made: Made) -> Made:
    """A class or function whose arguments are of the annotated types, or RequestError is raised.

    A whole number may stand for a float, a number of NumPy's or a tensor of one number for a number, and nothing for
    something of another type. Ranges are for the body to check, by `onchip.errors.require`.

    Example:
        >>> checked(lambda: None)()
    """
    called: Callable[..., Any] = vars(made)["__init__"] if inspect.isclass(made) else made
    of_class = inspect.isclass(made)

    @functools.wraps(called)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if len(args) > of_class or kwargs:
            _check(type(args[0]).__name__ if of_class else called.__name__, called, args, kwargs)
        return called(*args, **kwargs)

    if not of_class:
        return wrapper  # type: ignore[return-value]
    setattr(made, "__init__", wrapper)  # noqa: B010 (a type checker cannot follow an assignment)
    return made


def _check(owner: str, called: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature, hints = _annotated(called)
    try:
        given = signature.bind_partial(*args, **kwargs).arguments
    except TypeError:
        return  # too many arguments, or a wrong name: Python has its own error for that
    for name, value in given.items():
        if name in hints and not _fits(value, hints[name]):
            raise RequestError(f"{owner} got {name}={reprlib.repr(value)}; expected {_words(hints[name])}")


@functools.cache
def _annotated(called: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, Any]]:
    """Signature, and types of the parameters; on demand, because a module's names are complete after its import."""
    return inspect.signature(called), get_type_hints(called)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) in (Union, types.UnionType):  # of which msgspec takes some only
        return any(_fits(value, part) for part in get_args(hint))
    plain = value.item() if getattr(value, "shape", None) == () and hint in (int, float) else value
    try:
        msgspec.convert(plain, hint)
    except msgspec.ValidationError:
        return False
    return True


def _words(hint: Any) -> str:
    """A type as a reader writes it."""
    if get_origin(hint) in (Union, types.UnionType, Literal):
        *first, last = map(repr if get_origin(hint) is Literal else _words, get_args(hint))
        return f"{', '.join(first)} or {last}" if first else last
    return "None" if hint is type(None) else str(getattr(hint, "__name__", hint))
