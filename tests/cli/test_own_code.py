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
    assert onchip("report", "out").code == 0
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
        with pytest.raises(RequestError, match=r"expected my_net\.py:build, as it was when the runs were made"):
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


DATA = """
import torch
from torch.utils.data import DataLoader, Dataset


class Dots(Dataset):
    def __len__(self):
        return 30

    def __getitem__(self, index):
        image = torch.zeros(1, 8, 8)
        image[0, index % 8, index % 3] = 1.0
        return image, index % 3


def load():
    return Dots(), Dots()


def loaders():
    return DataLoader(Dots(), 8, shuffle=True), DataLoader(Dots(), 5), DataLoader(Dots(), 7)


def sequences():
    x, y = torch.randn(30, 9, 6), torch.arange(30) % 3
    return (x, y, 1 + torch.arange(30) % 9), (x, y)
"""
QUICK = ("--net", "F8", "--steps", "2", "--epochs", "2", "--seeds", "1", "--batch-size", "8")


@pytest.mark.parametrize(("function", "sizes"), [("load", (27, 3)), ("loaders", (30, 30)), ("sequences", (27, 3))])
def test_data_of_ones_own_is_compared_and_recorded_in_any_number_of_processes(
    function: str, sizes: tuple[int, int], onchip: Onchip
) -> None:
    Path("my_data.py").write_text(DATA)
    for jobs in ("1", "2"):
        options = ("--data", f"my_data.py:{function}", "--rules", "bp,dfa", "--out", f"out{jobs}", "--jobs", jobs)
        result = onchip("compare", *options, *QUICK)
        assert result.code == 0, result.err
    first, second = ({record["label"]: record for record in records(f"out{jobs}")} for jobs in (1, 2))
    for label, record in first.items():
        assert record["ledger"] == second[label]["ledger"]
        assert [epoch["train_loss"] for epoch in record["history"]] == [
            epoch["train_loss"] for epoch in second[label]["history"]
        ]
        assert (record["data"], record["classes"], record["test_size"]) == (f"my_data.py:{function}", 3, 30)
        assert (record["train_size"], record["validation_size"]) == sizes
        digest = hashlib.sha256(DATA.encode()).hexdigest()
        assert record["settings"]["data"] == f"my_data.py:{function}#{digest}"


def test_a_loader_decides_on_the_size_of_its_batches(onchip: Onchip) -> None:
    Path("my_data.py").write_text(DATA)
    refused = onchip("compare", "--data", "my_data.py:loaders", "--rules", "bp", "--out", "out", *QUICK[:-2])
    assert refused.code == 2
    assert "got batch_size=32 for a DataLoader with batches of 8; expected the same. Use --batch-size 8" in refused.err


def test_cost_and_audit_take_the_size_of_such_data(onchip: Onchip) -> None:
    Path("my_data.py").write_text(DATA)
    priced = onchip("cost", "bp", "--data", "my_data.py:sequences", "--net", "F8")
    assert priced.code == 0, priced.err
    assert "F8 of lif neurons, input 6, T = 2," in priced.out, "the first two sequences have 1 and 2 steps"
    audited = onchip("audit", "dfa", "--data-like", "my_data.py:load", "--net", "F8", "--span", "2", "--json")
    assert audited.code == 0, audited.err
    assert "input 1x8x8" in json.loads(audited.out)["about"]


def test_a_file_of_options_alone_loads_no_data(onchip: Onchip) -> None:
    Path("my_data.py").write_text(DATA + "\nfrom pathlib import Path\nPath('ran').touch()\n")
    Path("run.toml").write_text('data = "my_data.py:load"\n')
    refused = onchip("compare", "--config", "run.toml", "--rules", "bp", *QUICK)
    assert refused.code == 2
    assert "data in run.toml names code, my_data.py:load" in refused.err
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def load(): pass", "my_data.py:load returned None; expected an onchip.data.Dataset, (train, test)"),
        ("def load(path): pass", "my_data.py:load has the parameter 'path'; expected no parameters"),
        ("def load():\n    raise OSError('no disk')", "my_data.py:load failed in my_data.py, line 2: OSError: no disk"),
        (DATA + "\n\ndef load():\n    return Dots(), [1]", "my_data.py:load, test: got 1 tensors"),
        (
            DATA.replace("image, index % 3", "image, index % 0"),
            "my_data.py:load, train failed in my_data.py, line 13: ZeroDivisionError",
        ),
        (DATA.replace("1.0", "2.0"), "my_data.py:load, train, batch 1: got images in [0, 2]"),
    ],
)
def test_what_a_data_function_returns_wrongly_is_refused_by_name(text: str, message: str, onchip: Onchip) -> None:
    Path("my_data.py").write_text(text)
    result = onchip("compare", "--data", "my_data.py:load", "--rules", "bp", "--out", "out", *QUICK)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1
    assert not Path("out").exists()


def test_code_that_fails_while_a_run_trains_fails_that_run(onchip: Onchip) -> None:
    text = DATA.replace("        image = ", "        self.read = getattr(self, 'read', 0) + 1\n        image = ")
    Path("my_data.py").write_text(text.replace("index % 3\n", "[index % 3][self.read > 60]\n"))
    result = onchip("compare", "--data", "my_data.py:load", "--rules", "bp", "--out", "out", *QUICK)
    assert result.code == 1
    (record,) = records()
    assert record["status"] == "failed"
    assert "my_data.py:load, train failed in my_data.py, line 14: IndexError" in record["error"]
