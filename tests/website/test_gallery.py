"""Pages of rules: formulas equal those derived by hand, pictures show what rules do, claims are those of the audit."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from certified import Certified, certificates
from drawing import COLORS
from flow import flow
from formulas import formulas
from gallery import described, section
from measured import measured
from onchip import rules
from uses import USES

ROOT = Path(__file__).parents[2]
CERTIFICATES = certificates(ROOT)

FORWARD, BACKWARD, DIRECT = "B T (n₀ n₁ + n₁ n₂ + n₂ c)", "B T (n₁ n₂ + n₂ c)", "B T (n₂ c + n₁ c)"
BY_HAND = {
    # Errors go up once through every weight but those of the first layer.
    "bp": {"weights_transported": "n₁ n₂ + n₂ c", "transport_bits": "32 n₁ n₂ + 32 n₂ c", "products_error": BACKWARD},
    "usf": {"weights_transported": "n₁ n₂ + n₂ c", "transport_bits": "n₁ n₂ + n₂ c"},
    "fa": {"feedback_memory": "n₁ n₂ + n₂ c", "products_error": BACKWARD, "weights_transported": "0"},
    # Each hidden layer has one matrix of as many columns as there are classes.
    "dfa": {"feedback_memory": "n₂ c + n₁ c", "products_error": DIRECT, "weights_transported": "0"},
    "opzo": {"random_draws": "B T (n₁ + n₂)", "products_error": DIRECT},
    "zeroth_order": {"feedback_memory": "0", "random_draws": "B T (n₁ + n₂)"},
    "brsf": {"random_draws": "n₁ n₂ + n₂ c"},
}


def text_of(name: str) -> str:
    one = CERTIFICATES[name.replace("_", "-")][0]
    picture = ET.fromstring(flow(described(name), one.needed()).svg())
    return " ".join(part.text or "" for part in picture if not part.tag.endswith("style"))


@pytest.mark.parametrize("name", BY_HAND)
def test_formulas_are_those_derived_by_hand(name: str) -> None:
    found = formulas(name)
    assert found["products_forward"] == FORWARD
    assert {count: found[count] for count in BY_HAND[name]} == BY_HAND[name]


def test_a_count_that_is_no_sum_of_products_is_a_number() -> None:
    assert formulas("fbp")["weights_transported"].endswith("for 6-11-13-3, T = 2, B = 2")


@pytest.mark.parametrize("name", rules.__all__)
def test_every_rule_has_a_certificate_a_picture_and_a_use(name: str) -> None:
    assert name.replace("_", "-") in CERTIFICATES
    assert f"Flow of information under {described(name).rule}" in text_of(name)


def test_uses_are_those_of_rules() -> None:
    assert set(USES) <= set(rules.__all__)


@pytest.mark.parametrize(
    ("name", "shown", "not_shown"),
    [
        ("bp", ["W₃ᵀ", "copied every step", "later time steps"], ["noise", "target"]),
        ("dfa", ["F₁, fixed", "the output error"], ["copied", "W₃ᵀ", "later time steps"]),
        ("opzo", ["+ noise", "M₁, estimated", "other samples"], ["copied"]),
        ("drtp", ["target", "nothing else"], ["copied", "noise"]),
        ("decolle", ["local", "R₂, fixed", "nothing else"], ["copied"]),
        ("never", ["copied once"], ["every step"]),
    ],
)
def test_pictures_show_what_rules_do(name: str, shown: list[str], not_shown: list[str]) -> None:
    text = text_of(name)
    assert [part for part in shown if part not in text] == []
    assert [part for part in not_shown if part in text] == []


def test_certificates_are_read() -> None:
    first = CERTIFICATES["dfa"][0]
    assert first.about.startswith("mlp of lif neurons")
    assert first.marks["no weight transport"] == "holds"
    assert first.marks["update unlocked"] == "no"
    assert first.findings["the labels"] == "yes: all layers"
    assert len(CERTIFICATES["dfa"]) == 3
    assert Certified("", {}, {}, {"other samples of the batch": "yes: layer 1, 3"}).needed() == ["other samples"]
    assert Certified("", {}, {}, {"other samples of the batch": "yes: layer 3"}).needed() == []


def test_measured_rows_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "time.md").read_text(encoding="utf-8")
    rows = [one.cells() for one in measured(ROOT) if one.experiment == "time_japanese_vowels"]
    assert len(rows) > 27
    for _, _, rule, seeds, *numbers in rows:
        assert f"| {' | '.join([rule, seeds, *numbers])} |" in page


def test_sections_of_docstrings() -> None:
    assert section("One.\n\nLimit: a\n    b.\nCost: c", "Limit") == "a b."
    assert section("One.", "Limit") == ""


def _luminance(color: str) -> float:
    parts = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("scheme", "ground"), [(0, "#ffffff"), (1, "#1e2129")])
def test_colors_have_contrast(scheme: int, ground: str) -> None:
    for name in set(COLORS) - {"fill"}:
        for behind in (ground, COLORS["fill"][scheme]):
            light, dark = sorted((_luminance(COLORS[name][scheme]), _luminance(behind)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, name
