"""What the report says of a rule is what the rule states; certificates test these statements."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from onchip import nn, rules
from onchip.certificates import Claims
from onchip.errors import UnsupportedError
from onchip.report import claims
from onchip.training import registry
from onchip.transport import Sign
from tests.examples import record


def as_file(table: dict[str, Any]) -> str:
    """The table as JSON, a rule a line."""
    lines = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


@cache
def found() -> dict[str, Any]:
    """What every rule states with its usual options for each neuron, on all small networks that it can train."""
    table: dict[str, Any] = {}
    for name in registry.known("rule"):
        rule = registry.part("rule", name)
        stated: dict[str, list[str]] = {}
        for kind in registry.known("neuron"):
            neuron, _ = registry.neuron(kind)
            for net in ("F8-F8", "4C3-F8"):
                network = registry.network(net)((1, 8, 8), 10, neuron=neuron)
                with suppress(UnsupportedError):
                    here = [claim.name for claim in rule(network).claims.stated()]
                    stated[kind] = [claim for claim in stated.get(kind, here) if claim in here]
        table[name] = {"options": rule.options, "claims": stated}
    return table


def test_what_rules_state_is_what_the_file_says() -> None:
    remedy = "run: python -m tests.report.test_claims"
    assert claims.STATED.read_text(encoding="utf-8") == as_file(found()), remedy


def test_every_claim_has_words() -> None:
    assert set(claims.WORDS) == {claim.name for claim in Claims.known()}


def test_a_record_says_it_itself() -> None:
    assert claims.stated(record("opzo", rule="opzo", claims=("online",), options={"local": True})) == ("online",)
    assert claims.stated(record("opzo", rule="opzo", claims=())) == ()


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("fa", {}, True),
        ("fa", {"temporal": "online"}, False),
        ("opzo", {"scale": 0.7, "local": False}, True),
        ("opzo", {"local": True}, False),
        ("opzo", {"intermediate": 2}, False),
        ("someone-elses", {}, False),
    ],
)
def test_of_an_older_record_it_is_known_for_the_usual_parts(name: str, options: dict[str, Any], known: bool) -> None:
    usual = found().get(name, {"options": {}})["options"]
    older = record(name, rule=name, options={**usual, **options})
    assert (claims.stated(older) is not None) == known
    assert claims.stated(dataclasses.replace(older, neuron="mine:decay=1")) is None


def test_no_number_chooses_a_part() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
    usual = rules.fbp(model).claims
    assert rules.fbp(model, period=7).claims == usual
    assert rules.fbp(model, budget=3.0, transport=Sign()).claims == usual


if __name__ == "__main__":
    Path(claims.STATED).write_text(as_file(found()), encoding="utf-8")
