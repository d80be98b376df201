"""The tutorials run from top to bottom, say nothing that their own numbers contradict, and are kept without outputs."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from onchip import nn
from tests.test_pages import commands, options_exist

TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
NOTEBOOKS = sorted(TUTORIALS.glob("*.ipynb"))
CLEAN = "jupyter nbconvert --clear-output --ClearMetadataPreprocessor.enabled=True --inplace docs/tutorials/*.ipynb"

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    """The sources of a notebook's cells, `code` or `markdown`."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in document["cells"] if cell["cell_type"] == kind]


def executed(path: Path) -> dict[str, Any]:
    """The names that the code cells of a notebook leave; what ends a cell is shown as a notebook shows it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(cells(path, "code")):
        body = ast.parse(source).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), f"{path.name}, code cell {number}", "exec"), names)
        if isinstance(last, ast.Expr):
            shown = eval(compile(ast.Expression(last.value), f"{path.name}, code cell {number}", "eval"), names)
            getattr(shown, "_repr_markdown_", shown.__repr__)()
    return names


def backpropagation(names: dict[str, Any]) -> None:
    assert names["difference"] < 1e-5
    assert names["result"].accuracy > 0.93
    bill, above_the_first = names["result"].bill, 64 * 64 + 64 * 10
    assert bill["weights_transported"] == bill["steps"] * above_the_first
    assert bill["transport_value_bits"] == 32 * bill["weights_transported"]
    phases = [[names["measured"](rule, hidden)["phases_per_step"] for hidden in (2, 6)] for rule in ("bp", "dfa")]
    assert phases == [[5, 13], [4, 8]], "each layer costs bp two phases and dfa one"
    assert names["whole"][-1] == pytest.approx(16 * names["whole"][0], rel=0.35)
    assert len(set(names["online"])) == 1
    holds = [{result.claim for result in one.results if result.outcome == "holds"} for one in names["certificates"]]
    assert holds[0] == {"batch_independent", "transport_booked"}
    assert holds[1] - holds[0] == {"temporally_causal", "online"}
    assert holds[2] - holds[1] == {"separate_feedback", "no_weight_transport", "unshared_feedback", "backward_unlocked"}


def frozen_backpropagation(names: dict[str, Any]) -> None:
    frozen, never, fa = (names["curves"][name] for name in ("fbp, Φ = 20", "never", "fa"))
    assert [round(frozen[step], 4) for step in (0, 20, 40)] == [1, 1, 1]
    teeth = [min(frozen[step : step + 20]) for step in (0, 20, 40)]
    assert teeth[0] < teeth[1] < teeth[2] < 1
    assert never[:20] == frozen[:20]
    assert max(never[40:]) < 0.9
    assert abs(fa[0]) < 0.2
    accuracies = {record.label: record.test_accuracy for record in names["records"]}
    assert accuracies["fbp"] > accuracies["bp"] - 0.03
    assert min(accuracies["bp"], accuracies["never"]) - 0.1 > accuracies["fa"]
    bits = {record.label: record.ledger["transport_value_bits"] for record in names["records"]}
    assert 1000 <= bits["bp"] / bits["fbp"] < 1100
    assert names["errors"][-1] < 0.2, "of the last scheme, pairs of vectors"


def no_backward_phase(names: dict[str, Any]) -> None:
    dfa, dkp, opzo = (names["curves"][name] for name in ("dfa", "dkp", "opzo"))
    assert abs(dfa[0]) < 0.2, "an angle of 90 degrees"
    assert dfa[-20:].mean() > 0.2
    assert dkp[-40:].mean() > dfa[-40:].mean() + 0.05
    assert opzo[:20].mean() > max(dfa[:20].mean(), dkp[:20].mean())
    assert names["agreement"][-1] > 0.8
    assert abs(names["scale"][-1] - 1) < 0.3
    accuracies = {record.label: float(record.test_accuracy) for record in names["records"]}
    waits = {record.label: record.ledger["update_locking_phases"] for record in names["records"]}
    assert max(accuracies, key=lambda name: accuracies[name]) == max(waits, key=lambda name: waits[name]) == "bp"
    assert min(accuracies, key=lambda name: accuracies[name]) == min(waits, key=lambda name: waits[name]) == "drtp"
    assert waits["drtp"] == 0
    assert min(accuracy for name, accuracy in accuracies.items() if name != "drtp") > 0.85
    operations = {
        record.label: sum(record.ledger[f"operations_{part}"] for part in ("forward", "error", "update"))
        for record in names["records"]
    }
    assert operations["opzo"] > operations["bp"]


def spikes_on_a_crossbar(names: dict[str, Any]) -> None:
    error = {
        encoder: [
            float((names[encoder](steps=steps)(names["values"]).mean(0) - names["values"]).square().mean().sqrt())
            for steps in (4, 64)
        ]
        for encoder in ("Poisson", "RandomPhase")
    }
    assert error["Poisson"][0] / error["Poisson"][1] == pytest.approx(4, rel=0.3), "as 1 / sqrt(T)"
    assert error["RandomPhase"][0] / error["RandomPhase"][1] == pytest.approx(16, rel=0.3), "as 1 / T"
    assert (names["coincidences"] - names["exact"]).abs().mean() < 0.02
    reached, exact = names["accuracies"], names["reached"]["exact weights"]
    assert reached["random phase", 8] > names["numbers"].test_accuracy - 0.04
    for steps in (2, 4):
        assert reached["random phase", steps] > reached["coin (Bernoulli)", steps]
    assert min(names["reached"]["30 times coarser"], names["reached"]["spread of everything"]) > exact - 0.04
    assert names["reached"]["asymmetry 0.5"] < 0.3


def speech_online(names: dict[str, Any]) -> None:
    assert names["data"].classes[0] == "speaker 1"
    assert (len(names["data"].train), len(names["data"].test)) == (243, 370)
    recurrent = names["found"]
    update = torch.einsum("tbi,tbj->ij", recurrent.local * recurrent.error, recurrent.pre)
    assert torch.allclose(names["product"].sum(0), update, atol=1e-6)
    assert names["accuracy"](names["model"]) > 0.75
    online, eprop, bp = names["stored"].values()
    assert online < eprop / 4
    assert online < bp / 4
    accuracies = {
        name: sum(float(record.test_accuracy) for record in names["records"] if record.label == name) / 2
        for name in names["names"]
    }
    assert accuracies["eprop:feedback=symmetric"] > accuracies["bp"] - 0.03
    assert accuracies["eprop:feedback=symmetric"] > accuracies["eprop"]


def a_rule_of_your_own(names: dict[str, Any]) -> None:
    plain, events = names["plain"], {size: result.accuracy for size, result in names["results"].items()}
    assert max(events, key=lambda size: events[size]) in (2, 4), "a best size in between"
    assert events[4] > plain.accuracy - 0.1
    bill = names["results"][4].bill
    assert bill["operations_error"] < plain.bill["operations_error"] / 4
    assert bill["macs_error"] == 0
    outcomes = {result.claim: result.outcome for result in names["certificate"].results}
    held = {"separate_feedback", "no_weight_transport", "online", "ternary_errors", "transport_booked"}
    assert {claim for claim, outcome in outcomes.items() if outcome == "holds"} == held
    (batch,) = (one for one in names["certificate"].findings if one.name == "other_samples")
    assert batch.found
    assert names["claimed"].accuracy > plain.accuracy + 0.02
    assert names["claimed"].bill["weights_transported"] == 0
    broken = {result.claim for result in names["verdict"].results if result.outcome == "BROKEN"}
    assert broken == {"no_weight_transport", "transport_booked"}


def to_a_chip(names: dict[str, Any]) -> None:
    assert names["verdict"].word == "faithful"
    assert {reason.clause for reason in names["refused"].reasons} == {"through time", "weight transport"}
    check, rules, loihi = names["mapping"].check, names["rules"], names["loihi"]
    assert [reason.clause for reason in check(rules.eprop(names["build"]()), loihi).reasons] == ["state per synapse"]
    soft = nn.Sequential(nn.Linear(64, 64), nn.LIF(decay=0.5), nn.Linear(64, 10))
    assert check(rules.eprop(soft), loihi).word == "faithful"
    bits, full = names["records"]
    assert (bits.chip["bits"], full.chip["bits"]) == (True, False)
    assert (loihi.synapses.weight_bits.value, loihi.traces.bits.value) == (8, 7)
    few, *_, eight, ten = names["accuracies"]
    assert eight > ten - 3
    assert few < ten - 10
    assert names["accuracy"](names["model"]) > 0.9
    assert names["same"]


CLAIMS: dict[str, Callable[[dict[str, Any]], None]] = {
    "1-backpropagation": backpropagation,
    "2-frozen-backpropagation": frozen_backpropagation,
    "3-no-backward-phase": no_backward_phase,
    "4-spikes-on-a-crossbar": spikes_on_a_crossbar,
    "5-speech-online": speech_online,
    "6-a-rule-of-your-own": a_rule_of_your_own,
    "7-to-a-chip": to_a_chip,
}
"""For each notebook, what its text says of the numbers that its cells compute."""


@every_notebook
@pytest.mark.slow
def test_it_runs_and_what_it_says_is_so(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "digits.nir" in path.read_text(encoding="utf-8"):
        pytest.importorskip("nir")
    monkeypatch.chdir(tmp_path)
    backend, state = mpl.get_backend(), torch.random.get_rng_state()
    try:
        plt.switch_backend("agg")
        with mpl.rc_context():
            names = executed(path)
            for number in plt.get_fignums():  # a figure that cannot be drawn fails here
                plt.figure(number).canvas.draw()
    finally:
        plt.close("all")
        plt.switch_backend(backend)
        torch.random.set_rng_state(state)
    CLAIMS[path.stem](names)


def test_every_notebook_is_checked_and_listed() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(CLAIMS)
    listed = re.findall(r"\(([\w-]+)\.ipynb\)", (TUTORIALS / "index.md").read_text(encoding="utf-8"))
    assert listed == list(CLAIMS)


@every_notebook
def test_it_is_clean(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert document["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }, CLEAN
    for cell in document["cells"]:
        assert cell["metadata"] == {}, CLEAN
        assert not cell.get("outputs"), CLEAN
        assert cell.get("execution_count") is None, CLEAN
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[\w-]{1,64}", name) for name in ids)


@every_notebook
def test_it_tells_a_reader_what_a_tutorial_must(path: Path) -> None:
    text = "\n".join(cells(path, "markdown"))
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1
    assert text.startswith("# ")
    for part in ("**You should know:**", "**Takes:**", "**Afterwards**", "**Question.**", "## Read next", "$$"):
        assert part in text, part
    questions = text.count("**Question.**")
    assert questions == text.count("<details><summary>Answer</summary>\n\n") == text.count("\n\n</details>")
    assert sum("plt.subplots" in source for source in cells(path, "code")) >= 2
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", outside):
        assert target.startswith("https:") or (path.parent / target).exists(), target


@every_notebook
def test_its_commands_parse(path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", "\n".join(cells(path, "markdown")), re.DOTALL)
    for line in commands("\n".join(blocks)):
        options_exist(line)


@every_notebook
def test_it_uses_public_names_alone(path: Path) -> None:
    tree = ast.parse("\n".join(cells(path, "code")))
    modules: dict[str, ModuleType] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "onchip":
                    modules[alias.asname or "onchip"] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "onchip":
            module = importlib.import_module(str(node.module))
            assert not re.search(r"\._", str(node.module))
            for alias in node.names:
                thing = public(module, alias.name)
                if isinstance(thing, ModuleType):
                    modules[alias.asname or alias.name] = thing
    assert modules or tree.body
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            assert not re.match(r"_[^_]", node.attr), node.attr
            if isinstance(node.value, ast.Name) and node.value.id in modules:
                public(modules[node.value.id], node.attr)


def public(module: ModuleType, name: str) -> Any:
    """What a module exports under a name."""
    exported = getattr(module, "__all__", None)
    if exported is None:
        assert not name.startswith("_")
        assert getattr(getattr(module, name), "__module__", "").startswith("onchip"), f"{module.__name__}.{name}"
    else:
        found = name in exported or (Path(str(module.__file__)).parent / name).is_dir()
        assert found, f"{module.__name__} does not export {name}"
    return getattr(module, name, None) or importlib.import_module(f"{module.__name__}.{name}")
