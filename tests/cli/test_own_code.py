"""Networks and data sets of a user's functions, on the command line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import onchip as package
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training import sweep as module
from onchip.training.loop import train

from .conftest import Onchip

TINY = ("--train-size", "20", "--steps", "1", "--epochs", "1", "--seeds", "1")
NET = """
from pathlib import Path

from onchip import nn


def build(shape, classes):
    Path("ran").touch()
    channels, height, width = shape
    return nn.Sequential(
        nn.Flatten(), nn.Linear(channels * height * width, 12), nn.LIF(decay=0.8), nn.Linear(12, classes)
    )


def fixed():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, 5, bias=False), nn.TTFS(), nn.Linear(5, 10, bias=False), nn.TTFSReadout()
    )
"""


def records(folder: str = "out") -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(folder, "records.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_network_of_ones_own_is_compared_and_recorded(jobs: str, onchip: Onchip) -> None:
    Path("my_net.py").write_text(NET)
    result = onchip("compare", "--net", "my_net.py:build", "--rules", "bp,dfa", "--out", "out", "--jobs", jobs, *TINY)
    assert result.code == 0, result.err
    assert "my_net.py:build of lif neurons" in result.out
    digest = hashlib.sha256(NET.encode()).hexdigest()
    assert {record["settings"]["net"] for record in records()} == {f"my_net.py:build#{digest}"}
    assert {(record["network"], record["neuron"]) for record in records()} == {("my_net.py:build", "lif")}
    assert {record["parameters"] for record in records()} == {65 * 12 + 13 * 10}


def test_a_function_without_parameters_decides_on_its_neurons(onchip: Onchip) -> None:
    Path("my_net.py").write_text(NET)
    assert onchip("train", "--net", "my_net.py:fixed", "--rule", "fa", "--out", "out", *TINY[:-2]).code == 0
    (record,) = records()
    assert (record["neuron"], record["encoder"], record["steps"]) == ("ttfs", "latency", None)
    refused = onchip("compare", "--net", "my_net.py:fixed", "--neuron", "lif:decay=0.1", *TINY)
    assert refused.code == 2
    assert "takes no parameter `neuron`" in refused.err


def test_a_function_may_take_the_neurons_that_were_asked_for(onchip: Onchip) -> None:
    text = NET.replace("(shape, classes)", "(shape, classes, neuron)").replace("nn.LIF(decay=0.8)", "neuron()")
    Path("my_net.py").write_text(text)
    options = ("--neuron", "lif:decay=0.3", "--rules", "bp", "--out", "out", *TINY)
    assert onchip("compare", "--net", "my_net.py:build", *options).code == 0
    assert records()[0]["neuron"] == "lif:decay=0.3"


def test_cost_and_audit_take_it_too(onchip: Onchip) -> None:
    Path("my_net.py").write_text(NET)
    priced = onchip("cost", "bp", "--net", "my_net.py:build", "--json")
    assert priced.code == 0, priced.err
    assert json.loads(priced.out)["step"]["weights_transported"] == 12 * 10
    audited = onchip("audit", "dfa", "--net", "my_net.py:build", "--span", "2", "--json")
    assert audited.code == 0, audited.err
    assert "my_net.py:build of lif neurons" in json.loads(audited.out)["about"]
    for command in (("cost", "bp", "--data", "1x5x5"), ("audit", "bp", "--data-like", "1x5x5")):
        refused = onchip(*command, "--net", "my_net.py:fixed")
        assert refused.code == 2
        assert "the network of my_net.py:fixed cannot take the data" in refused.err


def interrupted(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> str:
    """Standard error of a comparison on a network of the user's that was interrupted after its first run."""

    def stopping(spec: RunConfig, *args: object, **options: object) -> Record:
        if spec.rule == "dfa":
            raise KeyboardInterrupt
        return train(spec, *args, **options)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(module, "train", stopping)
        result = onchip("compare", "--net", "my_net.py:build", "--rules", "bp,dfa", "--out", "out", *TINY)
    assert result.code == 130
    Path("ran").unlink()
    return result.err


def test_a_run_folder_alone_runs_no_code(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my_net.py").write_text(NET)
    again = interrupted(onchip, monkeypatch)
    refused = onchip("compare", "--out", "out", "--resume")
    assert refused.code == 2
    assert "net in out names code, my_net.py:build" in refused.err
    with pytest.raises(RequestError, match=r"net in out names code"):
        package.compare(out="out", resume=True)
    assert not Path("ran").exists()
    assert "onchip compare --out out --resume --net my_net.py:build" in again
    assert onchip("compare", "--out", "out", "--resume", "--net", "my_net.py:build").code == 0
    assert Path("ran").exists()
    assert [record["label"] for record in records()] == ["bp", "dfa"]


def test_changed_code_does_not_continue_a_run(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("my_net.py").write_text(NET)
    interrupted(onchip, monkeypatch)
    Path("my_net.py").write_text(NET.replace("12", "13"))
    refused = onchip("compare", "--out", "out", "--resume", "--net", "my_net.py:build")
    assert refused.code == 2
    assert "net my_net.py:build has changed since (its SHA-256 was" in refused.err


def test_a_file_of_options_alone_runs_no_code(onchip: Onchip) -> None:
    Path("my_net.py").write_text(NET)
    Path("run.toml").write_text('net = "my_net.py:build"\n')
    refused = onchip("compare", "--config", "run.toml", "--out", "out", *TINY)
    assert refused.code == 2
    assert "net in run.toml names code" in refused.err
    assert not Path("ran").exists()


def test_a_saved_network_is_built_by_the_function_that_is_named_again(onchip: Onchip) -> None:
    Path("my_net.py").write_text(NET)
    assert onchip("train", "--net", "my_net.py:build", "--rule", "fa", "--out", "out", *TINY[:-2]).code == 0
    Path("ran").unlink()
    assert len(package.load_run("out").records) == 1
    for open_it in (package.load_run("out").model, package.load_run("out").rule):
        with pytest.raises(RequestError, match="net in out names code"):
            open_it()
    assert not Path("ran").exists()
    Path("copy.py").write_text(NET)
    model = package.load_run("out", net="copy.py:build").model()
    assert sum(parameter.numel() for parameter in model.parameters()) == records()[0]["parameters"]
    assert package.load_run("out", net="copy.py:build").rule().name == "fa"
    Path("copy.py").write_text(NET + "\n")
    for other in ("copy.py:build", "my_net.py:fixed", "mlp"):
        with pytest.raises(RequestError, match=r"expected the function and the text of my_net\.py:build"):
            package.load_run("out", net=other).model()


SHARED = "from onchip import nn\nn = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(): return 3", "my_net.py:build returned int; expected an nn.Module"),
        ("def build(): pass", "my_net.py:build returned NoneType; expected an nn.Module"),
        ("def build(width): pass", "has the parameter 'width'; expected no parameters, or any of shape, classes"),
        ("def biuld(): pass", "did you mean 'biuld'"),
        ("def build():\n    return [][0]", "my_net.py:build failed in my_net.py, line 2: IndexError"),
        ("from onchip import nn\ndef build(): return nn.LIF(decay=7)", "line 2: RequestError: LIF got decay=7"),
        (SHARED + "def build(): return n", "returned the same weights twice"),
        (
            "import random\nfrom onchip import nn\nimport torch\ndef build():\n    n = nn.Linear(64, 10)\n"
            "    torch.nn.init.constant_(n.weight, random.random())\n    return nn.Sequential(nn.Flatten(), n)",
            "two different networks under one seed",
        ),
        (SHARED + "def build(): return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))", "has 7 outputs; expected 10"),
        (SHARED + "def build(): return nn.Sequential(nn.Flatten(), nn.Linear(63, 10))", "cannot take the data"),
        (SHARED + "import torch\ndef build(): return torch.nn.ReLU()", "cannot read: cannot treat ReLU '0'"),
        (SHARED + "def build(): return nn.Sequential(nn.Flatten())", "no layer with weights"),
        (
            SHARED + "class Own(nn.Sequential):\n    def forward(self, x): return 2 * super().forward(x)\n"
            "def build(): return Own(nn.Flatten(), nn.Linear(64, 10))",
            "the network is a Own with a forward pass of its own",
        ),
    ],
)
def test_what_a_function_returns_wrongly_is_refused_by_name(text: str, message: str, onchip: Onchip) -> None:
    Path("my_net.py").write_text(text)
    result = onchip("compare", "--net", "my_net.py:build", "--rules", "bp", "--out", "out", *TINY)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()


def test_a_chain_of_torchs_own_is_taken_under_its_names(onchip: Onchip) -> None:
    Path("my_net.py").write_text(
        "import torch\nfrom onchip import nn\n\n\ndef build():\n    return torch.nn.Sequential(torch.nn.Flatten(), "
        "torch.nn.Sequential(torch.nn.Linear(64, 9), nn.LIF()), torch.nn.Linear(9, 10))\n"
    )
    assert onchip("train", "--net", "my_net.py:build", "--rule", "bp", "--out", "out", *TINY[:-2]).code == 0
    model = package.load_run("out", net="my_net.py:build").model()
    assert list(model.state_dict()) == ["1.0.weight", "1.0.bias", "2.weight", "2.bias"]
