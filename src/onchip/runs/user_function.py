"""Runs a user's own function, and reports what fails in it as one error with the line of the user's file."""

from __future__ import annotations

import functools
import hashlib
import inspect
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from onchip.errors import OnchipError, RequestError, unknown_name
from onchip.runs.code import CodeName


@dataclass(frozen=True)
class UserFunction:
    """A function of the user's; a call runs the user's code.

    Args:
        name: Its name, for messages.
        file: Its file, whose lines messages name; None if it was passed as an object.
        function: The function.
    """

    name: str
    file: Path | None
    function: Callable[..., Any]

    def __call__(self, **arguments: Any) -> Any:
        """What it returns.

        Raises:
            RequestError: It failed; the message has its error, and the line of the user's file.
        """
        with blamed(self.name, self.file, RequestError), beside(self.file):
            return self.function(**arguments)

    def supplied(self, **arguments: Any) -> dict[str, Any]:
        """Those of the arguments that it has parameters for.

        Raises:
            RequestError: It has a parameter of another name without a default.
        """
        try:
            parameters = inspect.signature(self.function).parameters.values()
        except (TypeError, ValueError):  # no function at all, or one written in C
            raise RequestError(f"{self.name} is {self.function!r:.80}; expected a Python function") from None
        known = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        strange = [each.name for each in known if each.name not in arguments and each.default is each.empty]
        if strange:
            may = f"no parameters, or any of {', '.join(arguments)}" if arguments else "no parameters"
            raise RequestError(f"{self.name} has the parameter {strange[0]!r}; expected {may}")
        return {each.name: arguments[each.name] for each in known if each.name in arguments}


def user_function(name: CodeName) -> UserFunction:
    """The function of a name; its file is run.

    Raises:
        RequestError: The file cannot be read, is another one than was named, fails when it is run, or has no such
            function; the message lists those that it has.
    """
    file, content = name.file(), name.text()
    package = "" if name.place.endswith(".py") else name.place.rpartition(".")[0]
    with blamed(str(file), file, RequestError), beside(file):
        module = _executed(file, file.absolute(), content, package)
    functions = [
        each
        for each, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not each.startswith("_")
    ]
    if name.function not in vars(module):
        if not functions:
            raise RequestError(f"{file} has no function {name.function!r}, nor any other")
        raise unknown_name(f"function of {file}:", name.function, functions)
    function = vars(module)[name.function]
    if not callable(function):
        raise RequestError(f"{name.short} is a {type(function).__name__}; expected a function")
    return UserFunction(name.short, file, function)


@contextmanager
def blamed(what: str, file: Path | None, kind: type[OnchipError]) -> Iterator[None]:
    """Replaces what the user's code raises by one error that names the line of the user's file.

    Args:
        what: What runs.
        file: The file whose line is named; None names the line that raised.
        kind: The type of the error that replaces it.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error).split())
        raise kind(
            f"{what} failed{_place(error, file)}: {type(error).__name__}{': ' if reason else ''}{reason:.500}"
        ) from error


@contextmanager
def beside(file: Path | None) -> Iterator[None]:
    """Lets the modules beside a file be imported, as when Python runs it as a program."""
    if file is None:
        yield
        return
    folder = str(file.parent.absolute())
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:  # the user's code may have changed it
            sys.path.remove(folder)


@functools.cache  # so that a class in the file is one class, however often the file is named
def _executed(file: Path, place: Path, content: bytes, package: str) -> ModuleType:
    name = f"_onchip_{hashlib.sha256(os.fsencode(place) + content).hexdigest()[:16]}"
    module = ModuleType(name)
    module.__file__ = str(file)
    if package:
        module.__package__ = package
    code = compile(content, str(file), "exec")
    linecache.checkcache(str(file))
    sys.modules[name] = module  # where dataclasses look for it
    try:
        exec(code, vars(module))  # noqa: S102 (the user named this file to have it run)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _place(error: BaseException, file: Path | None) -> str:
    """Where the user's code raised an error: the last line of the file that was being run."""
    if isinstance(error, SyntaxError) and error.lineno is not None and file is not None:
        return f" in {error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and (file is None or frame.filename == str(file))
    ]
    return f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""
