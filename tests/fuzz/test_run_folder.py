"""`onchip compare --resume` in a folder of which one file is damaged: an error in one line, or the same results."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from onchip import report
from onchip.cli import app
from onchip.runs.config import RunConfig
from onchip.runs.sweep_config import SweepConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.sweep import compare
from tests.fuzz.mutants import check_all, damaged
from tests.training.stopping import StopAfter

FILES = ("run.json", "records.jsonl", "checkpoints/dfa-seed0.safetensors")


def resumed(folder: Path) -> tuple[object, str, str]:
    """Exit code, standard output and standard error."""
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error), pytest.raises(SystemExit) as caught:
        app(["compare", "--out", str(folder), "--resume", "--json"])
    return caught.value.code or 0, out.getvalue(), error.getvalue()


def results(output: str) -> list[Any]:
    records = [json.loads(line) for line in output.splitlines()]
    return [[record[name] for name in ("label", "seed", "status", "test_accuracy", "ledger")] for record in records]


def test_it_is_refused_or_gives_the_same_results(
    record_property: Callable[[str, object], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "write", lambda *_: None)  # figures take most of the time
    sweep = SweepConfig(RunConfig(net="mlp", train_size=20, steps=1, epochs=2, threads=1), ("bp", "dfa"), (0,))
    data, whole, folder = load_data(sweep.base), tmp_path / "whole", tmp_path / "damaged"
    next(coming := compare(sweep, data, whole))
    coming.close()
    (whole / "checkpoints").mkdir(exist_ok=True)
    with pytest.raises(KeyboardInterrupt):
        train(sweep.runs()[1], data, save_to=whole / FILES[2], watch=StopAfter(1))
    shutil.copytree(whole, folder)
    expected = results(resumed(folder)[1])
    assert len(expected) == 2

    def check(mutant: tuple[str, bytes]) -> None:
        name, content = mutant
        shutil.rmtree(folder)
        shutil.copytree(whole, folder)
        (folder / name).write_bytes(content)
        code, out, error = resumed(folder)
        if code == 2:
            assert error.startswith("error: ")
            assert error.count("\n") == 1
        else:
            assert code == 0, error
            # A file of records of which nothing is left says nothing of what is gone: that run is trained again.
            assert sorted(results(out)) == sorted(expected)

    contents = {name: (whole / name).read_bytes() for name in FILES}
    mutants = st.one_of(*(st.tuples(st.just(name), damaged(content)) for name, content in contents.items()))
    check_all(mutants, check, 30, record_property)
