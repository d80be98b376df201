"""What audits found of each rule, read from the certificates in docs/."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from onchip.runs.grammar import command_name

SHORT = {
    "activity of layers above, or errors of it": "layers above",
    "the error of the network's output, in hidden layers": "the output error",
    "later time steps, in a whole sequence": "later time steps",
    "other samples of the batch": "other samples",
}
"""Findings that a picture names, in few words."""

SECTION = re.compile(r"^## ([\w-]+): ([^\n]*)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Certified:
    """The certificate of a rule on one network.

    Args:
        about: the network and the input.
        marks: for each claim its outcome, `holds`, `no`, `unclaimed` or `n/a`.
        claims: statements of claims, with their results.
        findings: what updates may depend on, with what was found.
    """

    about: str
    marks: dict[str, str]
    claims: dict[str, str] = field(default_factory=dict)
    findings: dict[str, str] = field(default_factory=dict)

    def needed(self) -> list[str]:
        """What an update of the first layer depends on, as a picture names it."""
        found = ((short, self.findings.get(subject, "no")) for subject, short in SHORT.items())
        return [
            short for short, answer in found if answer.startswith("yes") and re.search(r"all layers|layer 1\b", answer)
        ]


def certificates(root: Path) -> dict[str, list[Certified]]:
    """All certificates of every rule by its name on the command line, in the order of docs/certificates.md."""
    text = (root / "docs" / "certificates.md").read_text(encoding="utf-8")
    marks = _overview(text)
    found: dict[str, list[Certified]] = {}
    for rule, about, section in SECTION.findall(text):
        if (rule, about) in marks:
            tables = {key: _pairs(section, key) for key in ("claim", "updates depend on")}
            one = Certified(about, marks[rule, about], tables["claim"], tables["updates depend on"])
            found.setdefault(command_name(rule), []).append(one)
    return found


def _overview(text: str) -> dict[tuple[str, str], dict[str, str]]:
    marks = {}
    for about, table in re.findall(r"^On (.*):\n\n((?:\|.*\n)+)", text, re.MULTILINE):
        header, _, *rows = (_cells(line) for line in table.splitlines())
        for rule, *outcomes in rows:
            marks[rule.strip("`"), about] = dict(zip(header[1:], outcomes, strict=True))
    return marks


def _pairs(section: str, head: str) -> dict[str, str]:
    table = re.search(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)*)", section, re.MULTILINE)
    return dict(map(_cells, table[1].splitlines())) if table else {}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]
