"""Too little memory: told by name, with a batch that fits, and the other runs go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from onchip import nn
from onchip.cli import app
from onchip.errors import MemoryLimitError
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal, Static
from onchip.runs.config import RunConfig
from onchip.runs.record import read
from onchip.runs.sweep_config import SweepConfig
from onchip.training import builder as run_module
from onchip.training import memory, registry
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.sweep import compare

SPEC = RunConfig(net="mlp", train_size=64, steps=2, epochs=1, batch_size=64, validation=0.0)


def full(size: str = "20.00 GiB") -> torch.OutOfMemoryError:
    return torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {size}. GPU 0 has a total capacity of 1 GiB")


def holds(most: int, monkeypatch: pytest.MonkeyPatch, only: str | None = None) -> list[int]:
    """Lets forward passes run out of memory above so many samples, and lists the samples of each pass."""
    forward, seen = Rule.forward, []

    def limited(self: Rule, signal: Signal, lengths: torch.Tensor | None = None) -> torch.Tensor:
        assert isinstance(signal, Static)
        if self._attached().training:
            seen.append(len(signal.image))
        if len(signal.image) > most and only in (None, self.name):
            raise full()
        return forward(self, signal, lengths)

    monkeypatch.setattr(Rule, "forward", limited)
    return seen


def test_the_error_names_a_batch_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = holds(20, monkeypatch)
    message = (
        r"^bp with seed 0 ran out of memory on 'cpu' with a batch of 64: CUDA out of memory; "
        r"a batch of 16 fits\. Use --batch-size 16, or --chunk 16 to learn from as many as now, or try --recompute$"
    )
    with pytest.raises(MemoryLimitError, match=message):
        train(SPEC, load_data(SPEC))
    assert seen == [64, 32, 16, 16], "two steps: the optimizer's memory is there from the second on"
    monkeypatch.undo()
    holds(16, monkeypatch)
    for smaller in (dataclasses.replace(SPEC, batch_size=16), dataclasses.replace(SPEC, chunk=16)):
        assert train(smaller, load_data(SPEC)).status == "ok"
    with pytest.raises(MemoryLimitError, match=r"with a batch of 32: .* a batch of 16 fits"):
        train(dataclasses.replace(SPEC, chunk=32), load_data(SPEC))


def test_no_batch_may_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    holds(0, monkeypatch)
    with pytest.raises(MemoryLimitError, match="not even a batch of 1 fits; use a smaller network"):
        train(SPEC, load_data(SPEC))


def test_nothing_of_the_failed_step_is_kept_while_others_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU, what a traceback holds would make every smaller batch fail, too."""
    import weakref

    rules: list[weakref.ref[Rule]] = []
    alive: list[int] = []
    build = run_module.build

    def built(*arguments: Any) -> Any:
        memory.release()
        alive.append(sum(rule() is not None for rule in rules))
        made = build(*arguments)
        rules.append(weakref.ref(made.rule))
        return made

    for module in ("loop", "failures"):
        monkeypatch.setattr(f"onchip.training.{module}.build", built)
    holds(20, monkeypatch)
    with pytest.raises(MemoryLimitError, match="a batch of 16 fits"):
        train(SPEC, load_data(SPEC))
    assert alive == [0, 0, 0]


def test_a_run_without_memory_fails_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    holds(20, monkeypatch, only="dfa")
    records = list(compare(SweepConfig(SPEC, ("bp", "dfa", "ottt"), (0,)), load_data(SPEC), tmp_path / "out"))
    assert [(record.rule, record.status) for record in records] == [("bp", "ok"), ("dfa", "failed"), ("ottt", "ok")]
    assert "a batch of 16 fits" in str(read(tmp_path / "out" / "records.jsonl")[1].error)


def test_the_command_line_fails_without_a_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    holds(20, monkeypatch)
    asked = ["train", "--net", "mlp", "--train-size", "64", "--epochs", "1", "--batch-size", "64"]
    ran = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")])
    assert ran.exit_code == 1
    assert "--batch-size 16" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_network_or_a_device_that_is_full_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise full()

    monkeypatch.setattr(nn.Sequential, "to", refuse)
    with pytest.raises(MemoryLimitError, match=r"the network 'mlp' under bp does not fit into the memory of 'cpu'"):
        list(compare(SweepConfig(SPEC, ("bp",), (0,)), load_data(SPEC), tmp_path / "out"))
    monkeypatch.setattr(torch, "zeros", refuse)
    with pytest.raises(MemoryLimitError, match="a single number does not fit into the memory of 'cuda:7'"):
        registry.device("cuda:7")


@pytest.mark.parametrize("error", [full(), MemoryError(), RuntimeError("CUDA error: out of memory\nmore")], ids=repr)
def test_what_says_that_memory_ran_out(error: Exception) -> None:
    assert memory.ran_out(error)
    assert "\n" not in memory.first_line(error)


def test_a_cpu_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.ran_out(caught.value)
    assert memory.first_line(caught.value).startswith("DefaultCPUAllocator: can't allocate memory")


def test_other_errors_go_their_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not memory.ran_out(RuntimeError("shapes differ"))

    def broken(self: Rule, signal: Signal, lengths: torch.Tensor | None) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(Rule, "forward", broken)
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(SPEC, load_data(SPEC))
