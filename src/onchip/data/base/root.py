"""The folder that data sets are kept in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["data_root"]

VARIABLE = "ONCHIP_DATA"


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the data: `root`, else the environment's ONCHIP_DATA, else the user's cache folder.

    The cache folder is `~/Library/Caches/onchip/data` on macOS, `%LOCALAPPDATA%\\onchip\\data` on Windows
    and `$XDG_CACHE_HOME/onchip/data` (`~/.cache/onchip/data`) elsewhere. Nothing is created here.

    Example:
        >>> data_root("/data").as_posix()
        '/data'
    """
    chosen = os.fspath(root) if root is not None else os.environ.get(VARIABLE, "")
    return Path(chosen).expanduser() if chosen else _user_cache() / "onchip" / "data"


def _user_cache() -> Path:
    # A table, as the type checker takes `if sys.platform == ...` for code that is never reached.
    variable, default = {
        "darwin": ("", "~/Library/Caches"),
        "win32": ("LOCALAPPDATA", "~/AppData/Local"),
    }.get(sys.platform, ("XDG_CACHE_HOME", "~/.cache"))
    return Path(os.environ.get(variable, "") or default).expanduser()
