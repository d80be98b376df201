"""Profiles from TOML files: those of the package, and those of users."""

import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from onchip._files import read_regular
from onchip.chips.facts import Fact, Kind
from onchip.chips.profile import SECTIONS, Chip, specified
from onchip.errors import RequestError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["chip", "known_chips", "read_chip"]

WORDS = ("name", "title", "about")


def known_chips() -> list[str]:
    """Names of the chips that come with the package."""
    return sorted(each.name.removesuffix(".toml") for each in _folder().iterdir() if each.name.endswith(".toml"))


def chip(name: str) -> Chip:
    """A chip by its name, or from a file whose name ends with `.toml`.

    Args:
        name: One of `known_chips()`, or a path.

    Raises:
        RequestError: There is no such chip, or the file cannot be read, is no TOML, or has an unknown key or a value
            of another type or unit.

    Example:
        >>> chip("loihi").traces.bits.value
        7
    """
    if name.endswith(".toml"):
        try:
            return read_chip(read_regular(Path(name)), name)
        except OSError as error:
            raise RequestError(f"chip file {name} cannot be read: {error.strerror}") from error
    if name not in known_chips():
        raise RequestError(f"{unknown_name('chip', name, known_chips())}; or a path that ends with .toml")
    return read_chip(_folder().joinpath(f"{name}.toml").read_bytes(), f"{name}.toml")


def read_chip(content: bytes, file: str) -> Chip:
    """A chip from the content of a TOML file.

    Args:
        content: The content.
        file: Name of the file, for messages.

    Raises:
        RequestError: See `chip`.
    """
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, too many digits, no end of brackets
        raise RequestError(f"chip file {file} is no TOML: {error!s:.200}") from error
    for key in values:
        if key not in WORDS and key not in SECTIONS:
            raise unknown_name(f"key in chip file {file}:", key, [*WORDS, *SECTIONS])
    words: dict[str, Any] = {word: _word(values, word, file) for word in WORDS}
    for word in ("name", "title"):
        if not words[word].strip():
            raise RequestError(f"chip file {file} has no {word}; expected {word} = ... in its first lines")
    sections = {name: _section(kind, values.get(name, {}), f"{file}: {name}") for name, kind in SECTIONS.items()}
    return Chip(**words, **sections)


def _word(values: Mapping[str, Any], word: str, file: str) -> str:
    value = values.get(word, "")
    if not isinstance(value, str):
        raise RequestError(f"chip file {file}: {word} got {value!r:.60}; expected text")
    return value


def _section(kind: type[Any], values: Any, where: str) -> Any:
    if not isinstance(values, dict):
        raise RequestError(f"chip file {where} got {values!r:.60}; expected a table of facts")
    fields = {name: each for name, (each, _) in specified(kind).items()}
    for key in values:
        if key not in fields:
            raise unknown_name(f"fact in chip file {where}:", key, fields)
    return kind(**{key: _read_fact(fields[key], value, f"{where}.{key}") for key, value in values.items()})


def _read_fact(kind: Kind, table: Any, where: str) -> Fact[Any]:
    if not isinstance(table, dict):
        raise RequestError(f'chip file {where} got {table!r:.60}; expected {{ value = ..., source = "..." }}')
    for key, text in table.items():
        if key not in ("value", "source", "of"):
            raise unknown_name(f"key in chip file {where}:", key, ["value", "source", "of"])
        if key != "value" and not isinstance(text, str):
            raise RequestError(f"chip file {where}.{key} got {text!r:.60}; expected text")
    if "value" not in table:
        raise RequestError(f"chip file {where} has no value; expected {kind.expected}, or {kind.missing!r}")
    value, source, of = table["value"], table.get("source", ""), table.get("of", "")
    if value == kind.missing:
        return Fact(None, kind.missing, source, of)
    try:
        read = kind.read(value)
    except ValueError:
        raise RequestError(
            f"chip file {where} got {value!r:.60}; expected {kind.expected}, or {kind.missing!r}"
        ) from None
    if not source.strip():
        raise RequestError(f"chip file {where} has no source; expected where {value!r:.60} was published")
    return Fact(read, _as_text(value), source, of)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "none" if isinstance(value, list) else str(value)


def _folder() -> Any:
    return files("onchip.chips").joinpath("profiles")
