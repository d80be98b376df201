from __future__ import annotations

import os
import signal

import pytest

from onchip.runs.config import RunConfig
from onchip.runs.record import Epoch, Record
from onchip.training.executor import run_in_workers
from onchip.training.progress import ProgressListener
from tests.examples import record

SPECS = [RunConfig(seed=seed, epochs=1) for seed in range(4)]


def work(config: RunConfig, watch: ProgressListener) -> Record:
    """As a run: seed 1 is killed by the system, seed 3 fails as no run should."""
    watch.epoch_begins(1, 50)
    for _ in range(50):
        watch.stepped()
    if config.seed == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if config.seed == 3:
        raise LookupError("lost")
    watch.epoch_ended(Epoch(1, 1.0, None, 1.0))
    return record(seed=config.seed, threads=os.getpid())


class Seen(ProgressListener):
    """Keeps what it is told."""

    all: list[Seen]

    def __init__(self) -> None:
        self.steps, self.told = 0, list[object]()
        Seen.all.append(self)

    def run_begins(self, config: RunConfig) -> None:
        self.told.append(config.seed)

    def epoch_begins(self, epoch: int, steps: int) -> None:
        self.told.append((epoch, steps))

    def stepped(self) -> None:
        self.steps += 1

    def epoch_ended(self, epoch: Epoch) -> None:
        self.told.append((epoch, self.steps))


@pytest.fixture(autouse=True)
def seen() -> list[Seen]:
    Seen.all = []
    return Seen.all


def test_runs_have_workers_of_their_own_and_report_all_steps(seen: list[Seen]) -> None:
    done = list(run_in_workers(work, [SPECS[0], SPECS[2]], 2, Seen))
    assert sorted(config.seed for config, _ in done) == [0, 2]
    assert all(config.seed == made.seed for config, made in done)
    processes = {made.threads for _, made in done}
    assert len(processes) == 2
    assert os.getpid() not in processes
    for one, seed in zip(seen, (0, 2), strict=True):
        assert one.told == [seed, (1, 50), (Epoch(1, 1.0, None, 1.0), 50)]


def test_a_killed_process_is_named_after_the_others_are_done() -> None:
    coming = run_in_workers(work, [SPECS[1], SPECS[0], SPECS[2]], 1, ProgressListener)
    assert [next(coming)[0].seed, next(coming)[0].seed] == [0, 2]
    with pytest.raises(ChildProcessError, match=r"bp, seed 1 \(.*SIGKILL"):
        next(coming)


def test_an_error_comes_through_and_ends_the_rest() -> None:
    with pytest.raises(LookupError, match="lost"):
        list(run_in_workers(work, [SPECS[3], SPECS[0]], 1, ProgressListener))


def test_who_stops_asking_leaves_no_process() -> None:
    coming = run_in_workers(work, [SPECS[0], SPECS[2]], 1, ProgressListener)
    _, made = next(coming)
    coming.close()
    with pytest.raises(ProcessLookupError):
        os.kill(made.threads, 0)
