"""`onchip export` and `onchip import`: what they write, print and refuse."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
import torch

import onchip as package
from onchip import interop
from onchip.cli import exchange
from tests.cases import spikes
from tests.cli.conftest import Onchip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with a hard reset, with their weights."""
    folder = tmp_path_factory.mktemp("runs") / "hard"
    neuron = "lif:reset=hard;decay=0.8"
    package.compare(
        "bp,dfa", seeds=[3], net="F16", neuron=neuron, train_size=40, epochs=1, out=folder, keep_weights=True
    )
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> Path:
    """The same runs in a folder of the test's own."""
    shutil.copytree(trained, tmp_path / "runs")
    return tmp_path / "runs"


def _rows(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in out.splitlines()[2:]]


def test_a_run_goes_out_and_comes_back(onchip: Onchip, runs: Path) -> None:
    result = onchip("export", str(runs), "--rule", "dfa")
    assert result.code == 0, result.err
    assert [row[:3] for row in _rows(result.out)][:3] == [
        ["flatten", "Flatten '0'", "faithful"],
        ["affine", "Linear '1'", "faithful"],
        ["lif", "LIF after '1'", "faithful"],
    ]
    path = runs / "dfa-3-nir.nir"
    assert f"written to {path}, for nir 1.0.8, with the rule dfa" in result.err
    result = onchip("import", str(path), "--out", "network")
    assert result.code == 0, result.err
    assert ["lif", "LIF(decay=0.8, threshold=1, reset='hard')", "faithful", "-"] in _rows(result.out)
    signal = spikes(5, 4, 1, 8, 8)
    expected = package.load_run(runs).model("dfa", 3)(signal)
    assert torch.equal(interop.load(path)(signal), expected)
    assert torch.equal(package.load("network").model(signal), expected)
    feedback = package.load_run(runs).rule("dfa", 3).state_dict()
    torch.testing.assert_close(package.load("network").rule.state_dict(), feedback, rtol=0.0, atol=0.0)
    result = onchip("export", "network", "--out", "again.nir")
    assert "network does not say the shape of its input; expected --shape" in result.err
    result = onchip("export", "network", "--out", "again.nir", "--rule", "dfa")
    assert "network holds one model; expected no --rule and no --seed" in result.err
    result = onchip("export", "network", "--out", "again.nir", "--shape", "1x8x8")
    assert result.code == 0, result.err
    assert "with the rule dfa" in result.err
    assert torch.equal(interop.load("again.nir")(signal), expected)
    torch.testing.assert_close(interop.read("again.nir").restored().rule.state_dict(), feedback, rtol=0.0, atol=0.0)


def test_an_audit_of_the_exported_network_goes_along(onchip: Onchip, runs: Path) -> None:
    result = onchip("export", str(runs), "--rule", "dfa", "--audit", "--out", "audited.nir")
    assert result.code == 0, result.err
    document = interop.read("audited.nir").document
    assert document is not None
    assert document.certificate is not None
    assert document.certificate["holds"]
    assert document.certificate["about"] == "the exported network, input 1x8x8, 4 steps, 3 samples, seed 0"
    outcomes = {each["claim"]: each["outcome"] for each in document.certificate["results"]}
    assert outcomes["no_weight_transport"] == "holds"


def test_the_rule_may_stay_at_home(onchip: Onchip, runs: Path) -> None:
    result = onchip("export", str(runs), "--rule", "dfa", "--no-learning", "--out", "network.nir")
    assert result.code == 0, result.err
    assert interop.read("network.nir").document is None
    result = onchip("import", "network.nir", "--out", "network")
    assert result.code == 0, result.err
    assert "trained by" not in result.err
    assert package.load("network").file.rule is None


def test_a_reader_is_named(onchip: Onchip, runs: Path) -> None:
    result = onchip("export", str(runs), "--rule", "bp", "--seed", "3", "--reader", "norse", "--out", "network.nir")
    assert result.code == 0, result.err
    assert "for norse 1.1.0" in result.err
    assert "norse flattens the batch, too" in result.out
    result = onchip("import", "network.nir")
    assert result.code == 0, result.err
    assert "LIF(decay=0.8, threshold=1, reset='hard')" in result.out
    assert "--out DIR stores it" in result.err


def test_what_is_approximate_needs_leave(onchip: Onchip, runs: Path) -> None:
    words = ["export", str(runs), "--rule", "bp", "--reader", "sinabs", "--out", "network.nir"]
    result = onchip(*words)
    assert result.code == 2
    assert "| lif | LIF after '1' | approximate |" in result.out
    assert result.err.count("\n") == 1
    assert "--approximate, writes it all the same" in result.err
    assert not Path("network.nir").exists()
    result = onchip(*words, "--approximate")
    assert result.code == 0, result.err
    assert Path("network.nir").exists()


def test_on_a_terminal_reasons_stand_below(onchip: Onchip, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = onchip("export", str(runs), "--rule", "bp", "--reader", "norse")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == ["node", "layer", "verdict"]
    assert lines[2].startswith("    norse flattens the batch, too")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["export", "nowhere"], "nowhere holds no run"),
        (["export", "runs"], "expected one run of: bp with seed 3, dfa with seed 3"),
        (["export", "runs", "--rule", "fa"], "expected one run of"),
        (["export", "runs", "--rule", "bp", "--to", "onnx"], "unknown format 'onnx'"),
        (["export", "runs", "--rule", "bp", "--reader", "brian"], "unknown reader 'brian'"),
        (["export", "runs", "--rule", "bp", "--shape", "8by8"], "shape got '8by8'; expected positive numbers"),
        (["export", "runs", "--rule", "bp", "--shape", "1x9x9"], "Linear '1' got features of shape (81,)"),
        (["export", "runs", "--rule", "bp", "--out", "no/where.nir"], "expected a name in a folder that exists"),
        (["export", "runs", "--rule", "bp", "--out", "runs"], "runs cannot be the file"),
        (["export", "runs", "--rule", "bp", "--audit", "--no-learning"], "got --audit and --no-learning"),
        (["import", "nowhere.nir"], "nowhere.nir cannot be read: No such file"),
        (["import", "nowhere.nir", "--reset", "medium"], "unknown reset 'medium'"),
        (["import", "nowhere.nir", "--shape", "x"], "shape got 'x'; expected positive numbers"),
        (["import", "runs/run.json"], "is no NIR file, or damaged"),
        (["import", "runs/run.json", "--reader", "brian"], "is no NIR file, or damaged"),
    ],
)
def test_wrong_requests_are_refused_in_one_line(onchip: Onchip, runs: Path, words: list[str], message: str) -> None:
    result = onchip(*words)
    assert (result.code, result.err.count("\n")) == (2, 1), result.err
    assert message in result.err
    assert "Traceback" not in result.err


def test_weights_that_were_not_kept_are_missed(onchip: Onchip, runs: Path) -> None:
    shutil.rmtree(runs / "weights")
    result = onchip("export", str(runs), "--rule", "bp")
    assert result.code == 2
    assert "holds no weights of bp with seed 3; train it again" in result.err
    assert "--keep-weights" in result.err


def test_without_the_package_one_line_says_what_to_install(
    onchip: Onchip, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    result = onchip("export", str(runs), "--rule", "bp")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "pip install 'onchip[nir]'" in result.err


def test_the_command_line_names_every_reader() -> None:
    assert list(exchange.READERS) == list(interop.READERS)


def test_inference_is_a_program_of_torch(onchip: Onchip) -> None:
    onchip("train", "--net", "F16", "--train-size", "40", "--epochs", "1", "--rule", "dfa", "--out", "run")
    result = onchip("export", "run", "--to", "pt2")
    assert result.code == 0, result.err
    assert result.out.startswith("faithful: on 16 seeded samples it computes what the network computes, to ")
    assert Path("run/model.pt2").exists()
    samples = torch.randint(0, 256, (5, 1, 8, 8), dtype=torch.uint8)
    scores, _ = torch.export.load("run/model.pt2").module()(samples)
    torch.testing.assert_close(scores, package.load("run").predict(samples).scores, rtol=1e-4, atol=1e-4)
    assert "got --reader, which --to pt2 does not take" in onchip("export", "run", "--to", "pt2", "--reader", "nir").err
    assert "got --approximate" in onchip("export", "run", "--to", "pt2", "--approximate").err
    assert "expected a name in a folder" in onchip("export", "run", "--to", "pt2", "--out", "absent/x.pt2").err


def test_several_runs_are_no_program(onchip: Onchip, runs: Path) -> None:
    assert "holds no trained model" in onchip("export", str(runs), "--to", "pt2").err


def test_random_spikes_are_no_program(onchip: Onchip) -> None:
    onchip("train", "--net", "F8", "--train-size", "30", "--epochs", "1", "--encoder", "poisson", "--out", "run")
    result = onchip("export", "run", "--to", "pt2")
    assert result.code == 2
    assert "the encoder 'poisson' draws random spikes" in result.err
