"""What gpu.py takes to a machine that has nothing: the code, the pictures, the state so far, and packages if wanted."""

from __future__ import annotations

import json
import os
import shutil
import stat
import tarfile
from pathlib import Path

from _gpu_queue import ARCHIVE, COMMIT, DATA, ROOT, code

__all__ = ["LIMIT", "lay_out", "pack", "sizes"]

LIMIT = 64 * 2**20
"""Bytes of a pack."""
CODE = "src", "experiments", "benchmarks", "tests", "pyproject.toml"
LEFT_OUT = "__pycache__", "records", "results", "cheats", "mutants"
"""Folders whose content no piece needs."""
RUN = """#!/usr/bin/env bash
# Works on the queue from what lies here; its options are those of experiments/gpu.py.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")"
if compgen -G "wheels/*.whl" >/dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --upgrade --target build/site wheels/*.whl
fi
export PYTHONPATH="$PWD/build/site:$PWD/src${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1
exec python3 experiments/gpu.py --data data --out state "$@"
"""


def pack(to: Path, data: Path, out: Path, wheels: Path | None) -> dict[str, int]:
    """Fills a new folder with all that a bare machine needs, if that fits.

    Args:
        to: The folder; it must not exist.
        data: The archive of the pictures, or the folder that holds it or `cifar10-jpeg`.
        out: The state so far.
        wheels: A folder of packages that the machine lacks; None for none.

    Returns:
        The bytes of each part.

    Raises:
        SystemExit: The folder exists, a source is missing, or the parts are larger than the limit together.
    """
    if to.exists():
        raise SystemExit(f"--pack {to} exists already; choose a new folder, or remove it")
    sources = {f"code: {name}": (ROOT / name, Path(name)) for name in CODE}
    sources["data"] = (archive(data, to.parent), Path("data") / ARCHIVE)
    sources["state"] = (out, Path("state"))
    if wheels is not None:
        sources["wheels"] = (wheels, Path("wheels"))
    measured = {name: sizes(source) for name, (source, _) in sources.items()}
    if sum(measured.values()) > LIMIT:
        listed = ", ".join(f"{name} {bytes_ / 2**20:.1f}" for name, bytes_ in measured.items())
        raise SystemExit(
            f"the pack would have {sum(measured.values()) / 2**20:.1f} MiB, more than {LIMIT / 2**20:.0f} ({listed}). "
            "Finish the runs that have large checkpoints where they began, or take their files along in another way"
        )
    for source, place in sources.values():
        _copy(source, to / place)
    (to / COMMIT.name).write_text(json.dumps(code()) + "\n", encoding="utf-8")
    run = to / "run.sh"
    run.write_text(RUN, encoding="utf-8")
    run.chmod(run.stat().st_mode | stat.S_IXUSR)
    return measured


def sizes(source: Path) -> int:
    """Bytes of what would be copied of a file or folder."""
    return sum(file.stat().st_size for file in _files(source))


def lay_out(data: Path, work: Path) -> None:
    """Puts the pictures into the working folder, unless they are there.

    Args:
        data: The archive, or a folder that holds it or `cifar10-jpeg`.
        work: The folder below which `cifar10-jpeg` is made.

    Raises:
        SystemExit: There are no pictures.
    """
    folder = work / DATA.removeprefix("folder:")
    if folder.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    laid = data / folder.name
    if laid.is_dir():
        folder.symlink_to(laid.resolve(), target_is_directory=True)
        return
    part = work / f".{folder.name}.{os.getpid()}"
    with tarfile.open(_archive_in(data)) as archive:
        archive.extractall(part, filter="data")
    (part / folder.name).rename(folder)
    shutil.rmtree(part)


def archive(data: Path, beside: Path) -> Path:
    """The archive of the pictures, which is made of their folder where there is none."""
    laid = data / DATA.removeprefix("folder:")
    if not laid.is_dir() or (data / ARCHIVE).exists():
        return _archive_in(data)
    made = beside / ARCHIVE
    beside.mkdir(parents=True, exist_ok=True)
    print(f"packing {laid} into {made}: some minutes", flush=True)
    with tarfile.open(made, "w:xz") as file:
        file.add(laid, arcname=laid.name)
    return made


def _archive_in(data: Path) -> Path:
    path = data / ARCHIVE if data.is_dir() else data
    if not path.is_file():
        raise SystemExit(f"--data {data}: no {ARCHIVE} and no folder {DATA.removeprefix('folder:')}; expected either")
    return path


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    skipped = ("logs", *LEFT_OUT)
    return [
        file
        for file in sorted(source.rglob("*"))
        if file.is_file() and not set(file.relative_to(source).parts[:-1]) & set(skipped) and file.suffix != ".part"
    ]


def _copy(source: Path, to: Path) -> None:
    for file in _files(source):
        place = to / file.relative_to(source) if source.is_dir() else to
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, place)
