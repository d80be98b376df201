"""`onchip compare --cluster` up to the cluster itself, which tests/training has."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from onchip.training import clusters
from onchip.training.clusters import Pool, Workers
from tests.cli.conftest import Onchip

TINY = ("--rules", "bp,dfa", "--seeds", "1", "--net", "mlp", "--train-size", "20", "--steps", "1", "--epochs", "1")


class Interrupting(Pool):
    """Threads; Ctrl-C comes with the second run."""

    runs = 0

    def submit(self, *arguments: Any) -> Future[Any]:
        self.runs += 1
        if self.runs == 2:
            raise KeyboardInterrupt
        return super().submit(*arguments)


def test_ctrl_c_keeps_what_is_done_and_names_the_command_with_the_cluster(
    onchip: Onchip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupting(text: str, jobs: int | None) -> Workers:
        return Interrupting(ThreadPoolExecutor(1), jobs)

    with monkeypatch.context() as patch:
        patch.setattr(clusters, "cluster", interrupting)
        result = onchip("compare", *TINY, "--out", "out", "--cluster", "dask:tcp://127.0.0.1:1", "--jobs", "1")
    assert result.code == 130
    again = "continue with: onchip compare --out out --resume --jobs 1 --cluster dask:tcp://127.0.0.1:1\n"
    assert result.err.endswith(again)
    assert len(Path("out/records.jsonl").read_text().splitlines()) == 1
    assert not Path("out/.cluster").exists()
    assert onchip("compare", "--out", "out", "--resume").code == 0
    assert len(Path("out/records.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dsk:tcp://127.0.0.1:1", "error: unknown cluster 'dsk'; did you mean 'dask'? There are: dask, slurm\n"),
        ("dask:nonsense", "error: cluster dask got address=nonsense; expected an address such as tcp://host:8786\n"),
    ],
)
def test_a_bad_cluster_is_one_line_and_leaves_nothing(text: str, message: str, onchip: Onchip) -> None:
    result = onchip("compare", *TINY, "--out", "out", "--cluster", text)
    assert (result.code, result.err) == (2, message)
    assert not Path("out").exists()
