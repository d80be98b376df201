"""Certificates as Markdown."""

from collections.abc import Iterable, Sequence

from onchip.certificates import TRANSPORT_BOOKED, Certificate, Claim, Claims
from onchip.report.markdown import markdown_table

INTRODUCTION = """# Certificates

What the updates of each rule depend on, tested by intervention: one training step is repeated from the same state
with one thing changed, and updates, or the factors whose products they are, are compared bit for bit. The claims of a
rule follow from its parts (`Claims`). A certificate says nothing about accuracy."""

KEY = (
    "*holds*: claimed, and no test contradicts it. *BROKEN*: claimed, and a test contradicts it. *no*: not claimed, "
    "and not true here. *unclaimed*: true here, but not claimed. *n/a*: the test does not apply."
)


def certificates(audits: Sequence[Certificate]) -> str:
    """A page: which claims hold for which rule, how claims are tested, then every certificate."""
    claims = [*Claims.known(), TRANSPORT_BOOKED]
    overview = []
    for about in dict.fromkeys(certificate.about for certificate in audits):
        rows = [[f"`{one.rule}`", *_marks(one, claims)] for one in audits if one.about == about]
        overview.append(f"On {about}:\n\n" + _text_table(["rule", *(claim.title for claim in claims)], rows))
    tests = {result.claim: "; ".join(result.tests) for one in audits for result in one.results}
    meaning = [[claim.title, claim.statement, tests.get(claim.name, "-")] for claim in claims]
    explained = _text_table(["claim", "statement", "test"], meaning)
    return "\n\n".join([INTRODUCTION, *overview, KEY, explained, *map(_section, audits)]) + "\n"


def _marks(certificate: Certificate, claims: Sequence[Claim]) -> list[str]:
    results = {result.claim: result for result in certificate.results}
    marks = []
    for claim in claims:
        result = results.get(claim.name)
        if result is None:
            marks.append("-")
        elif result.outcome == "not claimed":
            marks.append("no" if result.reason else "unclaimed")
        else:
            marks.append(result.outcome)
    return marks


def _section(certificate: Certificate) -> str:
    rows = [
        [r.statement, r.outcome + (f" ({r.reason})" if r.reason else "")]
        for r in certificate.results
        if r.outcome != "not claimed"
    ]
    unclaimed = ", ".join(r.claim.replace("_", " ") for r in certificate.results if r.outcome == "not claimed")
    blocks = [f"## {certificate.rule}: {certificate.about}"]
    blocks.append(_text_table(["claim", "result"], rows) if rows else "It claims nothing.")
    if unclaimed:
        blocks.append(f"Not claimed: {unclaimed}.")
    depends = [[finding.subject, finding.answer] for finding in certificate.findings]
    blocks.append(_text_table(["updates depend on", "found"], depends))
    return "\n\n".join(blocks)


def _text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return markdown_table(header, rows, left=len(header))
