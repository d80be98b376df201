"""What an audit found, and what it makes of a rule's claims. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from onchip.claims import ALWAYS, Claim, Claims

__all__ = ["Certificate", "Finding", "Verdict", "certify"]


@dataclass(frozen=True)
class Finding:
    """What one intervention showed.

    Args:
        name: what claims call it.
        question: what was asked, in words.
        test: what was changed, and what compared.
        found: whether the update reads it; None where the question makes no sense.
        detail: which layers, and how much.
    """

    name: str
    question: str
    test: str
    found: bool | None
    detail: str = ""

    @property
    def answer(self) -> str:
        """The answer in a word, then the detail."""
        word = "n/a" if self.found is None else "yes" if self.found else "no"
        return f"{word}: {self.detail}" if self.detail else word


@dataclass(frozen=True)
class Verdict:
    """What became of one claim.

    Args:
        claim: its name.
        says: the claim in words.
        tests: what decides it.
        verdict: the outcome; `n/a` where no test makes sense, such as time steps without time.
        because: the findings that speak against it.
    """

    claim: str
    says: str
    tests: tuple[str, ...]
    verdict: Literal["holds", "BROKEN", "not claimed", "n/a"]
    because: str


@dataclass(frozen=True)
class Certificate:
    """The audit of one rule on one network.

    Args:
        rule: the rule, with its options.
        about: the network and the input that it was audited on.
        findings: what its updates read.
        verdicts: its claims; empty if it claims nothing.
    """

    rule: str
    about: str
    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def holds(self) -> bool:
        """Whether no claim is broken."""
        return all(verdict.verdict != "BROKEN" for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as plain values, for JSON."""
        return {**asdict(self), "holds": self.holds}


def certify(rule: str, about: str, findings: Sequence[Finding], claims: Claims | None) -> Certificate:
    """Holds a rule's claims against what was found.

    Args:
        rule: the rule, with its options.
        about: the network and the input.
        findings: one of each name that claims speak of.
        claims: the rule's, or None if it claims nothing.
    """
    verdicts: tuple[Verdict, ...] = ()
    if claims is not None:
        made = [*claims.made(), ALWAYS]
        by_name = {finding.name: finding for finding in findings}
        verdicts = tuple(_verdict(claim, by_name, claim in made) for claim in [*Claims.known(), ALWAYS])
    return Certificate(rule, about, tuple(findings), verdicts)


def _verdict(claim: Claim, findings: dict[str, Finding], made: bool) -> Verdict:
    asked = [findings[name] for name in claim.absent]
    against = [finding for finding in asked if finding.found]
    because = "; ".join(f"{finding.question}: {finding.answer}" for finding in against)
    tests = tuple(dict.fromkeys(finding.test for finding in asked))
    if all(finding.found is None for finding in asked):
        reason = "; ".join(dict.fromkeys(finding.detail for finding in asked))
        return Verdict(claim.name, claim.says, tests, "n/a", reason)
    if not made:
        return Verdict(claim.name, claim.says, tests, "not claimed", because)
    return Verdict(claim.name, claim.says, tests, "BROKEN" if against else "holds", because)
