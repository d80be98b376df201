"""Parts of a comparison, as an array of jobs trains them, and the report that makes them one."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Onchip
from tests.faults.conftest import assert_same, results

TINY = ("--rules", "bp,dfa", "--seeds", "2", "--net", "mlp", "--train-size", "20", "--steps", "1", "--epochs", "1")
SWEEP = ("compare", *TINY, "--keep-weights", "--threads", "1")


def test_parts_and_report_equal_the_whole(onchip: Onchip) -> None:
    assert onchip(*SWEEP, "--out", "whole").code == 0
    assert onchip(*SWEEP, "--out", "grid", "--shard", "0/2").code == 0
    half = onchip("report", "grid", "--out", "grid")
    assert half.code == 0
    assert "2 of 4 runs, of 1 parts, in grid" in half.err
    assert "missing: bp, seed 1; dfa, seed 1. Train them here with: onchip compare --out grid --resume" in half.err
    again = onchip("compare", "--out", "grid", "--shard", "0/2", "--resume")
    assert again.code == 0, "nothing is left to train"
    assert onchip(*SWEEP, "--out", "grid", "--shard", "1/2").code == 0
    assert onchip("report", "grid", "--out", "grid").err.splitlines()[0] == "4 of 4 runs, of 2 parts, in grid"
    assert_same(results(Path("grid")), results(Path("whole")))
    assert Path("grid/report.html").exists()
    first = (Path("grid") / "records.jsonl").read_text()
    assert onchip("compare", "--out", "grid", "--resume").code == 0
    assert (Path("grid") / "records.jsonl").read_text() == first, "the whole is a run folder as any"


def test_bad_parts_are_refused(onchip: Onchip) -> None:
    for arguments, message in (
        (("--shard", "2/2", "--out", "grid"), "shard got '2/2'; expected i/n"),
        (("--shard", "5/9", "--out", "grid"), "shard 5/9 has no run: there are 4 in all"),
        (("--shard", "0/2"), "--shard needs --out"),
    ):
        result = onchip(*SWEEP, *arguments)
        assert result.code == 2
        assert message in result.err
        assert result.err.count("\n") == 1
        assert not Path("grid").exists()
        assert not Path("runs").exists()
