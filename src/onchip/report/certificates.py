"""Certificates as Markdown."""

from collections.abc import Iterable, Sequence

from onchip.certificates import TRANSPORT_BOOKED, Certificate, Claim, Claims
from onchip.report.markdown import markdown_table

INTRODUCTION = """# Certificates

What the updates of each rule depend on, tested by intervention: training is repeated from the same state with one
thing changed, and what became of it is compared bit for bit. The claims of a rule follow from its parts (`Claims`). A
certificate says nothing about accuracy."""

LIMITS = """## What the audit covers, and what it cannot

*Reads of forward weights.* A span of training steps (`--span`, 128 by default) runs twice from one seed. In one run
everything sees the weights; in the other, everything but the network's own forward product sees other numbers in their
place, all the time: in the forward pass, in the backward pass, at the optimizer's step, in `rule.step` and between
steps. Gradients, the state of the feedback, parameters, the model's buffers and the states of random number generators
must not differ in any step. It does not matter where a copy waits: an attribute, a closure, the optimizer, the model,
a global variable, a file, a random seed or the time that a step takes. In every 12 steps, 8 are unusual: weights times
10, 0.1 and -1, the loss times 0.0001 and 10,000, an evaluation, a stream, a single sample; so a read that waits for
such a condition occurs, too.

*The network's own forward product* is recognized by the chain of calls that leads to it, in which no code of the rule
may occur. Products of the feedback with forward weights must be reported as probes; those get the true weights, and
feedback that depends on them "learns through the responses of the synapses", as weight mirrors do. A probe that is
the same under other random numbers, or sends one input at a time, reads weights and breaks the claim; so does any
change of the input or the drive of a layer that is not reported as random numbers.

*No intervention can find*

- a read that begins after the span, or under a condition that does not occur in it, such as a date;
- the sum of a rule's own updates, from known first weights: it equals the weights and reads none of them
  (Kolen-Pollack learning is its honest form);
- what a rule infers from the network's own activity, which it may read (`own_noise_mirror` does so openly), and from
  probes that look like noise;
- how much was copied where a transport is reported, beyond that it was reported for this layer in this step;
- a rule that recognizes the audit, from the objects that wrap its layers or from Python's stack, or that replaces
  code of the engine or of torch.

Each training runs in a fork of the process, so that a variable that outlives a rule carries nothing from one to the
next. This needs Linux; on other systems a global variable that is written once per process can deceive the audit. A
layer with standardized weights computes them from parameters, on which the parameters' gradient depends; there the
gradient of the computed weights is compared."""

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
    return "\n\n".join([INTRODUCTION, *overview, KEY, explained, LIMITS, *map(_section, audits)]) + "\n"


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
