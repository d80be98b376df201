"""How parts and their options are written as text, and read back into typed values.

The grammar, as used by `--rules`, `--neuron` and `--encoder`:

    calls  = call {"," call}                   bp,fa,fbp:period=100
    call   = name [":" option {";" option}]    fbp:period=100;transport=top:0.1
    option = key "=" value                     a value alone may begin the options of what has a first one, chip:loihi
    value  = number | true | false | none | word | part
    part   = name {":" argument}               top:0.1 or top:fraction=0.1

A value therefore holds no comma, no semicolon and no bar. `--rules` takes a grid of options as well: bars between
values, or commas before numbers, which begin no name; see `grid`. What a key means, and of which type its
value is, comes from the annotated parameters of the function or class that is called.
"""

import contextlib
import dataclasses
import inspect
import itertools
import re
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from onchip.errors import RequestError, unknown_name

NUMBER = r"[-+]?\.?\d[\d.eE+-]*"

Scalar = str | int | float | bool | None
"""What an option's value looks like in a record."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A name with its options, still as text."""

    name: str
    options: Mapping[str, str]

    def __str__(self) -> str:
        options = ";".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name}:{options}" if options else self.name


def command_name(name: str) -> str:
    """The name of a Python object as the command line writes it: lower case, hyphens.

    Example:
        >>> command_name("conv_small")
        'conv-small'
    """
    return name.strip().lower().replace("_", "-")


def part_name(part: Any) -> str:
    """The name of a class or function on the command line: its own `command`, or its Python name in that form."""
    return str(vars(part).get("command") or command_name(part.__name__))


def split(text: str) -> list[str]:
    """The calls in a text, commas between them.

    Raises:
        RequestError: one of them is empty, or an option stands where a name should.
    """
    calls = [call.strip() for call in text.split(",")]
    for call in calls:
        if not call:
            raise RequestError(f"{text!r} has an empty name between its commas; expected name,name,...")
        if "=" in call.partition(":")[0]:
            raise RequestError(
                f"{call!r} in {text!r} is no name; options of one rule are separated by ';', "
                "as in fbp:period=100;transport=top:0.1"
            )
    return calls


def grid(text: str) -> list[str]:
    """The calls in a text; a call with several values for an option becomes one call per combination of values.

    A number alone takes the place of the number that the value before it ends with.

    Raises:
        RequestError: as `split`; or a value is empty.

    Example:
        >>> grid("bp,fbp:period=1|100;transport=full|sign")[3:]
        ['fbp:period=100;transport=full', 'fbp:period=100;transport=sign']
        >>> grid("fbp:period=9;transport=top:0.1,0.01")
        ['fbp:period=9;transport=top:0.1', 'fbp:period=9;transport=top:0.01']
    """
    calls = split(re.sub(rf"\s*,\s*(?={NUMBER})", "|", text))
    return [call for several in calls for call in _combined(several)]


def parse(text: str, *, alone: Callable[[str], str | None] = lambda name: None) -> Call:
    """A name and its options from `name:key=value;key=value`.

    Args:
        text: The text.
        alone: Which option of a name the first value has that stands alone, as in `chip:loihi`; None for none.

    Raises:
        RequestError: the text does not follow the grammar.

    Example:
        >>> parse("fbp:period=100;transport=top:0.1").options
        {'period': '100', 'transport': 'top:0.1'}
    """
    name, colon, rest = text.partition(":")
    if not name.strip() or (colon and not rest.strip()):
        raise RequestError(f"got {text!r}; expected name or name:key=value;key=value")
    options: dict[str, str] = {}
    for place, option in enumerate(rest.split(";") if colon else ()):
        key, equals, value = (piece.strip() for piece in option.partition("="))
        if place == 0 and key and not equals and (first := alone(command_name(name))) is not None:
            key, equals, value = first, "=", key
        if not (key and equals and value):
            raise RequestError(f"got the option {option!r} in {text!r}; expected key=value")
        key = key.replace("-", "_")
        if key in options:
            raise RequestError(f"{text!r} sets {key!r} twice; set it once")
        options[key] = value
    return Call(command_name(name), options)


def bind(
    what: str, called: Callable[..., Any], options: Mapping[str, str], *, settled: Iterable[str] = ()
) -> dict[str, Any]:
    """Every option that a function or class takes, typed: those given as text, the rest by default.

    Args:
        what: The name of what is called, for messages: "rule 'fbp'".
        called: The function or class; its annotations give the types.
        options: Option names to text.
        settled: Parameters that are not options, because the caller supplies them.

    Returns:
        Option names to values.

    Raises:
        RequestError: an option is unknown, missing, or its value is not of its type.
    """
    parameters = inspect.signature(called, eval_str=True).parameters
    known = [name for name in parameters if name not in settled]
    for key in options:
        if key not in known:
            if not known:
                raise RequestError(f"{what} got the option {key!r}; it takes none")
            raise unknown_name(f"option of {what}:", key, known)
    values = {}
    for name in known:
        if name in options:
            values[name] = convert(options[name], parameters[name].annotation, f"{what}, {name}")
        elif parameters[name].default is inspect.Parameter.empty:
            raise RequestError(f"{what} needs the option {name}; write {name}=...")
        else:
            values[name] = parameters[name].default
    return values


def convert(text: str, annotation: Any, where: str) -> Any:
    """One value from its text.

    Args:
        text: The text.
        annotation: The expected type: a number, bool, str, a `Literal`, a union of such, or
            the class of a part: it and its subclasses can be named, where their modules export them.
        where: The name of the option, for messages.

    Raises:
        RequestError: the text is no such value; or from the part's own checks.
    """
    if get_origin(annotation) is Literal:
        choices = [str(choice) for choice in get_args(annotation)]
        if text not in choices:
            raise unknown_name(f"value for {where}", text, choices)
        return get_args(annotation)[choices.index(text)]
    members = _members(annotation)
    if type(None) in members and text.lower() == "none":
        return None
    plain = [kind for kind in (bool, int, float, str) if kind in members]
    for kind in plain:
        if (value := _plain(text, kind)) is not None:
            return value
    literals = [member for member in members if get_origin(member) is Literal]
    if literals:
        return convert(text, literals[0], where)
    parts = _parts(members)
    if parts and (not plain or command_name(text.partition(":")[0]) in parts):
        return make_part(text, parts, where)
    expected = " or ".join([*(kind.__name__ for kind in plain), *sorted(parts)])
    raise RequestError(f"{where} got {text!r}; expected {expected}")


def make_part(text: str, parts: Mapping[str, Callable[..., Any]], where: str) -> Any:
    """The part that a text such as `top:0.1` names.

    Args:
        text: Its name, then its arguments in order, or by name.
        parts: The classes, by their names on the command line.
        where: The name of the option, for messages.

    Raises:
        RequestError: there is no such part, or its arguments do not fit.
    """
    name, *arguments = (piece.strip() for piece in text.split(":"))
    if command_name(name) not in parts:
        raise unknown_name(f"value for {where}:", name, parts)
    part = parts[command_name(name)]
    what = f"{where}={command_name(name)}"
    known = list(inspect.signature(part).parameters)
    if len(arguments) > len(known):
        takes = f"takes only {', '.join(known)}" if known else "takes no argument"
        raise RequestError(f"{what} {takes}; got {text!r}")
    options: dict[str, str] = {}
    for position, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        key = key.strip().replace("-", "_") if equals else known[position]
        if key in options:
            raise RequestError(f"{what} sets {key!r} twice in {text!r}; set it once")
        options[key] = value.strip() if equals else argument
    return part(**bind(what, part, options))


def describe(value: object) -> Scalar:
    """A value as a record shows it: a scalar as it is, a part in the grammar of this module."""
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    name = part_name(value if hasattr(value, "__name__") else type(value))
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return name
    fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value) if field.init}
    return ":".join([name, *(f"{key}={_written(item)}" for key, item in fields.items())])


def _combined(call: str) -> list[str]:
    name, colon, rest = call.partition(":")
    if not colon:
        return [call]
    options = [_alternatives(option) for option in rest.split(";")]
    return [f"{name}:{';'.join(combination)}" for combination in itertools.product(*options)]


def _alternatives(option: str) -> list[str]:
    """`key=value` for each of the values between bars."""
    first, *others = (value.strip() for value in option.split("|"))
    key, equals, _ = first.partition("=")
    settings = [first]
    for value in others:
        if not value:
            raise RequestError(f"{option!r} has an empty value between its bars; expected key=value|value")
        number = re.fullmatch(NUMBER, value) and re.fullmatch(rf"(.*[=:]){NUMBER}", settings[-1])
        settings.append(f"{number[1]}{value}" if number else f"{key}{equals}{value}")
    return settings


def _written(value: Scalar) -> str:
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _members(annotation: Any) -> tuple[Any, ...]:
    """The alternatives of a union, or the type itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for choice in get_args(annotation) for member in _members(choice))
    return (annotation,)


def _plain(text: str, kind: type) -> Scalar:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower())
    with contextlib.suppress(ValueError):
        return kind(text)
    return None


def _parts(members: Iterable[Any]) -> dict[str, type]:
    """The parts that may stand for these types: themselves and subclasses, if concrete and public."""
    # Tensors, which some options also take, cannot be written as text.
    none = "builtins", "torch"
    classes = (member for member in members if isinstance(member, type) and member.__module__ not in none)
    parts = {part for member in classes for part in _with_subclasses(member)}
    return {part_name(part): part for part in parts if _is_public(part) and not inspect.isabstract(part)}


def _is_public(part: type) -> bool:
    names = getattr(sys.modules.get(part.__module__), "__all__", None)
    return not part.__name__.startswith("_") if names is None else part.__name__ in names


def _with_subclasses(kind: type) -> Iterator[type]:
    yield kind
    subclasses: list[type] = type.__subclasses__(kind)
    for subclass in subclasses:
        yield from _with_subclasses(subclass)
