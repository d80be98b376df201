from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training import sweep as module
from onchip.training.loop import train

from .conftest import Onchip

TINY = ("--net", "mlp", "--train-size", "20", "--steps", "1", "--epochs", "1")


def records(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "records.jsonl").read_text().splitlines()]


def cells(table: str) -> list[list[str]]:
    """The table's rows below its head."""
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def rules_of(printed: str) -> list[str]:
    """The rules of the table that was printed; a long name goes on in lines that have nothing else."""
    (rows,) = re.findall(r"^──.*\n((?:\S.*\n)+)", printed, re.MULTILINE)
    names: list[str] = []
    for first, *others in map(str.split, rows.splitlines()):
        names[len(names) :] = [first] if others else [names.pop() + first]
    return names


def short(value: float) -> str:
    """A count as the table writes it, worked out anew."""
    power = 0 if value == 0 else min(3, max(0, (len(str(int(float(f"{value:.4g}")))) - 1) // 3))
    return f"{value / 1000**power:.4g}" + ["", "k", "M", "G"][power]


def test_compares_rules_over_seeds(onchip: Onchip) -> None:
    result = onchip(
        "compare", "--rules", "bp,fbp:period=1;transport=top:0.1,dfa", "--seeds", "2", "--out", "out", *TINY
    )
    assert result.code == 0
    files = {file.name for file in Path("out").iterdir()}
    assert files == {".lock", "run.json", "records.jsonl", "table.md", "report.html", "figure.svg", "figure.png"}
    assert [(r["rule"], r["seed"]) for r in records("out")] == [(r, s) for s in (0, 1) for r in ("bp", "fbp", "dfa")]
    table, shown = cells(Path("out", "table.md").read_text()), rules_of(result.out)
    assert [row[0] for row in table] == shown == ["bp", "fbp:period=1;transport=top:0.1", "dfa"]
    assert "bp, seed 0: test " in result.err
    assert "results in out" in result.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_without_a_terminal_progress_is_a_line_per_epoch(jobs: str, onchip: Onchip) -> None:
    options = ("--train-size", "30", "--net", "mlp", "--steps", "2", "--epochs", "2", "--jobs", jobs)
    result = onchip("compare", "--rules", "bp,dfa", "--seeds", "1", "--out", "out", *options)
    for record in records("out"):
        for epoch in record["history"]:
            validated, seconds = f"{100 * epoch['validation_accuracy']:.2f} %", f"{epoch['seconds']:.1f} s"
            begin = f"{record['label']}, seed 0: epoch {epoch['epoch']} of 2, loss {epoch['train_loss']:.4g}"
            assert f"{begin}, validation {validated}, {seconds}\n" in result.err
    assert not {"\r", "\x1b"} & {*result.err}


def test_every_number_in_the_table_is_in_the_records(onchip: Onchip) -> None:
    onchip("compare", "--rules", "bp,fbp:period=2,dfa", "--seeds", "3", "--out", "out", *TINY)
    rows = cells(Path("out", "table.md").read_text())
    assert [row[0] for row in rows] == ["bp", "fbp:period=2", "dfa"]
    for row in rows:
        runs = [record for record in records("out") if record["label"] == row[0]]
        for cell, key in ((row[1], "test_accuracy"), (row[2], "validation_accuracy")):
            values = [100 * run[key] for run in runs]
            assert cell == f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
        assert row[3] == str(len(runs))
        ledgers = [run["ledger"] for run in runs]
        bits = [ledger["transport_value_bits"] + ledger["transport_index_bits"] for ledger in ledgers]
        expected = [statistics.mean(ledger["weights_transported"] / ledger["steps"] for ledger in ledgers)]
        expected.append(statistics.mean(n / ledger["steps"] for n, ledger in zip(bits, ledgers, strict=True)))
        for part in ("forward", "error", "update"):
            samples = runs[0]["epochs"] * runs[0]["train_size"]
            expected.append(statistics.mean(run["ledger"][f"products_{part}"] / samples for run in runs))
        operations = [
            sum(ledger[f"operations_{part}"] for part in ("forward", "error", "update")) for ledger in ledgers
        ]
        expected.append(statistics.mean(operations) / samples)
        expected.append(statistics.mean(run["feedback_memory"] + run["stored_activity_peak"] for run in ledgers))
        expected.append(statistics.mean(run["energy_pj_horowitz_45nm"] for run in ledgers) / samples / 1e6)
        expected.append(statistics.mean(run["samples_per_second"] for run in runs))
        assert row[5:] == [short(value) for value in expected]


def test_a_grid_of_options_runs_several_at_once_and_marks_the_front(onchip: Onchip) -> None:
    grid = ("--rule", "bp,fbp:period=1,4;transport=top:0.5,0.1", "--seeds", "1", "--out", "out", *TINY)
    result = onchip("compare", *grid, "--jobs", "2")
    assert result.code == 0
    options = [f"period={period};transport=top:{share}" for period in (1, 4) for share in (0.5, 0.1)]
    table = cells(Path("out", "table.md").read_text())
    assert [row[0] for row in table] == ["bp", *(f"fbp:{option}" for option in options)], "in the order asked for"
    runs = {run["label"]: run for run in records("out")}
    points = {
        label: (run["ledger"]["transport_value_bits"] + run["ledger"]["transport_index_bits"], -run["test_accuracy"])
        for label, run in runs.items()
    }
    for label, *_, front in (row[:5] for row in table):
        others = [point for other, point in points.items() if other != label]
        beaten = any(a <= points[label][0] and b <= points[label][1] and (a, b) != points[label] for a, b in others)
        assert front == ("" if beaten else "yes")
    before = records("out")
    assert onchip("compare", *grid[2:], "--rules", "bp,dfa,fbp:period=1|4;transport=top:0.5|0.1", "--resume").code == 0
    assert records("out")[:-1] == before, "a larger grid keeps what is recorded"
    assert records("out")[-1]["rule"] == "dfa"


def test_a_single_run_takes_one_rule(onchip: Onchip) -> None:
    result = onchip("train", "--rule", "fbp:period=1,10", "--out", "out", *TINY)
    assert result.code == 2
    assert "train got 2 rules" in result.err


def test_json_alone_goes_to_standard_output(onchip: Onchip) -> None:
    result = onchip("compare", "--rules", "bp,fa", "--seeds", "1", "--out", "out", "--json", *TINY)
    assert [json.loads(line) for line in result.out.splitlines()] == records("out")
    assert rules_of(result.err) == ["bp", "fa"]


def test_without_a_folder_each_comparison_gets_its_own(onchip: Onchip) -> None:
    for _ in range(2):
        assert onchip("compare", "--rules", "dfa", "--seeds", "1", *TINY).code == 0
    assert sorted(folder.name for folder in Path("runs").iterdir()) == ["digits-mlp-1", "digits-mlp-2"]


def test_without_rules_it_takes_those_that_can_train(onchip: Onchip) -> None:
    result = onchip("compare", "--neuron", "ttfs", "--seeds", "1", "--out", "out", *TINY)
    assert result.code == 0
    assert "left out: ottt cannot train TTFS" in result.err
    assert "ottt" not in {record["rule"] for record in records("out")}
    assert {"bp", "dfa", "fa", "fbp"} <= {record["rule"] for record in records("out")}


def test_a_run_that_diverges_fails_alone(onchip: Onchip) -> None:
    diverging = ("--optimizer", "sgd", "--lr", "1e6", "--weight-decay", "1e6", "--batch-size", "4")
    result = onchip("compare", "--rules", "bp,dfa", "--seeds", "1", "--out", "out", *TINY, *diverging)
    assert result.code == 1
    assert [record["status"] for record in records("out")] == ["failed", "failed"]
    assert "epoch 1, step" in records("out")[0]["error"]
    assert "0 of 1" in Path("out", "table.md").read_text()
    assert not Path("out", "figure.svg").exists()


def test_ctrl_c_keeps_finished_runs_and_resume_goes_on(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(spec: RunConfig, *args: object, **options: object) -> Record:
        if spec.rule == "fa":
            raise KeyboardInterrupt
        return train(spec, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        result = onchip("compare", "--rules", "bp,fa,dfa", "--seeds", "1", "--out", "out", *TINY)
    assert result.code == 130
    assert rules_of(result.out) == ["bp"]
    assert "onchip compare --out out --resume" in result.err
    (kept,) = records("out")
    result = onchip("compare", "--out", "out", "--resume", "--epochs", "1")
    assert result.code == 0
    assert records("out")[0] == kept
    assert rules_of(result.out) == ["bp", "fa", "dfa"]


def test_an_interrupt_before_the_first_result_can_be_resumed_too(
    onchip: Onchip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> Record:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        assert onchip("train", "--rule", "dfa", "--seed", "7", "--out", "out", *TINY).code == 130
    assert onchip("train", "--out", "out", "--resume").code == 0
    assert [(record["rule"], record["seed"]) for record in records("out")] == [("dfa", 7)]


def test_an_earlier_run_is_refused_replaced_or_resumed(onchip: Onchip) -> None:
    request = ("compare", "--rules", "dfa", "--seeds", "1", "--out", "out", *TINY)
    assert onchip(*request).code == 0
    before = records("out")
    refused = onchip(*request)
    assert refused.code == 2
    assert "--force" in refused.err
    different = onchip(*request, "--resume", "--lr", "0.5")
    assert different.code == 2
    assert "lr was 0.005, now 0.5" in different.err
    assert onchip(*request, "--resume").code == 0
    assert records("out") == before
    assert onchip(*request, "--force").code == 0
    assert records("out") != before


def test_train_keeps_the_weights_beside_the_record(onchip: Onchip) -> None:
    result = onchip("train", "--rule", "fbp:period=2", "--seed", "3", "--out", "out", *TINY)
    assert result.code == 0
    (record,) = records("out")
    assert (record["label"], record["seed"]) == ("fbp:period=2", 3)
    weights = load_file(Path("out", "weights", "fbp_period=2-seed3.safetensors"))
    assert sum(weight.numel() for weight in weights.values()) == record["parameters"]


def test_compare_keeps_weights_and_a_resumed_one_does_too(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(spec: RunConfig, *args: object, **options: object) -> Record:
        if spec.rule == "dfa":
            raise KeyboardInterrupt
        return train(spec, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", interrupted)
        request = ("compare", "--rules", "bp,dfa", "--seeds", "1", "--out", "out", *TINY)
        assert onchip(*request, "--keep-weights").code == 130
    assert json.loads(Path("out", "run.json").read_text())["keep_weights"] is True
    assert onchip("compare", "--out", "out", "--resume").code == 0
    kept = {file.name for file in Path("out", "weights").iterdir() if "feedback" not in file.name}
    assert kept == {"bp-seed0.safetensors", "dfa-seed0.safetensors"}
    assert onchip(*request, "--force").code == 0
    assert not Path("out", "weights").exists(), "they are not those of the new runs"
    assert onchip("compare", "--out", "out", "--resume", "--rules", "bp,dfa,fa", "--keep-weights").code == 0
    assert {file.name.partition("-")[0] for file in Path("out", "weights").iterdir()} == {"fa"}


def test_options_may_come_from_a_file_and_the_command_line_wins(onchip: Onchip) -> None:
    Path("run.toml").write_text('rules = ["dfa", "fbp:period=2"]\nseeds = [4]\nlr = 1\nbatch-size = 5\nnet = "mlp"\n')
    assert onchip("compare", "--config", "run.toml", "--lr", "0.01", "--out", "out", *TINY).code == 0
    assert [(r["label"], r["seed"]) for r in records("out")] == [("dfa", 4), ("fbp:period=2", 4)]
    settings = records("out")[0]["settings"]
    assert (settings["lr"], settings["batch_size"]) == (0.01, 5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch = 1", "did you mean 'epochs'"),
        ("rule = 'bp'", "did you mean 'rules'"),
        ("epochs = '1'", "epochs got '1'; expected int"),
        ("rules = 3", "rules got 3"),
        ("seeds = 1.5", "seeds got 1.5"),
        ("seeds = [true, 'x']", "seeds got"),
        ("epochs = ", "is no TOML"),
        ("batch-size = 3\nbatch_size = 4", "has batch_size in two spellings"),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, onchip: Onchip) -> None:
    Path("run.toml").write_text(text)
    result = onchip("compare", "--config", "run.toml")
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--rules bp,fpb", "unknown rule 'fpb'; did you mean 'fbp'"),
        ("--rules fbp:perod=3", "did you mean 'period'"),
        ("--rules fbp:period=x", "expected int"),
        ("--rules fbp:period=0", "period=0"),
        ("--rules fbp:transport=tpo:0.1", "did you mean 'top'"),
        ("--rules fbp:transport=top:1.5", "fraction=1.5"),
        ("--rules fbp:period=3,transport=full", "';'"),
        ("--rules bp,bp", "'bp' twice"),
        ("--rules fbp:period=3,fbp:period=03", "'fbp:period=3' twice, also as 'fbp:period=03'"),
        ("--rules fbp:transport=top:0.1:fraction=0.2", "sets 'fraction' twice"),
        ("--rules bp --rules fa", "got --rules or --rule 2 times; expected it once"),
        ("--rule bp --rules fa", "got --rules or --rule 2 times; expected it once"),
        ("--epochs 1 --seeds 1 --epochs=1", "got --epochs 2 times"),
        ("--force --force", "got --force 2 times"),
        ("--out=", "got empty text for --out"),
        ("--data-root=", "got empty text for --data-root"),
        ("--rules bp,", "empty name"),
        ("--rules ottt --neuron ttfs", "ottt cannot train TTFS"),
        ("--net conv-smal", "did you mean 'conv-small'"),
        ("--neuron lfi", "unknown neuron 'lfi'"),
        ("--neuron lif:decay=7", "decay"),
        ("--data digit", "did you mean 'digits'"),
        ("--data mnist", "mnist: no file"),
        ("--encoder laten", "did you mean 'latency'"),
        ("--encoder latency", "makes spike times"),
        ("--optimizer adm", "did you mean 'adam'"),
        ("--schedule cos", "did you mean 'cosine'"),
        ("--augment corp:4", "did you mean 'crop'"),
        ("--steps 0", "steps got 0"),
        ("--epochs -1", "epochs got -1"),
        ("--batch-size 0", "batch-size got 0"),
        ("--lr nan", "lr got nan"),
        ("--lr 0", "lr got 0"),
        ("--seeds 0", "seeds got 0"),
        ("--seeds a", "seeds got 'a'"),
        ("--seeds 1,1", "1 twice"),
        ("--train-size 0", "train-size got 0"),
        ("--train-size 99999", "train_size=99999"),
        ("--validation 1", "validation got 1"),
        ("--device tpu9", "device got 'tpu9'"),
        ("--config absent.toml", "absent.toml cannot be read"),
        ("--resume", "--resume needs --out"),
        ("--rules fbp:period=1|x", "expected int"),
        ("--rules fbp:period=1||2", "empty value"),
        ("--rules fbp:period=1,2,2", "'fbp:period=2' twice"),
        ("--rules fbp:transport=full,sign", "unknown rule 'sign'"),
        ("--jobs 0", "jobs got 0"),
        ("--probe -1", "probe got -1"),
        ("--resume --out absent", "no run to resume"),
        ("--epochs x", ""),  # the option parser's own messages are laid out for the terminal
        ("--epoch 3", ""),
    ],
)
def test_a_wrong_request_is_refused_before_anything_trains(arguments: str, message: str, onchip: Onchip) -> None:
    result = onchip("compare", *arguments.split())
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""
    assert not Path("runs").exists()
