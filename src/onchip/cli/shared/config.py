"""Options from a TOML file."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from onchip._files import read_regular
from onchip.errors import RequestError, unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_config(path: Path | None, known: Iterable[str]) -> dict[str, Any]:
    """The options in a TOML file, by their names in Python; none without a file.

    Args:
        path: the file; its keys are the long options of the command line, without the dashes in front.
        known: the options that there are, with underscores.

    Raises:
        RequestError: the file cannot be read, is no TOML, or has a key that is no option
            or stands there twice.
    """
    if path is None:
        return {}
    try:
        values = tomllib.loads(read_regular(path).decode())
    except OSError as error:
        raise RequestError(f"config {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of too many digits, no end of brackets
        raise RequestError(f"config {path} is no TOML: {error}") from error
    options: dict[str, Any] = {}
    names = list(known)
    for key, value in values.items():
        name = key.replace("-", "_")
        if name not in names:
            raise unknown_name(f"option in {path.name}:", key, (name.replace("_", "-") for name in names))
        if name in options:
            raise RequestError(f"config {path} has {key} in two spellings; expected it once")
        options[name] = value
    return options
