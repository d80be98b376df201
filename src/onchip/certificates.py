"""What a rule claims about the locality of its updates, and what an audit found. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        name: the field of `Claims`.
        statement: the claim in words.
        absent: names of the findings that must be absent for it to hold.
    """

    name: str
    statement: str
    absent: tuple[str, ...]

    @property
    def title(self) -> str:
        """The name with spaces."""
        return self.name.replace("_", " ")


def _claim(statement: str, *absent: str) -> bool:
    return field(default=False, metadata={"statement": statement, "absent": absent})


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The claims of one rule; a field that is False claims nothing. `onchip audit` tests every claim.

    Args:
        separate_feedback: errors never pass through forward weights, so that no synapse is read in both directions
            (no symmetric feedback).
        no_weight_transport: forward weights are never copied, neither for errors nor into feedback weights, apart
            from one copy before training. Feedback weights that learn from the responses of synapses are no copy.
        unshared_feedback: each feedback weight contributes to the update of one layer, or of parallel layers whose
            activity is added.
        backward_unlocked: no error passes from layer to layer, so that no layer waits for the backward pass of
            another (no backward locking).
        update_unlocked: hidden layers need neither the activity nor the errors of layers above, nor the error of the
            network's output (no update locking).
        temporally_causal: in a whole sequence, what a time step contributes to an update does not depend on later
            time steps, which temporal locality requires.
        online: in `rule.stream`, the update of a time step is computed before the next time step is known.
        batch_independent: what a sample contributes to an update does not depend on other samples of the batch.
        ternary_errors: errors at the neurons are -1, 0 or 1 times one constant per layer.

    Example:
        >>> [claim.name for claim in Claims(online=True).stated()]
        ['online']
    """

    separate_feedback: bool = _claim(
        "no symmetric feedback: errors pass through no forward weights",
        "forward_weights_above",
        "forward_weights_below",
    )
    no_weight_transport: bool = _claim(
        "no weight transport: forward weights are never copied",
        "forward_weights_above",
        "forward_weights_below",
        "own_forward_weights",
        "weight_transport",
        "booked_transport",
        "unbooked_transport",
    )
    unshared_feedback: bool = _claim(
        "no weight sharing in the feedback: each feedback weight serves the update of one layer", "shared_feedback"
    )
    backward_unlocked: bool = _claim("no backward locking: no error passes from layer to layer", "errors_above")
    update_unlocked: bool = _claim(
        "no update locking: hidden layers need no activity or error of layers above, and no error of the output",
        "errors_above",
        "activity_above",
        "output_error",
    )
    temporally_causal: bool = _claim(
        "temporal causality: the contribution of a time step depends on no later time step", "later_time_steps"
    )
    online: bool = _claim(
        "online learning: the update of a time step is known before the next one", "later_time_steps_in_stream"
    )
    batch_independent: bool = _claim(
        "batch independence: the contribution of a sample depends on no other sample", "other_samples"
    )
    ternary_errors: bool = _claim("ternary errors: -1, 0 or 1 times one constant per layer", "graded_errors")

    @classmethod
    def known(cls) -> list[Claim]:
        """Every claim that a rule may state."""
        return [Claim(item.name, item.metadata["statement"], item.metadata["absent"]) for item in fields(cls)]

    def stated(self) -> list[Claim]:
        """The claims of this rule."""
        return [claim for claim in self.known() if getattr(self, claim.name)]

    def __and__(self, other: Claims) -> Claims:
        """What both claim."""
        return Claims(**{item.name: getattr(self, item.name) and getattr(other, item.name) for item in fields(self)})


TRANSPORT_BOOKED = Claim("transport_booked", "every weight transport is in the ledger", ("unbooked_transport",))
"""The claim that the engine makes for every rule that claims anything."""


@dataclass(frozen=True)
class Finding:
    """The result of one intervention.

    Args:
        name: the name that claims refer to.
        subject: what updates may depend on, in words.
        test: what was changed, and what was compared.
        found: whether updates depend on it; None where the test does not apply.
        detail: which layers, and how much.
    """

    name: str
    subject: str
    test: str
    found: bool | None
    detail: str = ""

    @property
    def answer(self) -> str:
        """`yes`, `no` or `n/a`, then the detail."""
        word = "n/a" if self.found is None else "yes" if self.found else "no"
        return f"{word}: {self.detail}" if self.detail else word


@dataclass(frozen=True)
class ClaimResult:
    """The outcome for one claim.

    Args:
        claim: its name.
        statement: the claim in words.
        tests: the interventions that decide it.
        outcome: `n/a` where no test applies, such as time steps for spike times.
        reason: the findings that contradict it.
    """

    claim: str
    statement: str
    tests: tuple[str, ...]
    outcome: Literal["holds", "BROKEN", "not claimed", "n/a"]
    reason: str


@dataclass(frozen=True)
class Certificate:
    """The audit of one rule on one network.

    Args:
        rule: the rule, with its options.
        about: the network and the input of the audit.
        findings: what its updates depend on.
        results: the outcome for each claim; empty if the rule claims nothing.
    """

    rule: str
    about: str
    findings: tuple[Finding, ...]
    results: tuple[ClaimResult, ...]

    @property
    def holds(self) -> bool:
        """Whether no claim is broken."""
        return all(result.outcome != "BROKEN" for result in self.results)

    def to_dict(self) -> dict[str, Any]:
        """The certificate as plain values, for JSON."""
        return {**asdict(self), "holds": self.holds}


def certify(rule: str, about: str, findings: Sequence[Finding], claims: Claims) -> Certificate:
    """Compares the claims of a rule with the findings.

    Args:
        rule: the rule, with its options.
        about: the network and the input.
        findings: one for each name that claims refer to.
        claims: the claims of the rule.
    """
    results: tuple[ClaimResult, ...] = ()
    if claims != Claims():
        stated = [*claims.stated(), TRANSPORT_BOOKED]
        by_name = {finding.name: finding for finding in findings}
        results = tuple(_result(claim, by_name, claim in stated) for claim in [*Claims.known(), TRANSPORT_BOOKED])
    return Certificate(rule, about, tuple(findings), results)


def _result(claim: Claim, findings: dict[str, Finding], stated: bool) -> ClaimResult:
    relevant = [findings[name] for name in claim.absent]
    against = [finding for finding in relevant if finding.found]
    reason = "; ".join(f"{finding.subject}: {finding.answer}" for finding in against)
    tests = tuple(dict.fromkeys(finding.test for finding in relevant))
    if all(finding.found is None for finding in relevant):
        reason = "; ".join(dict.fromkeys(finding.detail for finding in relevant))
        return ClaimResult(claim.name, claim.statement, tests, "n/a", reason)
    if not stated:
        return ClaimResult(claim.name, claim.statement, tests, "not claimed", reason)
    return ClaimResult(claim.name, claim.statement, tests, "BROKEN" if against else "holds", reason)
