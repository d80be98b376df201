"""`onchip compare --chip`: verdicts in table and records, each rule with the chip's bits and without, and refusals."""

from __future__ import annotations

import json
import statistics
from importlib.resources import files
from pathlib import Path

import pytest
import torch

import onchip as package
from onchip.chips.bits import digest
from onchip.chips.reading import chip
from onchip.errors import RequestError, UnsupportedError
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read
from onchip.training import sweep as module
from onchip.training.loop import train

from .conftest import Onchip
from .test_runs import cells

SMALL = ("--train-size", "20", "--steps", "2", "--epochs", "1")
TINY = ("--chip", "loihi", "--net", "F8", *SMALL)


def records() -> list[Record]:
    return read(Path("out", "records.jsonl"))


def test_each_rule_is_trained_with_the_bits_of_the_chip_and_without(onchip: Onchip) -> None:
    result = onchip("compare", "--rules", "dfa,drtp", "--seeds", "2", "--out", "out", *TINY)
    assert result.code == 0
    runs = records()
    assert [(run.label, run.seed, run.settings["synapses"]) for run in runs] == [
        (rule, seed, synapses) for seed in (0, 1) for rule in ("dfa", "drtp") for synapses in ("chip:loihi", None)
    ]
    for run in runs:
        assert run.chip == {
            "name": "loihi",
            "digest": digest(chip("loihi")),
            "verdict": "faithful",
            "clauses": "",
            "bits": run.settings["synapses"] is not None,
        }
        settings = {name: run.settings[name] for name in ("optimizer", "momentum", "batch_size", "lr")}
        assert settings == {"optimizer": "sgd", "momentum": 0.0, "batch_size": 1, "lr": 0.05}
    assert "on loihi" in result.out
    table = Path("out", "table.md").read_text(encoding="utf-8")
    header = [cell.strip() for cell in table.splitlines()[2].strip("|").split("|")]
    rows = {row[0]: dict(zip(header, row, strict=True)) for row in cells(table)}
    assert list(rows) == ["dfa", "dfa, bits of loihi", "drtp", "drtp, bits of loihi"]
    assert {row["on loihi"] for row in rows.values()} == {"faithful"}
    for rule in ("dfa", "drtp"):
        accuracy = {(run.seed, bool(run.chip["bits"])): run.test_accuracy or 0.0 for run in runs if run.label == rule}
        points = [100 * (accuracy[seed, True] - accuracy[seed, False]) for seed in (0, 1)]
        shown = f"{statistics.mean(points):+.2f} ± {statistics.stdev(points):.2f}"
        assert rows[f"{rule}, bits of loihi"]["against full precision"] == shown
        assert rows[rule]["against full precision"] == ""
        tests = [100 * accuracy[seed, False] for seed in (0, 1)]
        assert rows[rule]["test %"] == f"{statistics.mean(tests):.2f} ± {statistics.stdev(tests):.2f}"
    reported = onchip("report", "out")
    assert reported.code == 0
    assert "dfa, bits of loihi" in Path("out", "report.html").read_text()
    assert "These runs differ" not in Path("out", "report.html").read_text(), "they are one group"


def test_the_bits_make_the_difference_and_nothing_else(onchip: Onchip) -> None:
    text = files("onchip.chips").joinpath("profiles").joinpath("loihi.toml").read_text(encoding="utf-8")
    for old in ('"7 bits"', '"8 bits"'):
        text = text.replace(old, '"24 bits"')
    Path("fine.toml").write_text(text.replace('rounding = { value = "stochastic"', 'rounding = { value = "nearest"'))
    options = ("--chip", "fine.toml", "--rules", "dfa", "--seeds", "1", "--out", "out", "--columns", "test")
    assert onchip("compare", "--net", "F8", *SMALL, *options).code == 0
    coarse, exact = records()
    assert coarse.history[0].train_loss == pytest.approx(exact.history[0].train_loss, rel=1e-3)


def test_what_the_chip_cannot_run_is_refused_with_the_clause_or_kept(onchip: Onchip) -> None:
    request = ("compare", "--rules", "bp,dfa", "--seeds", "1", "--out", "out", *TINY)
    refused = onchip(*request)
    assert refused.code == 2
    assert "bp is unsupported on loihi: through time: errors go back" in refused.err
    assert "weight transport: " in refused.err
    assert "--keep-unsupported" in refused.err
    assert not Path("out").exists()
    kept = onchip(*request, "--keep-unsupported")
    assert kept.code == 0
    assert [(run.label, run.chip["bits"]) for run in records()] == [("bp", False), ("dfa", True), ("dfa", False)]
    assert records()[0].chip["verdict"] == "unsupported"
    assert "through time" in str(records()[0].chip["clauses"])
    assert cells(Path("out", "table.md").read_text(encoding="utf-8"))[0][2] == "unsupported"
    assert "unsupported" in kept.out
    alone = onchip("compare", "--rules", "bp", "--seeds", "1", "--out", "alone", *TINY)
    assert alone.code == 2
    assert "loihi can run none of the rules" in alone.err


def test_batches_make_a_rule_approximate(onchip: Onchip) -> None:
    result = onchip("compare", "--rules", "dfa", "--seeds", "1", "--out", "out", *TINY, "--batch-size", "5")
    assert result.code == 0
    assert {run.chip["verdict"] for run in records()} == {"approximate"}
    assert "weights change after each sample, not after 5" in str(records()[0].chip["clauses"])


def test_without_rules_it_takes_those_that_the_chip_can_run(onchip: Onchip) -> None:
    result = onchip("compare", "--seeds", "1", "--out", "out", *SMALL, "--chip", "loihi", "--net", "4C3-F8")
    assert result.code == 2, "no rule learns convolutions there"
    assert "sharing over space" in result.err
    assert onchip("compare", "--seeds", "1", "--out", "out", *TINY).code == 0
    assert {run.label for run in records()} >= {"dfa", "drtp", "eprop", "decolle", "fa:temporal=online"}


def test_an_interrupted_comparison_goes_on(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(spec: RunConfig, *args: object, **options: object) -> Record:
        if spec.rule == "drtp" and spec.synapses is None:
            raise KeyboardInterrupt
        return train(spec, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        result = onchip("compare", "--rules", "dfa,drtp", "--seeds", "1", "--out", "out", *TINY, "--keep-weights")
    assert result.code == 130
    assert "onchip compare --out out --resume" in result.err
    before = records()
    assert [(run.label, run.chip["bits"]) for run in before] == [("dfa", True), ("dfa", False), ("drtp", True)]
    other = onchip("compare", "--out", "out", "--resume", "--chip", "loihi", "--rules", "dfa", "--lr", "1")
    assert other.code == 2
    assert onchip("compare", "--out", "out", "--resume").code == 0
    assert records()[:3] == before
    assert [(run.label, run.chip["bits"]) for run in records()[3:]] == [("drtp", False)]
    saved = package.load_run("out")
    with pytest.raises(RequestError, match="dfa, bits of loihi with seed 0, dfa with seed 0"):
        saved.model("dfa", 0)
    weights = [saved.model("dfa", 0, bits=bits).state_dict() for bits in (True, False)]
    assert any(not torch.equal(one, other) for one, other in zip(*(each.values() for each in weights), strict=True))


def test_a_profile_that_has_changed_is_another_comparison(onchip: Onchip) -> None:
    text = files("onchip.chips").joinpath("profiles").joinpath("loihi.toml").read_text(encoding="utf-8")
    Path("mine.toml").write_text(text)
    request = ("compare", "--rules", "dfa", "--out", "out", "--net", "F8", *SMALL, "--chip", "mine.toml")
    assert onchip(*request, "--seeds", "1").code == 0
    Path("mine.toml").write_text(text.replace('"7 bits"', '"6 bits"'))
    changed = onchip(*request, "--seeds", "2", "--resume")
    assert changed.code == 2
    assert "chip_digest was" in changed.err
    Path("mine.toml").write_text(text)
    assert onchip(*request, "--seeds", "2", "--resume").code == 0
    assert len(records()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--chip lohi", "unknown chip 'lohi'; did you mean 'loihi'"),
        ("--chip loihi --optimizer adam", "optimizer got adam; expected sgd with chip"),
        ("--chip loihi --momentum 0.5", "momentum got 0.5; expected 0.0 with chip"),
        ("--chip loihi --synapses ideal", "synapses got ideal; expected none with chip"),
        ("--chip loihi --clip 1", "clip got 1.0; expected none with chip"),
    ],
)
def test_refuses_what_does_not_go_with_a_chip(arguments: str, message: str, onchip: Onchip) -> None:
    result = onchip("compare", "--rules", "dfa", "--net", "F8", *SMALL, *arguments.split())
    assert result.code == 2
    assert message in result.err
    assert not Path("runs").exists()


def test_keeping_rules_needs_a_chip(onchip: Onchip) -> None:
    result = onchip("compare", "--rules", "dfa", "--keep-unsupported")
    assert result.code == 2
    assert "keep-unsupported needs chip" in result.err


def test_from_python() -> None:
    settings = {"net": "F8", "train_size": 20, "steps": 2, "epochs": 1, "seeds": 1}
    runs = package.compare(["dfa"], chip="loihi", **settings)  # type: ignore[arg-type]
    assert [(run.title, run.chip["verdict"]) for run in runs] == [
        ("dfa, bits of loihi", "faithful"),
        ("dfa", "faithful"),
    ]
    with pytest.raises(UnsupportedError, match="bp is unsupported on loihi"):
        package.compare(["bp", "dfa"], chip="loihi", **settings)  # type: ignore[arg-type]


def test_a_chip_file_in_a_config(onchip: Onchip) -> None:
    Path("run.toml").write_text('rules = ["dfa"]\nseeds = 1\nchip = "loihi"\nnet = "F8"\ntrain-size = 20\nepochs = 1\n')
    result = onchip("compare", "--config", "run.toml", "--out", "out", "--json")
    assert result.code == 0
    assert [json.loads(line)["chip"]["bits"] for line in result.out.splitlines()] == [True, False]
