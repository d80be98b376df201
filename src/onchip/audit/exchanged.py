"""What layers send each other and whose feedback they hear, found by changing one thing at a time."""

from __future__ import annotations

import itertools

import torch

from onchip.audit.bench import Bench
from onchip.audit.trial import Trial
from onchip.certificate import Finding

__all__ = ["exchanged"]


def exchanged(bench: Bench) -> list[Finding]:
    """Findings about feedback weights that several layers share, and about messages that are no spikes."""
    return [_shared_feedback(bench), _real_messages(bench)]


def _shared_feedback(bench: Bench) -> Finding:
    shared: dict[str, list[int]] = {}
    for name in Trial(bench.setup).feedback_tensors():
        readers = bench.changed(Trial(bench.setup).run(other_feedback=name))
        if any(_reaches(bench, lower, upper) for lower, upper in itertools.combinations(readers, 2)):
            shared[name] = readers
    lines = [f"{name} is read by {bench.named(readers)}" for name, readers in list(shared.items())[:2]]
    detail = "; ".join(lines) + ("; ..." if len(shared) > 2 else "")
    question = "feedback weights that layers above or below read, too"
    test = "each tensor of the feedback in turn is another: do updates of layers change of which one feeds the other?"
    return Finding("shared_feedback", question, test, bool(shared), detail)


def _reaches(bench: Bench, lower: int, upper: int) -> bool:
    """Whether the activity of one layer has a part in what another receives; layers side by side feed no other."""
    trial = Trial(bench.setup)
    trial.swap([lower], in_products=True)
    both = zip(trial.run().factors[upper], bench.base.factors[upper], strict=True)
    return any(not torch.equal(got.pre, expected.pre) for got, expected in both)


def _real_messages(bench: Bench) -> Finding:
    name, question = "real_messages", "activity between layers that is more than spikes of one size"
    test = "whatever is not zero between layers becomes 1: do updates change?"
    if not bench.timed:
        return Finding(name, question, test, None, "a spike's time is what it says")
    changed = bench.changed(Trial(bench.setup).run(ones_between_layers=True))
    return Finding(name, question, test, bool(changed), bench.named(changed) if changed else "")
