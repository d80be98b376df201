"""Where a comparison keeps its request, records, weights and checkpoints, to be taken up again."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from onchip._files import write_whole
from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig, SweepConfig

__all__ = ["RunDirectory", "next_folder", "slug"]

REQUEST, RECORDS, WEIGHTS, CHECKPOINTS = "run.json", "records.jsonl", "weights", "checkpoints"


class RunDirectory:
    """Where a comparison keeps its request, records, checkpoints and what is drawn from them.

    Args:
        path: the folder; made when the comparison begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = path / RECORDS

    def request(self) -> SweepConfig | None:
        """The request that the folder was made for; None if it holds none.

        Raises:
            DataError: its `run.json` is damaged.
        """
        try:
            text = (self.path / REQUEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RequestError(f"{self.path} cannot be read: {error.strerror}; choose another folder") from error
        try:
            return SweepConfig.from_dict(json.loads(text))
        except (ValueError, AttributeError) as error:
            raise DataError(f"{self.path / REQUEST} is damaged: {error}; begin again with --force") from error

    def open(self, request: SweepConfig, *, resume: bool = False, force: bool = False) -> None:
        """Make the folder ready for a request.

        Args:
            request: what is about to run.
            resume: go on with what the folder holds: the same request, or one of fewer rules or seeds.
            force: delete what an earlier comparison left in it, and nothing else.

        Raises:
            RequestError: it holds another run, and neither `resume` nor `force` allows for that; or it
                cannot be written.
        """
        earlier = None if force else self.request()
        if resume:
            if earlier is None:
                raise RequestError(f"{self.path} holds no run to resume; leave out --resume to begin one")
            _refuse_differences(self.path, earlier, request)
        try:
            if force:
                self._clear()
            elif not resume and any(file.exists() for file in self._own_files()):
                raise RequestError(
                    f"{self.path} already holds a run; choose another --out, or --resume it, or --force to replace it"
                )
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / REQUEST, json.dumps(request.to_dict(), indent=2) + "\n")
        except OSError as error:
            raise RequestError(f"{self.path} cannot be written: {error.strerror}; choose another --out") from error

    def checkpoint(self, spec: RunConfig) -> Path:
        """The file that the run's checkpoints go to."""
        return self._file(CHECKPOINTS, spec)

    def weights(self, spec: RunConfig) -> Path:
        """The file that the run's final weights go to."""
        return self._file(WEIGHTS, spec)

    def forget_checkpoints(self) -> None:
        """Delete the checkpoints' folder, if it holds none; to be called when no run is about to write one."""
        with contextlib.suppress(OSError):
            (self.path / CHECKPOINTS).rmdir()

    def _file(self, kind: str, spec: RunConfig) -> Path:
        (self.path / kind).mkdir(exist_ok=True)
        return self.path / kind / f"{slug(spec.rule)}-seed{spec.seed}.safetensors"

    def _own_files(self) -> list[Path]:
        """Everything that a comparison may have left here."""
        named = [REQUEST, RECORDS, "table.md", "report.html", "figure.svg", "figure.png"]
        tensors = [
            *self.path.glob(f"{CHECKPOINTS}/*.safetensors"),
            *self.path.glob(f"{WEIGHTS}/*.safetensors"),
        ]
        return [*(self.path / name for name in named), *tensors]

    def _clear(self) -> None:
        for file in self._own_files():
            file.unlink(missing_ok=True)
        for kind in (CHECKPOINTS, WEIGHTS):
            with contextlib.suppress(OSError):  # absent, or holds something that is not ours
                (self.path / kind).rmdir()


def slug(text: str) -> str:
    """A text as part of a file's name.

    Example:
        >>> slug("fbp:period=100;transport=top:0.1")
        'fbp_period=100_transport=top_0.1'
    """
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", text).strip("_.")


def next_folder(parent: Path, name: str) -> Path:
    """The first of `name-1`, `name-2`, ... that does not exist."""
    numbers = (number for number in range(1, 10**9) if not (parent / f"{name}-{number}").exists())
    return parent / f"{name}-{next(numbers)}"


def _refuse_differences(path: Path, earlier: SweepConfig, request: SweepConfig) -> None:
    """Nothing may differ, but rules and seeds may be added: what is recorded still stands."""
    before, now = earlier.to_dict(), request.to_dict()
    for grid in ("rules", "seeds"):
        if set(before[grid]) <= set(now[grid]):
            del before[grid]
    different = [f"{name} was {before[name]!r}, now {now[name]!r}" for name in before if before[name] != now[name]]
    if different:
        raise RequestError(
            f"{path} was made for another request: {'; '.join(different)}. "
            "Leave these out to resume it, or choose another --out"
        )
