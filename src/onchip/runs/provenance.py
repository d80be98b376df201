"""Which code trains: the package's version, and the commit of the checkout that it runs from."""

import functools
import hashlib
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import onchip

PACKAGE = Path(onchip.__file__).parent


@dataclass(frozen=True)
class Code:
    """The code of this process.

    Args:
        version: The package's version; in a checkout with tags, the last tag and the commits since then.
        commit: The commit of the checkout; None if the package is installed in another way.
        clean: Whether the package's files are those of the commit; None without a commit.
    """

    version: str
    commit: str | None = None
    clean: bool | None = None


@dataclass(frozen=True)
class Stretch:
    """Epochs in a row that one state of the code trained, with one number of threads and one kind of kernels.

    Results are equal bit for bit only where all of this is equal.

    Args:
        epoch: The first of these epochs, from 1.
        version: See `Code`.
        commit: See `Code`.
        clean: See `Code`.
        torch: The version of torch.
        kernels: The kernels that ran: native, triton or torch.
        threads: The number of CPU threads that torch used.
        device_name: The processor's name.
        processes: The number of processes that shared each batch.
    """

    epoch: int
    version: str
    commit: str | None
    clean: bool | None
    torch: str
    kernels: str
    threads: int
    device_name: str
    processes: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Its values for a checkpoint, as earlier versions wrote them where there was a single process."""
        values = asdict(self)
        if self.processes == 1:
            del values["processes"]
        return values


@functools.cache
def code() -> Code:
    """The code of this process, as it was at the first call."""
    # A folder of packages may lie in somebody else's checkout, which does not track it.
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return Code(onchip.__version__)
    tag = _git("describe", "--tags", "--match", "v[0-9]*")
    version = tag.removeprefix("v") if tag else onchip.__version__
    return Code(version, _git("rev-parse", "HEAD"), _git("status", "--porcelain", ".") == "")


def _git(*arguments: str) -> str | None:
    """What git prints in the package's folder; None if it fails, or is not there."""
    # A hook of git sets variables that name another checkout.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments]
    try:
        ran = subprocess.run(command, cwd=PACKAGE, env=environment, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ran.stdout.strip() if ran.returncode == 0 else None


@functools.cache
def digest_of_files() -> str:
    """SHA-256 of the package's files: what a version number does not say of a checkout."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(PACKAGE).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()
