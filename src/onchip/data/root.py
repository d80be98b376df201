"""The folder of the data sets."""

import os
from pathlib import Path

from onchip._files import cache_folder

VARIABLE = "ONCHIP_DATA"


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data: `root`, else the environment variable ONCHIP_DATA, else the user's cache folder.

    The cache folder is `~/Library/Caches/onchip/data` on macOS, `%LOCALAPPDATA%\\onchip\\data` on Windows
    and `$XDG_CACHE_HOME/onchip/data` (`~/.cache/onchip/data`) elsewhere. Nothing is created here.

    Example:
        >>> data_root("/data").as_posix()
        '/data'
    """
    chosen = os.fspath(root) if root is not None else os.environ.get(VARIABLE, "")
    return Path(os.path.expanduser(chosen)) if chosen else cache_folder() / "data"
