"""Certificates as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from onchip.certificate import Certificate
from onchip.claims import ALWAYS, Claim, Claims
from onchip.report.markdown import markdown_table

__all__ = ["certificates"]


INTRODUCTION = """# Certificates

What the updates of each rule read, found by intervention: one training step is repeated from the same state with
one thing changed, and updates, or the factors that they are products of, are compared bit for bit. A rule is held
to what it claims, where it is made (`Claims`). Bits say nothing about accuracy: reading nothing is easy."""

KEY = (
    "*holds*: claimed, and no test speaks against it. *BROKEN*: claimed, and a test does. *no*: not claimed, and not "
    "so. *unclaimed*: so here, but not promised. *n/a*: the question makes no sense here."
)


def certificates(found: Sequence[Certificate]) -> str:
    """A page: which rule keeps which claim, how claims are tested, then every certificate."""
    claims = [*Claims.known(), ALWAYS]
    overview = []
    for about in dict.fromkeys(certificate.about for certificate in found):
        rows = [[f"`{one.rule}`", *_marks(one, claims)] for one in found if one.about == about]
        overview.append(f"On {about}:\n\n" + _text_table(["rule", *(claim.name for claim in claims)], rows))
    tests = {verdict.claim: "; ".join(verdict.tests) for one in found for verdict in one.verdicts}
    meaning = [[claim.name, claim.says, tests.get(claim.name, "-")] for claim in claims]
    blocks = [INTRODUCTION, *overview, KEY, _text_table(["claim", "in words", "test"], meaning), *map(_section, found)]
    return "\n\n".join(blocks) + "\n"


def _marks(certificate: Certificate, claims: Sequence[Claim]) -> list[str]:
    verdicts = {verdict.claim: verdict for verdict in certificate.verdicts}
    marks = []
    for claim in claims:
        verdict = verdicts.get(claim.name)
        if verdict is None:
            marks.append("-")
        elif verdict.verdict == "not claimed":
            marks.append("no" if verdict.because else "unclaimed")
        else:
            marks.append(verdict.verdict)
    return marks


def _section(certificate: Certificate) -> str:
    kept = [verdict for verdict in certificate.verdicts if verdict.verdict != "not claimed"]
    unclaimed = ", ".join(verdict.claim for verdict in certificate.verdicts if verdict.verdict == "not claimed")
    rows = [[v.says, v.verdict + (f" ({v.because})" if v.because else "")] for v in kept]
    blocks = [f"## {certificate.rule}: {certificate.about}"]
    blocks.append(_text_table(["claim", "verdict"], rows) if rows else "It claims nothing.")
    if unclaimed:
        blocks.append(f"Not claimed: {unclaimed}.")
    reads = [[finding.question, finding.answer] for finding in certificate.findings]
    blocks.append(_text_table(["what an update reads", "found"], reads))
    return "\n\n".join(blocks)


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return markdown_table(header, rows, left=len(header))
