"""`onchip chips`: the list, the facts, and the verdicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onchip.chips import chip, known_chips
from onchip.rules import __all__ as every_rule
from tests.cli.conftest import Onchip

PAGE = Path(__file__).parents[2] / "docs" / "chips.md"


def verdicts(out: str) -> dict[str, tuple[str, str]]:
    """Verdict and reason by rule, from the table."""
    lines = [line.strip("|").split("|") for line in out.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {rule: (word, why) for rule, word, why in cells if word in ("faithful", "approximate", "unsupported", "-")}


def test_lists_every_chip(onchip: Onchip) -> None:
    result = onchip("chips")
    assert result.code == 0, result.err
    for name in known_chips():
        assert f"{name} " in result.out
        assert f"{chip(name).title}: {chip(name).engine.grammar.text}" in result.out


@pytest.mark.parametrize("name", known_chips())
def test_shows_all_facts_with_their_sources(name: str, onchip: Onchip) -> None:
    out = onchip("chips", "show", name).out
    for facts in chip(name).facts().values():
        for fact, about in facts.values():
            assert f"{fact}: {about}" in out
            assert fact.source in out


def test_every_rule_is_judged_or_named(onchip: Onchip) -> None:
    result = onchip("chips", "check", "loihi", "--net", "mlp")
    assert result.code == 0, result.err
    found = verdicts(result.out)
    assert set(found) == {name.replace("_", "-") for name in every_rule}
    faithful = {rule for rule, (word, _) in found.items() if word == "faithful"}
    assert faithful == {"decolle", "dfa", "drtp", "eprop", "etlp", "osttp"}
    assert found["bp"] == ("unsupported", "through time; weight transport")
    assert found["dfa"] == ("faithful", "output error through fixed weights; traces")
    assert found["ssnn-bp"] == ("-", "ssnn_bp cannot train LIF neurons (after layer '1'); it trains Stochastic")
    assert "dt = -2^-7 * u0 * x1 * y1 + 2^-7 * u0 * x1 * y2 - u0 * y3 * t" in result.out
    assert "Instead: fixed feedback weights" in result.out
    table = result.out[result.out.index("| rule") :].partition("\n\n")[0]
    assert table in PAGE.read_text(encoding="utf-8"), "docs/chips.md shows what the command prints"


def test_the_default_network_shares_weights_over_space(onchip: Onchip) -> None:
    result = onchip("chips", "check", "loihi", "--rules", "dfa")
    assert verdicts(result.out) == {"dfa": ("unsupported", "sharing over space")}
    assert "dense layers instead of convolutions" in result.out


def test_options_change_the_verdict(onchip: Onchip) -> None:
    def word(*options: str, name: str = "loihi") -> str:
        result = onchip("chips", "check", name, "--net", "F8", "--json", *options)
        assert result.code == 0, result.err
        return json.loads(result.out)["word"]

    assert word("--rules", "s_tllr:feedback=dfa") == "unsupported"
    assert word("--rules", "s_tllr:feedback=dfa", "--encoder", "poisson") == "faithful"
    assert word("--rules", "dfa", "--optimizer", "adam") == "unsupported"
    assert word("--rules", "dfa", "--batch-size", "8") == "approximate"
    assert word("--rules", "fa") == "unsupported"
    assert word("--rules", "fa:temporal=online") == "faithful"
    assert word("--rules", "eprop", "--neuron", "alif") == "unsupported"
    symmetric = ("--rules", "eprop:feedback=symmetric", "--encoder", "poisson")
    assert word(*symmetric, name="reckon") == "approximate"
    assert word(*symmetric, "--update", "step", name="reckon") == "faithful"


def test_json_holds_the_derivation_and_what_cannot_be_trained(onchip: Onchip) -> None:
    options = ("--rules", "dfa,ssnn_bp", "--lr", "0.25", "--json", "--steps", "3")
    result = onchip("chips", "check", "loihi", "--net", "F8", *options)
    dfa, other = map(json.loads, result.out.splitlines())
    assert (dfa["rule"], dfa["word"]) == ("dfa", "faithful")
    assert dfa["about"] == "F8 of lif neurons, input 1x8x8, T = 3, on loihi: Intel Loihi"
    assert dfa["derivations"][0]["program"][-2:] == [
        "dt = -2^-2 * u0 * x1 * y1 + 2^-2 * u0 * x1 * y2 - u0 * y3 * t",
        "dw = u0 * y3 * t",
    ]
    assert dfa["traffic"]["errors"] == 3 * 10
    assert dfa["energy"]["total_pj"] == pytest.approx(sum(dfa["energy"]["parts_pj"].values()))
    assert other["word"] is None
    assert "cannot train LIF" in other["cannot_train"]


def test_a_chip_of_the_users_own(onchip: Onchip, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = PAGE.read_text(encoding="utf-8")
    path.write_text(text[text.index("```toml\n") + 8 :].partition("```")[0], encoding="utf-8")
    result = onchip("chips", "check", str(path), "--net", "F8", "--rules", "dfa,bp", "--encoder", "poisson")
    assert result.code == 0, result.err
    assert {rule: word for rule, (word, _) in verdicts(result.out).items()} == {"dfa": "faithful", "bp": "unsupported"}
    assert "My chip" in onchip("chips", "show", str(path)).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "lohi"), "unknown chip 'lohi'; did you mean 'loihi'?"),
        (("check", "none.toml"), "chip file none.toml cannot be read: No such file"),
        (("check", "loihi", "--rules", "dfo"), "unknown rule 'dfo'; did you mean 'dfa'?"),
        (("check", "loihi", "--rules", "dfa,dfa"), "twice"),
        (("check", "loihi", "--net", "mpl"), "unknown network 'mpl'"),
        (("check", "loihi", "--steps", "0"), "steps got 0; expected 1"),
        (("check", "loihi", "--batch-size", "0"), "batch-size got 0"),
        (("check", "loihi", "--lr", "0"), "lr=0.0"),
        (("check", "loihi", "--lr", "nan"), "lr=nan"),
        (("check", "loihi", "--momentum", "1"), "momentum=1.0"),
        (("check", "loihi", "--optimizer", "sgdd"), "unknown optimizer 'sgdd'; did you mean 'sgd'?"),
        (("check", "loihi", "--update", "never"), "unknown update 'never'"),
        (("check", "loihi", "--data", "nothing"), "unknown data set"),
    ],
)
def test_wrong_requests(arguments: tuple[str, ...], message: str, onchip: Onchip) -> None:
    result = onchip("chips", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name = 'a'\ntitle = 'b'\n[traces]\nbit = {}", "'bit'; did you mean 'bits'?"),
        ("name = 'a'\ntitle = 'b'\n[traces]\nbits = { value = '7 bytes', source = 's' }", "such as '7 bits'"),
        ("name", "is no TOML"),
        ("", "has no name"),
    ],
)
def test_wrong_files(content: str, message: str, onchip: Onchip, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(content)
    result = onchip("chips", "check", "bad.toml", "--net", "mlp")
    assert result.code == 2
    assert message in result.err
    assert "bad.toml" in result.err
