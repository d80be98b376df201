"""What layers exchange: feedback weights that several layers share, and activity that is more than spikes."""

import itertools

import torch

from onchip.audit.bench import Bench
from onchip.audit.trial import Trial
from onchip.certificates import Finding


def exchanged(bench: Bench) -> list[Finding]:
    """Findings about feedback weights that several layers share, and about activity that is more than spikes."""
    return [_shared_feedback(bench), _graded_activity(bench)]


def _shared_feedback(bench: Bench) -> Finding:
    shared: dict[str, list[int]] = {}
    for name in Trial(bench.setup).feedback_tensors():
        readers = bench.changed(Trial(bench.setup).run(other_feedback=name))
        if any(_reaches(bench, lower, upper) for lower, upper in itertools.combinations(readers, 2)):
            shared[name] = readers
    lines = [f"{name} is used by {bench.named(readers)}" for name, readers in list(shared.items())[:2]]
    detail = "; ".join(lines) + ("; ..." if len(shared) > 2 else "")
    subject = "feedback weights that layers above or below share"
    test = "each feedback tensor in turn is replaced: do updates of two layers change, one of which feeds the other?"
    return Finding("shared_feedback", subject, test, bool(shared), detail)


def _reaches(bench: Bench, lower: int, upper: int) -> bool:
    """Whether the activity of one layer contributes to the input of another.

    Parallel layers do not feed each other, and a layer's recurrent connection ends at the same neurons.
    """
    if bench.layers[lower].recurrent is bench.layers[upper]:
        return False
    outcome = Trial(bench.setup).run(other_weights=[lower])
    both = zip(outcome.factors[upper], bench.base.factors[upper], strict=True)
    return any(not torch.equal(got.pre, expected.pre) for got, expected in both)


def _graded_activity(bench: Bench) -> Finding:
    name, subject = "graded_activity", "graded activity between layers: more than spikes of one size"
    test = "all nonzero activity between layers is replaced by 1: do updates change?"
    if not bench.timed:
        return Finding(name, subject, test, None, "a spike time is the signal itself")
    changed = bench.changed(Trial(bench.setup).run(ones_between_layers=True))
    return Finding(name, subject, test, bool(changed), bench.named(changed) if changed else "")
