"""Functions that a user names by file and function, such as `my_net.py:build`, in place of a name from a list.

Such a text runs code. Files that others may have written never decide that: `refuse_unnamed` refuses a setting of a
file unless the user has named it again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from onchip._files import read_regular
from onchip.errors import RequestError

SETTINGS = "net", "data"
"""Settings whose text may name code."""

PYTHON = "python:"
"""What begins the text of an object that a program has passed."""

# A folder of pictures (`folder:PATH`) and a file of series (`ts:PATH`) are data, whatever the end of their names.
PATTERN = re.compile(
    r"(?!folder:|ts:)(?P<place>.+\.py|[^\W\d]\w*(?:\.[^\W\d]\w*)+):(?P<function>[^\W\d]\w*)(?:#(?P<digest>[0-9a-f]{64}))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class CodeName:
    """A function in a file of code.

    Args:
        place: Path of the file as the user wrote it, ending in `.py`; or a module that can be imported, with dots.
        function: Name of the function.
        digest: SHA-256 of the file's text when it was named; None if nobody has looked at the file yet.
    """

    place: str
    function: str
    digest: str | None = None

    def __str__(self) -> str:
        return self.short if self.digest is None else f"{self.short}#{self.digest}"

    @property
    def short(self) -> str:
        """The name without the digest."""
        return f"{self.place}:{self.function}"

    def file(self) -> Path:
        """The file.

        Raises:
            RequestError: There is no module of this name with a file of Python text.
        """
        if self.place.endswith(".py"):
            return Path(self.place)
        try:
            found = find_spec(self.place)
        except ImportError:
            found = None
        if found is None or found.origin is None or not found.origin.endswith(".py"):
            raise RequestError(
                f"got {self.short!r}; expected a module that can be imported, or a path that ends in .py, such as "
                "my_net.py:build"
            )
        return Path(found.origin)

    def text(self) -> bytes:
        """The file's text, which is the one that the digest was made from.

        Raises:
            RequestError: The file cannot be read, or its text is another one.
        """
        file = self.file()
        try:
            content = read_regular(file)
        except OSError as error:
            raise RequestError(f"got {self.short!r}; {file} cannot be read: {error.strerror}") from error
        if self.digest not in (None, digest := _digest(content)):
            raise RequestError(
                f"{file} has changed: the SHA-256 of its text is {digest:.12}..., expected {self.digest:.12}... "
                "Restore it, or begin a new run"
            )
        return content


def code_name(text: str) -> CodeName | None:
    """The function that a text names, or None if it names no code.

    Raises:
        RequestError: The text is a path without a function.

    Example:
        >>> code_name("my_net.py:build"), code_name("mlp")
        (CodeName(place='my_net.py', function='build', digest=None), None)
    """
    match = PATTERN.fullmatch(text)
    if match is not None:
        return CodeName(match["place"], match["function"], match["digest"])
    if text.partition(":")[0] not in ("folder", "ts") and re.search(r"\.py(:|$)", text):
        raise RequestError(f"got {text!r:.200}; expected a file and a function in it, such as my_net.py:build")
    return None


def pinned(text: str) -> str:
    """The text with the SHA-256 of the file that it names; any other text as it is.

    Raises:
        RequestError: The file cannot be read, or is not the one of a digest that the text has already.
    """
    name = code_name(text)
    return text if name is None else str(replace(name, digest=_digest(name.text())))


def short(text: str) -> str:
    """The text without a digest, and without the mark of an object, for readers.

    Example:
        >>> short("my_net.py:build#" + 64 * "0"), short("mlp")
        ('my_net.py:build', 'mlp')
    """
    is_code = PATTERN.fullmatch(text) is not None or text.startswith(PYTHON)
    return re.sub("#[0-9a-f]{64}$", "", text).removeprefix(PYTHON) if is_code else text


def is_own(text: str) -> bool:
    """Whether the text of a network or data set is of a user's own function or object."""
    return text.startswith(PYTHON) or code_name(text) is not None


def is_same(one: str, other: str) -> bool:
    """Whether two texts with digests are of one object, or of one function in one text, wherever the file is."""
    names = code_name(one), code_name(other)
    if names[0] is None or names[1] is None:
        return one == other
    return names[0].digest is not None and (names[0].digest, names[0].function) == (names[1].digest, names[1].function)


def refuse_unnamed(settings: Mapping[str, Any], named: Mapping[str, Any], source: str) -> None:
    """Raises RequestError if a setting from a file names code that the user has not named.

    Args:
        settings: Settings that a file holds.
        named: Settings that the user gave with this request.
        source: The file or folder, for the message.
    """
    for setting in SETTINGS:
        text = settings.get(setting)
        if isinstance(text, str) and text.startswith(PYTHON) and named.get(setting) is None:
            raise RequestError(f"{setting} in {source} was an object of a program, {short(text)}; pass it again")
        name = code_name(text) if isinstance(text, str) else None
        if name is not None and named.get(setting) is None:
            raise RequestError(
                f"{setting} in {source} names code, {name.short}, which only runs when you name it: add "
                f"--{setting} {name.short}, or {setting}={name.short!r} in Python, if you trust that file"
            )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
