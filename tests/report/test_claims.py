"""What the report says of a rule is what the rule states; certificates test these statements."""

from __future__ import annotations

import dataclasses
import json
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import onchip
from onchip import nn, rules
from onchip.certificates import Claims
from onchip.errors import RequestError, UnsupportedError
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
    """What every rule states with its usual options, and which options may get a number and change nothing of it."""
    table: dict[str, Any] = {}
    for name in registry.known("rule"):
        usual = registry.part("rule", name)
        stated = {kind: claims for kind in registry.known("neuron") if (claims := stated_by(usual, kind)) is not None}
        unset = [option for option, value in usual.options.items() if value is None]
        free = [option for option in unset if is_free(name, option, stated)]
        table[name] = {"options": usual.options, "free": free, "claims": stated}
    return table


def stated_by(rule: registry.Part, kind: str) -> list[str] | None:
    """What a rule states for a neuron, on all small networks that it can train; None if it can train none."""
    stated = None
    neuron, _ = registry.neuron(kind)
    for net in ("F8-F8", "4C3-F8"):
        network = registry.network(net)((1, 8, 8), 10, neuron=neuron)
        with suppress(UnsupportedError):
            here = [claim.name for claim in rule(network).claims.stated()]
            stated = here if stated is None else [claim for claim in stated if claim in here]
    return stated


def is_free(name: str, option: str, stated: dict[str, list[str]]) -> bool:
    try:
        numbered = registry.part("rule", f"{name}:{option}=2")
        return all(stated_by(numbered, kind) == claims for kind, claims in stated.items())
    except RequestError:  # it takes no number
        return False


def test_what_rules_state_is_what_the_file_says() -> None:
    remedy = "run: python -m tests.report.test_claims"
    assert claims.STATED.read_text(encoding="utf-8") == as_file(found()), remedy


def test_every_claim_has_words() -> None:
    assert set(claims.WORDS) == {claim.name for claim in Claims.known()}


def test_a_record_says_it_itself() -> None:
    assert claims.stated(record("opzo", rule="opzo", claims=("online",), options={"local": True})) == ("online",)
    assert claims.stated(record("opzo", rule="opzo", claims=())) == ()


def test_a_run_records_what_its_rule_states() -> None:
    (made,) = onchip.compare(["fa:temporal=online"], net="F8", train_size=20, steps=1, epochs=1, seeds=1)
    assert made.claims is not None
    assert {"no_weight_transport", "online"} <= set(claims.stated(made) or ())
    assert claims.stated(dataclasses.replace(made, claims=None)) is None, "other parts than usual"


@pytest.mark.parametrize(
    ("name", "options", "known"),
    [
        ("fa", {}, True),
        ("fa", {"temporal": "online"}, False),
        ("opzo", {"scale": 0.7, "local": False}, True),
        ("opzo", {"quiet_after": 250, "grid": 7}, True),
        ("opzo", {"quiet_after": "late"}, False),
        ("opzo", {"local": True}, False),
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
