from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from onchip import rules
from onchip.audit import isolation
from onchip.certificates import Claims
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online

from .conftest import Onchip

PAGE = Path(__file__).parents[2] / "docs" / "certificates.md"

RECURRENT = PAGE.with_name("certificates-recurrent.md")

SHORT = "--span", "14"
"""Training steps that show every condition of the audit once."""


def boastful(model: nn.Module) -> Rule:
    """Backpropagation that claims to be local.

    Args:
        model: a network.
    """
    return Rule(
        "boastful", model, feedback=TransposedFeedback(), temporal=Online(), claims=Claims(separate_feedback=True)
    )


def plain(model: nn.Module) -> Rule:
    """A rule that claims nothing.

    Args:
        model: a network.
    """
    return Rule("plain", model, feedback=TransposedFeedback(), temporal=Online(), claims=Claims())


@pytest.fixture
def in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forks take as long as the training of an audit."""
    monkeypatch.setattr(isolation, "ISOLATES", False)


@pytest.mark.usefixtures("in_one_process")
def test_the_page_of_certificates_is_what_the_command_prints(onchip: Onchip) -> None:
    result = onchip("audit", "--all", "--neuron", "lif,ttfs,stochastic", "--markdown", *SHORT)
    assert result.code == 0
    remedy = "run: onchip audit --all --neuron lif,ttfs,stochastic --markdown > docs/certificates.md"
    assert result.out.replace("in 14 ", "in 128 ") == PAGE.read_text(encoding="utf-8"), remedy
    for name in rules.__all__:
        assert f"## {name.replace('_', '-')}: " in result.out
    assert "left out: ottt cannot train TTFS" in result.err


def test_the_steps_of_the_page_and_forks_show_no_more(onchip: Onchip) -> None:
    """Than the test above, for rules that copy weights, learn their feedback, or do neither."""
    result = onchip("audit", "fbp", "weight_mirror", "dfa", "--markdown")
    assert result.code == 0
    about, *sections = result.out.split("\n## ")[1:]
    assert about.startswith("What the audit covers")
    page = PAGE.read_text(encoding="utf-8").split("\n## ")
    assert len(sections) == 3
    assert {section.rstrip() for section in sections} <= {section.rstrip() for section in page}


@pytest.mark.usefixtures("in_one_process")
def test_the_page_of_recurrent_networks_is_what_the_command_prints(onchip: Onchip) -> None:
    options = ["--all", "--net", "R16", "--neuron", "lif,stochastic", "--span", "14", "--markdown"]
    result = onchip("audit", *options)
    assert result.code == 0
    remedy = f"run: onchip audit {' '.join(options)} > docs/certificates-recurrent.md"
    assert result.out == RECURRENT.read_text(encoding="utf-8"), remedy
    for name in rules.__all__:
        assert f"## {name.replace('_', '-')}: " in result.out


def test_backpropagation_is_shown_as_it_is(onchip: Onchip) -> None:
    result = onchip("audit", "bp", "--json", *SHORT)
    assert result.code == 0
    (line,) = result.out.splitlines()
    certificate = json.loads(line)
    assert certificate["rule"] == "bp"
    assert certificate["holds"] is True
    found = {finding["name"]: finding["found"] for finding in certificate["findings"]}
    nonlocal_ = {
        name for name in ("forward_weights_above", "errors_above", "later_time_steps", "other_samples") if found[name]
    }
    assert nonlocal_ == {"forward_weights_above", "errors_above", "later_time_steps"}
    results = {result["claim"]: result["outcome"] for result in certificate["results"]}
    assert results["separate_feedback"] == "not claimed"
    assert results["transport_booked"] == "holds"


def test_audits_the_rules_that_are_named_with_their_options(onchip: Onchip) -> None:
    result = onchip("audit", "fbp:period=5", "dfa", "--net", "conv-small", "--data-like", "2x4x4", "--json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["rule"] for line in lines] == ["fbp:period=5", "dfa"]
    refreshed = next(finding for finding in lines[0]["findings"] if finding["name"] == "weight_transport")
    assert refreshed["detail"] == "first after step 5"
    assert lines[0]["about"] == "conv-small of lif neurons, input 2x4x4, 4 steps, 3 samples, seed 0"


def test_a_broken_claim_is_exit_code_1(onchip: Onchip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "boastful", boastful, raising=False)
    monkeypatch.setattr(rules, "plain", plain, raising=False)
    monkeypatch.setattr(rules, "__all__", [*rules.__all__, "boastful", "plain"])
    result = onchip("audit", "boastful", *SHORT)
    assert result.code == 1
    assert "BROKEN (forward weights of layers above: yes: layer 1 depends on 3, 5; layer 3 depends on 5)" in result.out
    result = onchip("audit", "plain", *SHORT)
    assert result.code == 0
    assert "It claims nothing." in result.out


@pytest.mark.parametrize("as_json", [False, True])
def test_draws_tables_on_a_terminal(onchip: Onchip, monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "200")
    result = onchip("audit", "dfa", *SHORT, *(["--json"] if as_json else []))
    assert result.code == 0
    if as_json:
        assert json.loads(result.out)["holds"]
    else:
        assert "┃" in result.out
        assert "no error passes from layer to layer" in result.out
        assert "not claimed" in result.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "got no rules; name some"),
        ("bp --all", "got --all and the rules bp"),
        ("bpp", "unknown rule 'bpp'; did you mean 'bp'"),
        ("fbp:perod=3", "did you mean 'period'"),
        ("bp --net mpl", "unknown network 'mpl'; did you mean 'mlp'"),
        ("bp --neuron lfi", "unknown neuron 'lfi'; did you mean 'lif'"),
        ("bp --neuron lif,", "empty name"),
        ("bp --data-like mnits", "did you mean 'mnist'"),
        ("bp --data-like 1x8", "expected CxHxW"),
        ("bp --data-like 0x8x8", "expected CxHxW"),
        ("bp --data-like 1x8x99999", "expected CxHxW"),
        ("bp --net conv-small --data-like 1x1x1", "its pools need at least 4x4"),
        ("bp --steps 1", "steps got 1; expected 2 to 2,147,483,647"),
        ("bp --batch-size 1", "batch-size got 1; expected 2 to 2,147,483,647"),
        ("bp --seed -1", "seed got -1; expected 0 to 2,147,483,647"),
        ("bp --json --markdown", "expected one of both"),
        ("ottt --neuron ttfs", "ottt cannot train TTFS"),
        ("bp --neuron lif:threshold=1e9 --span 2", "gets no update here"),
        ("bp --steps many", "Invalid value for"),
    ],
)
def test_wrong_requests_are_exit_code_2(onchip: Onchip, words: str, message: str) -> None:
    result = onchip("audit", *words.split())
    assert (result.code, result.out) == (2, "")
    assert message in " ".join(result.err.replace("│", " ").split())
