"""Sweeps whose workers are killed, on Dask, in local processes and as jobs; and clusters that are not there."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

import onchip
from onchip.errors import RequestError
from onchip.training import executor
from onchip.training.clusters import cluster
from tests.faults.conftest import CONTEXT, PRELOADED, assert_same, results

GENERATOR = torch.Generator().manual_seed(3)
INPUTS = torch.rand(60, 1, 4, 4, generator=GENERATOR)
LABELS = (INPUTS[:, 0, 0].mean(1) * 3).long()
SWEEP: dict[str, Any] = {"net": "F8", "seeds": 2, "epochs": 3, "steps": 2, "keep_weights": True, "threads": 1}
ONE: dict[str, Any] = {"rules": "bp", "seeds": 1}


class Deadly(Dataset[Any]):
    """Samples of which one, in the second epoch, kills the first process that reads it, as `kill -9` does.

    Args:
        parent: The process that is spared.
        mark: A file that is made then.
    """

    def __init__(self, parent: int, mark: Path) -> None:
        self.parent, self.mark, self.reads = parent, mark, 0

    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        self.reads += 1
        if os.getpid() != self.parent and self.reads == 90 and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return INPUTS[index], LABELS[index]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the sweep in this process, one run after the other."""
    folder = tmp_path_factory.mktemp("whole")
    sweep(folder / "out")
    return folder / "out"


def sweep(out: Path, **options: Any) -> None:
    data = Deadly(os.getpid(), out.parent / "killed"), (INPUTS, LABELS)
    onchip.compare(**{"rules": ["bp", "dfa"], "data": data, "out": out, **SWEEP, **options})


def assert_a_death_is_no_loss(whole: Path, out: Path, **where: Any) -> None:
    """A sweep of which one worker dies gives what a sequential one gave."""
    with pytest.warns(UserWarning, match=r"seed \d lost its worker .* and is submitted again") as said:
        sweep(out, **where)
    assert len(said) == 1
    assert (out.parent / "killed").exists()
    records, weights = results(out)
    assert len(records) == len(weights) / 2 == (1 if "rules" in where else 4)
    expected, expected_weights = results(whole)
    keys = {(record["label"], record["seed"]) for record in records}
    expected = [record for record in expected if (record["label"], record["seed"]) in keys]
    assert_same((records, weights), (expected, {name: expected_weights[name] for name in weights}))
    left = {file.name for file in out.iterdir()} - {file.name for file in whole.iterdir()}
    assert left <= {"model.json", "model.safetensors"}, "of a sweep of one run"


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A cluster of two worker processes, which a nanny starts again."""
    distributed, config = pytest.importorskip("distributed"), pytest.importorskip("dask").config
    with config.set({"distributed.worker.multiprocessing-method": "forkserver", "distributed.logging.distributed": 50}):
        distributed.utils.get_mp_context()
        CONTEXT.set_forkserver_preload([*PRELOADED, "distributed"])  # instead of Dask's own list
        options: dict[str, Any] = {"dashboard_address": ":0", "silence_logs": 50, "threads_per_worker": 1}
        with distributed.LocalCluster(n_workers=2, host="127.0.0.1", processes=True, **options) as made:
            yield made


def test_dask_with_a_worker_killed_equals_a_sequential_sweep(whole: Path, dask: Any, tmp_path: Path) -> None:
    assert_a_death_is_no_loss(whole, tmp_path / "out", cluster=f"dask:{dask.scheduler_address}")


def test_a_death_on_dask_is_noticed_when_no_run_waits(whole: Path, dask: Any, tmp_path: Path) -> None:
    assert_a_death_is_no_loss(whole, tmp_path / "out", cluster=f"dask:{dask.scheduler_address}", **ONE)


def test_workers_of_dask_with_other_versions_are_refused_before_anything_is_stored(
    dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "versions", lambda: {"torch": "1.0"})
    for _ in range(2):  # the folder can be used again
        with pytest.raises(RequestError, match=r"other versions: torch is 2.*, here 1.0"):
            sweep(tmp_path / "out", cluster=f"dask:{dask.scheduler_address}")
    assert not (tmp_path / "out" / "run.json").exists()


def test_local_processes_of_which_one_is_killed_equal_a_sequential_sweep(whole: Path, tmp_path: Path) -> None:
    assert_a_death_is_no_loss(whole, tmp_path / "out", jobs=2)


def test_a_job_that_is_killed_is_submitted_again(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    assert_a_death_is_no_loss(whole, tmp_path / "out", cluster="slurm:manager=local", **ONE)


def test_without_a_worker_dask_waits_and_a_lost_scheduler_is_an_error(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    options: dict[str, Any] = {"dashboard_address": ":0", "silence_logs": 50, "processes": False}
    with distributed.LocalCluster(n_workers=0, host="127.0.0.1", protocol="tcp", **options) as made:
        with (
            pytest.warns(UserWarning, match=r"has no worker; waiting 0.01 s for one"),
            pytest.raises(RequestError, match=r"has had no worker for 0.01 s; start some, such as `dask worker tcp"),
        ):
            sweep(tmp_path / "out", cluster=f"dask:{made.scheduler_address};wait=0.01")
        made.scale(1)
        address = made.scheduler_address
        workers = cluster(f"dask:{address}").__enter__()
        assert workers.room(0)
        assert workers.threads >= 1
    workers._looked = 0.0  # type: ignore[attr-defined]  # the next look is due
    with pytest.raises(ChildProcessError, match=r"the Dask scheduler at tcp.* is gone .*--resume"):
        workers.room(0)
    workers.__exit__()
    with pytest.raises(
        RequestError, match=r"no Dask scheduler answers at tcp://127.0.0.1:\d+ .*start `dask scheduler`"
    ):
        cluster(f"dask:{address}").__enter__()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dsk:tcp://127.0.0.1:1", "unknown cluster 'dsk'; did you mean 'dask'?"),
        ("dask", "needs the option address"),
        ("dask:nonsense", "address=nonsense; expected an address such as tcp://host:8786"),
        ("dask:tcp://host", "expected an address"),
        ("dask:tcp://host:99999", "expected an address"),
        ("dask:tcp://host:8786;wait=0", "wait=0.0; expected more than 0 seconds"),
        ("slurm:partitoin=gpu", "did you mean 'partition'?"),
        ("slurm:time=0", "at least 1 minute"),
        ("slurm:cpus=none", "cpus got 'none'; expected int"),
        ("slurm:jobs=3", "unknown option"),
    ],
)
def test_a_text_that_names_no_cluster_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        sweep(tmp_path / "out", cluster=text)
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        ("distributed", "dask:tcp://127.0.0.1:8786", "pip install 'onchip[dask]'"),
        ("submitit", "slurm", "pip install 'onchip[slurm]'"),
        (None, "slurm", "there is no SLURM on this machine: sbatch is not found"),
    ],
)
def test_a_cluster_that_is_not_installed_is_named(
    module: str | None, text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if module is None:
        pytest.importorskip("submitit")
    else:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RequestError) as caught:
        sweep(tmp_path / "out", cluster=text)
    assert message in str(caught.value)


def test_refuses_a_cluster_beside_an_executor(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="got a cluster and an executor"):
        sweep(tmp_path / "out", cluster="slurm", executor=multiprocessing)
    with pytest.raises(RequestError, match=r"executor got <module.*; expected a concurrent.futures.Executor"):
        sweep(tmp_path / "out", executor=multiprocessing)
