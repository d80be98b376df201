"""The queue for a GPU: its smallest piece on a CPU, where it goes on, what it takes along, and what it says."""

from __future__ import annotations

import dataclasses
import io
import json
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import _gpu_pack
import _gpu_queue
import _gpu_tests
import _gpu_worker
import gpu
from _records import append_lines, read_lines
from onchip.data import Dataset
from onchip.training.builder import load_data
from onchip.training.loop import train

TINY = {piece.name: piece for piece in _gpu_queue.pieces("cpu", tiny=True)}
ROW = TINY["conv5-opzo-short-0"]


def options(out: Path, minutes: float = 1.0) -> Any:
    return SimpleNamespace(out=out, work=out / "work", device="cpu", tiny=True, data=out, minutes=minutes)


def worked(state: _gpu_queue.State, data: Dataset, until: float) -> dict[str, Any]:
    assert ROW.config is not None
    clock = _gpu_worker.Clock(state.progress(ROW), until)
    return _gpu_worker.work(ROW.config, data, state.checkpoint(ROW), clock)


@pytest.fixture(scope="module")
def data() -> Dataset:
    assert ROW.config is not None
    return load_data(ROW.config)


def test_the_smallest_piece_runs_on_a_cpu_and_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    asked = ["gpu.py", "--tiny", "--device", "cpu", "--out", str(state), "--work", str(tmp_path / "work")]
    monkeypatch.setattr(sys, "argv", [*asked, "--only", "ssnn-short-0"])
    gpu.main()  # which trains in a process of its own
    (entry,) = read_lines(state / "results.jsonl")
    assert (entry["piece"], entry["status"], entry["epochs"]) == ("ssnn-short-0", "done", _gpu_queue.TINY_EPOCHS)
    assert entry["device"] == "cpu"
    assert entry["code"] == _gpu_queue.code()
    assert entry["versions"]["torch"] == torch.__version__
    assert entry["record"]["settings"]["rule"] == "ssnn_bp"
    assert not list((state / "runs").glob("*.safetensors")), "a finished run needs no checkpoint"
    assert f"{entry['record']['test_accuracy']:.2%}" in gpu.found(entry)
    assert "| ssnn-short-0 | done | 0 |" in capsys.readouterr().out
    gpu.main()
    assert len(read_lines(state / "results.jsonl")) == 1
    monkeypatch.setattr(sys, "argv", [*asked, "--only", "vgg8"])
    with pytest.raises(SystemExit):
        gpu.main()
    assert "got --only vgg8; expected one of tests, scan," in capsys.readouterr().err


def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands at the end of the first epoch, and then in the middle of the third."""
    state, now = _gpu_queue.State(tmp_path), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    steps = -(-64 // 16)
    ticks = _gpu_worker.Clock.stepped

    def ticking(clock: _gpu_worker.Clock, loss: float) -> None:
        now[0] += 1.0
        ticks(clock, loss)

    monkeypatch.setattr(_gpu_worker.Clock, "stepped", ticking)
    first = worked(state, data, until=2 * steps - 1)
    assert first == {"finished": False, "completed": 1, "seconds_per_epoch": steps}, "a second epoch would not fit"
    assert state.epochs(ROW) == (1, steps)
    second = worked(state, data, until=now[0] + 1.2 * steps)
    assert (second["completed"], state.epochs(ROW)[0]) == (1, 2)
    third = worked(state, data, until=now[0] + 1)
    assert third == {"finished": False, "completed": 0, "seconds_per_epoch": steps / 2 * 2}
    last = worked(state, data, until=1e9)
    assert last["finished"]
    assert ROW.config is not None
    whole = train(ROW.config, data)
    assert [epoch["train_loss"] for epoch in last["record"]["history"]] == [e.train_loss for e in whole.history]
    assert last["record"]["test_accuracy"] == whole.test_accuracy
    assert last["record"]["ledger"] == whole.ledger


def test_pieces_come_in_order_and_what_failed_waits_for_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    call = gpu.Call(options(tmp_path), time.monotonic())
    done: list[str] = []

    def ran(self: gpu.Call, piece: _gpu_queue.Piece) -> None:
        done.append(piece.name)
        status = "failed" if piece.name == "scan" else "done"
        append_lines(self.state.results, [{"piece": piece.name, "status": status, "code": _gpu_queue.code()}])

    monkeypatch.setattr(gpu.Call, "run", ran)
    queue = _gpu_queue.pieces("cpu", tiny=True)
    gpu.work(call, queue, None)
    assert done == [piece.name for piece in queue]
    assert done[:4] == ["tests", "scan", "step-conv_rgb", "step-conv5"]
    gpu.work(call, queue, None)
    assert len(done) == len(queue), "nothing is left"
    assert "| scan | failed |" in gpu.listed(call.state, queue)
    gpu.work(call, queue, "scan")
    monkeypatch.setattr(_gpu_queue, "code", lambda: {"commit": "another", "clean": True})
    gpu.work(call, queue, None)
    assert done[len(queue) :] == ["scan", "scan"]


def test_a_piece_that_does_not_fit_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = gpu.Call(options(tmp_path, minutes=1.0), time.monotonic())
    call.tiny = False
    gpu.work(call, [dataclasses.replace(ROW, least=1.5)], None)
    assert "conv5-opzo-short-0 waits: it needs 1.5 minutes, and 0.7 are left" in capsys.readouterr().out
    assert not call.state.results.exists()


def test_the_rows_of_all_papers_wait() -> None:
    queue = _gpu_queue.pieces("cuda")
    short = [piece for piece in queue if piece.config and piece.name.endswith("short-0")]
    assert len({piece.name for piece in queue}) == len(queue)
    asked = {(piece.config.net, piece.config.rule) for piece in short if piece.config}
    direct = {("conv5", rule) for rule in ("ottt", "opzo", "opzo:local=true", "dfa", "dkp")}
    frozen = {("vgg7", rule) for rule in ("bp", *(f"fbp:period=100;transport=top:{share}" for share in (0.1, 0.01)))}
    assert asked == {*direct, *frozen, ("conv-wide", "ssnn_bp"), ("conv-wide", "bp")}
    assert {piece.config.device for piece in queue if piece.config} == {"cuda"}
    assert all(piece.config.data == "folder:cifar10-jpeg" for piece in short if piece.config)
    names = [piece.name for piece in queue]
    assert names.index("ssnn-short-0") < names.index("vgg7-1x-long-0"), "a first row of each rule comes first"


def test_what_a_bare_machine_needs_is_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, state = tmp_path / _gpu_queue.ARCHIVE, _gpu_queue.State(tmp_path / "state")
    with tarfile.open(archive, "w:xz") as file:
        picture = tarfile.TarInfo("cifar10-jpeg/test/bird/0.jpg")
        picture.size = 3
        file.addfile(picture, io.BytesIO(b"jpg"))
    state.checkpoint(ROW).write_bytes(b"c" * 1000)
    (state.out / "logs" / "long.txt").write_text("not needed")
    parts = _gpu_pack.pack(tmp_path / "pack", archive, state.out, None)
    files = [path for path in (tmp_path / "pack").rglob("*") if path.is_file()]
    extra = {"commit.json", "run.sh"}
    assert sum(parts.values()) == sum(path.stat().st_size for path in files if path.name not in extra)
    assert parts["state"] == 1000
    assert sum(parts.values()) < _gpu_pack.LIMIT / 4, "the code is small"
    assert {path.relative_to(tmp_path / "pack").parts[0] for path in files} == {
        *("src", "experiments", "benchmarks", "tests", "pyproject.toml", "data", "state"),
        *extra,
    }
    assert json.loads((tmp_path / "pack" / "commit.json").read_text()) == _gpu_queue.code()
    subprocess.run(["bash", "-n", str(tmp_path / "pack" / "run.sh")], check=True)
    _gpu_pack.lay_out(tmp_path / "pack" / "data", tmp_path / "work")
    assert (tmp_path / "work" / "cifar10-jpeg" / "test" / "bird" / "0.jpg").read_bytes() == b"jpg"
    monkeypatch.setattr(_gpu_pack, "LIMIT", 2**20)
    with pytest.raises(SystemExit, match=r"the pack would have .* MiB, more than 1 \(code: src"):
        _gpu_pack.pack(tmp_path / "another", archive, state.out, None)
    assert not (tmp_path / "another").exists()
    with pytest.raises(SystemExit, match="exists already"):
        _gpu_pack.pack(tmp_path / "pack", archive, state.out, None)
    with pytest.raises(SystemExit, match=r"no cifar10-jpeg\.tar\.xz and no folder cifar10-jpeg"):
        _gpu_pack.pack(tmp_path / "another", tmp_path / "state", state.out, None)


def test_outcomes_of_tests_are_kept_and_a_lost_device_ends_the_process(tmp_path: Path) -> None:
    """As pytest calls the plugin, for three tests: one passes, one loses the device, the third has to wait."""
    path, left = tmp_path / "tests.jsonl", tmp_path / "left"
    before = [
        ("known", "passed", "old"),
        ("good", "failed", "old"),
        ("bad", "failed", "new"),
        ("third", "skipped", "new"),
    ]
    append_lines(path, ({"test": test, "outcome": outcome, "commit": commit} for test, outcome, commit in before))
    plugin = _gpu_tests.Outcomes(path, left, until=2e9, commit="new")
    session: Any = SimpleNamespace(shouldstop=False)
    plugin.pytest_sessionstart(session)
    deselected: list[Any] = []
    config: Any = SimpleNamespace(hook=SimpleNamespace(pytest_deselected=lambda items: deselected.extend(items)))
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in ("known", "good", "bad", "lost", "third")]
    plugin.pytest_collection_modifyitems(config, items)
    assert [item.nodeid for item in items] == ["good", "lost", "third"]
    assert [item.nodeid for item in deselected] == ["known", "bad"], "it has passed, or failed under this commit"
    for name, outcome, message in (("good", "passed", ""), ("lost", "failed", "RuntimeError: CUDA error: an illegal")):
        assert not session.shouldstop
        plugin.pytest_runtest_logstart(name)
        for when in ("setup", "call"):
            report: Any = SimpleNamespace(when=when, outcome=outcome, longrepr=message, duration=0.25)
            plugin.pytest_runtest_logreport(report)
        plugin.pytest_runtest_logfinish(name)
    plugin.pytest_sessionfinish()
    assert session.shouldstop == "an error of CUDA"
    assert left.read_text() == "1"
    good, lost = read_lines(path)[len(before) :]
    assert (good["test"], good["outcome"], good["seconds"]) == ("good", "passed", 0.5)
    assert (lost["outcome"], "CUDA error" in lost["message"]) == ("failed", True)
    left.unlink()
    broken: Any = SimpleNamespace(failed=True)
    plugin.pytest_collectreport(broken)
    plugin.pytest_sessionfinish()
    assert not left.exists(), "of tests that cannot be imported nobody knows how many there are"


def test_a_test_whose_process_dies_has_crashed_and_the_next_gets_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = gpu.Call(options(tmp_path, minutes=10.0), time.monotonic())
    turns = iter([("it died\nexit status -11", None), (None, "0")])

    def process(self: gpu.Call, piece: _gpu_queue.Piece, arguments: list[str], **environment: str) -> str | None:
        error, left = next(turns)
        if left is None:
            call.answer.with_suffix(".test").write_text("tests/gpu/test_scans.py::one")
        else:
            call.answer.write_text(left)
        return error

    monkeypatch.setattr(gpu.Call, "_process", process)
    assert call._tested(TINY["tests"]) == ("failed", {"error": "tests: {'crashed': 1}", "result": {"crashed": 1}})
    (entry,) = read_lines(call.state.tests)
    assert (entry["test"], entry["message"]) == ("tests/gpu/test_scans.py::one", "it died\nexit status -11")
    turns = iter([("ImportError: no module", None)])
    monkeypatch.setattr(gpu.Call, "_process", lambda self, piece, arguments, **environment: next(turns)[0])
    assert call._tested(TINY["tests"])[0] == "failed", "some tests were not found"
    monkeypatch.setattr(gpu.Call, "_process", process)
    call.end = 0.0
    turns = iter([("it did not end in time, and was killed", None)])
    assert call._tested(TINY["tests"]) == ("stopped", {"result": {"crashed": 1}}), "it runs again in another call"
    assert len(read_lines(call.state.tests)) == 1


def test_a_run_is_told_when_to_stop_and_one_that_never_gets_on_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = gpu.Call(options(tmp_path, minutes=1.0), time.monotonic())
    told: list[float] = []

    def process(self: gpu.Call, piece: _gpu_queue.Piece, arguments: list[str], **environment: str) -> str | None:
        told.append(float(arguments[arguments.index("--until") + 1]) - time.time())
        return f"it {gpu.LATE}"

    monkeypatch.setattr(gpu.Call, "_process", process)
    for expected in ("stopped", "failed"):
        call.run(ROW)
        assert call.state.last(ROW)["status"] == expected
    assert told == pytest.approx([60 - gpu.STOPPING] * 2, abs=5)


def test_an_epoch_that_is_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = gpu.Call(options(tmp_path, minutes=0.0), time.monotonic())

    def process(self: gpu.Call, piece: _gpu_queue.Piece, arguments: list[str], **environment: str) -> str | None:
        call.answer.write_text(json.dumps({"finished": False, "completed": 0, "seconds_per_epoch": 600.0}))
        return None

    monkeypatch.setattr(gpu.Call, "_process", process)
    status, result = call._trained(ROW)
    assert status == "stopped"
    assert "one takes some 11.8 minutes, so give --minutes above that" in result["error"]


def test_the_page_is_of_the_records() -> None:
    page = (_gpu_queue.ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert gpu.tables()["gpu"] in page


def test_a_result_is_told_in_a_few_words() -> None:
    scan = {"status": "done", "result": {"rows": {"triton, float32": {"share_of_copy": 0.8125}}}}
    assert gpu.found(scan) == "triton, float32: 0.81 of a copy's GB/s"
    assert gpu.found({"status": "done", "result": {"failed": 1, "passed": 20}}) == "1 failed, 20 passed"
    assert gpu.found({"status": "stopped", "epochs": 7}) == "7 epochs"
