"""Comparisons and their results from Python, as a user writes it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

import onchip
from onchip.data import load
from onchip.errors import DataError, RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.losses import predict
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.progress import ProgressListener
from onchip.training.saved import SavedRuns

TINY: dict[str, Any] = {"net": "mlp", "train_size": 30, "steps": 2, "epochs": 1}


def test_it_returns_records_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    records = onchip.compare(rules=["bp", "opzo"], seeds=2, **TINY)
    assert [(record.label, record.seed) for record in records] == [("bp", 0), ("opzo", 0), ("bp", 1), ("opzo", 1)]
    assert all(record.status == "ok" and record.epochs == 1 for record in records)
    assert "| opzo " in onchip.report.as_markdown(records)
    assert not list(tmp_path.iterdir())


def test_it_gives_what_the_command_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onchip.cli import app

    monkeypatch.chdir(tmp_path)
    options = "--net mlp --train-size 30 --steps 2 --epochs 1 --seeds 0,3 --keep-weights --out shell"
    with pytest.raises(SystemExit, match="0"):
        app(["compare", "--rules", "dfa,fbp:period=1|2", *options.split()])
    records = onchip.compare("dfa,fbp:period=1|2", seeds=(0, 3), keep_weights=True, out="python", **TINY)
    stored = onchip.load_run("shell")
    assert [(r.label, r.seed, r.ledger, r.test_accuracy) for r in stored.records] == [
        (r.label, r.seed, r.ledger, r.test_accuracy) for r in records
    ]
    assert {file.name for file in Path("shell").iterdir()} == {file.name for file in Path("python").iterdir()}
    assert Path("shell", "run.json").read_text() == Path("python", "run.json").read_text()
    for record in records:
        first, second = (onchip.load_run(f).model(record.label, record.seed) for f in ("shell", "python"))
        for name, weight in first.state_dict().items():
            assert torch.equal(weight, second.state_dict()[name])


def test_without_rules_it_takes_those_that_can_train() -> None:
    with pytest.warns(UserWarning, match="left out: ottt cannot train TTFS"):
        records = onchip.compare(seeds=1, neuron="ttfs", **TINY)
    assert {"bp", "dfa", "fa", "fbp"} == {record.rule for record in records}


def test_it_reports_progress_and_runs_several_at_once() -> None:
    begun = []

    class Watch(ProgressListener):
        def run_begins(self, config: RunConfig) -> None:
            begun.append(config)

    assert len(onchip.compare(["bp", "dfa"], seeds=1, jobs=2, progress=Watch, **TINY)) == len(begun) == 2


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    class Stop(ProgressListener):
        def run_begins(self, config: RunConfig) -> None:
            if config.rule == "dfa":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        onchip.compare(["bp", "dfa"], seeds=1, out=tmp_path, keep_weights=True, progress=Stop, **TINY)
    assert [record.label for record in onchip.load_run(tmp_path).records] == ["bp"]
    resumed = onchip.compare(out=tmp_path, resume=True)
    assert [record.label for record in resumed] == ["bp", "dfa"]
    for record in resumed:
        onchip.load_run(tmp_path).model(record.label)
    assert resumed[0].started == onchip.load_run(tmp_path).record("bp").started


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rules": ["bpp"]}, "did you mean 'bp'"),
        ({"rule": "bp", "rules": ["bp"], "epoch": 3}, "did you mean 'epochs'"),
        ({"rules": ["bp", "bp"]}, "bp"),
        ({"rules": [3]}, "rules got"),
        ({"seeds": 0}, "seeds got 0"),
        ({"seeds": [1.5]}, "seeds got"),
        ({"epochs": 0}, "epochs got 0"),
        ({"epochs": "1"}, "epochs got '1'"),
        ({"resume": True}, "need out"),
        ({"keep_weights": True}, "need out"),
        ({"jobs": 0}, "jobs got 0"),
    ],
)
def test_a_wrong_request_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        onchip.compare(**{**TINY, **options})
    with pytest.raises(UnsupportedError, match="cannot train TTFS"):
        onchip.compare("ottt", neuron="ttfs", **TINY)


RULES = ["bp", "fbp:period=3", "dfa", "kolen_pollack", "opzo", "weight_mirror", "local_learning", "ottt"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> SavedRuns:
    folder = tmp_path_factory.mktemp("runs")
    onchip.compare(RULES, seeds=1, out=folder, keep_weights=True, **{**TINY, "train_size": 100})
    return onchip.load_run(folder)


@pytest.mark.parametrize("label", RULES)
def test_a_loaded_network_is_as_accurate_as_its_record_says(label: str, saved: SavedRuns) -> None:
    model, test = saved.model(label), load("digits").test
    assert not model.training
    with torch.no_grad():
        out = model(onchip.Static(test.samples.float() / 255, saved.config.base.steps))
    accuracy = (predict(out, last=False) == test.labels).double().mean()
    assert float(accuracy) == pytest.approx(saved.record(label).test_accuracy, abs=1e-12)


@pytest.mark.parametrize("label", RULES)
def test_a_loaded_rule_is_as_it_was_after_training(label: str, saved: SavedRuns, tmp_path: Path) -> None:
    config = next(config for config in saved.config.runs() if config.rule == label.replace("_", "-"))
    train(config, load_data(config), save_to=tmp_path / "state")
    state, rule = checkpoint.load(tmp_path / "state"), saved.rule(label)
    assert isinstance(rule, Rule)
    assert rule.state_dict().keys() == state["rule"].keys()
    for name, value in rule.state_dict().items():
        assert torch.equal(value, state["rule"][name]), name
    model = rule.detach()
    assert all(torch.equal(value, state["model"][name]) for name, value in model.state_dict().items())


def test_a_loaded_rule_trains_on(saved: SavedRuns) -> None:
    rule = saved.rule("dfa", seed=0)
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    out = rule.forward(onchip.Static(torch.rand(4, 1, 8, 8), steps=2))
    rule.backward(cross_entropy(out.mean(0), torch.arange(4)))
    before = [parameter.clone() for parameter in rule.parameters()]
    optimizer.step()
    assert any(not torch.equal(old, new) for old, new in zip(before, rule.parameters(), strict=True))


def test_a_run_must_be_named_if_there_are_several(saved: SavedRuns) -> None:
    with pytest.raises(RequestError, match="expected one run of: bp with seed 0, fbp:period=3 with seed 0"):
        saved.record()
    with pytest.raises(RequestError, match="seed=9"):
        saved.model("bp", seed=9)


@pytest.mark.parametrize("damage", ["absent", "cut", "swapped", "feedback"])
def test_damaged_weights_are_refused(damage: str, saved: SavedRuns, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(saved.path, folder)
    weights, other = (folder / "weights" / f"{rule}-seed0.safetensors" for rule in ("bp", "dfa"))
    if damage == "absent":
        weights.unlink()
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-5])
    elif damage == "swapped":
        weights.write_bytes(other.read_bytes())
    else:
        (folder / "weights" / "bp-seed0.feedback.safetensors").unlink()
    expected = RequestError if damage == "absent" else DataError
    message = {"absent": "--keep-weights", "swapped": "of another run, dfa with seed 0"}.get(damage, "cannot be used")
    with pytest.raises(expected, match=message):
        onchip.load_run(folder).rule("bp")


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no run"):
        onchip.load_run(tmp_path / "absent")
    (tmp_path / "run.json").write_text("null")
    with pytest.raises(DataError, match="is damaged"):
        onchip.load_run(tmp_path)


def test_a_folder_of_an_earlier_version_loads(saved: SavedRuns, tmp_path: Path) -> None:
    shutil.copytree(saved.path, tmp_path, dirs_exist_ok=True)
    values = json.loads((tmp_path / "run.json").read_text())
    del values["keep_weights"], values["sha256"]
    (tmp_path / "run.json").write_text(json.dumps(values))
    assert onchip.load_run(tmp_path).config == dataclasses.replace(saved.config, keep_weights=False)


def test_a_rule_trained_in_bfloat16_is_loaded_in_bfloat16(tmp_path: Path) -> None:
    onchip.compare("dfa", seeds=1, out=tmp_path, keep_weights=True, precision="bfloat16", **TINY)
    assert onchip.load_run(tmp_path).rule().bfloat16
