"""What the updates of a rule depend on: one thing is changed at a time, and updates are compared bit for bit."""

from dataclasses import dataclass

import torch

from onchip.audit.bench import Bench, Pairs
from onchip.audit.exchanged import exchanged
from onchip.audit.trial import WARM_UP, Setup, Trial, same
from onchip.certificates import Finding
from onchip.errors import RequestError, UnsupportedError

TRANSPORT_STEPS = 128
"""Training steps in which a weight transport is searched for: more than the default period of fbp, 100."""


def findings(setup: Setup) -> list[Finding]:
    """Every finding about a rule.

    Raises:
        RequestError: some layer gets no update, or one that is not finite; or one seed gives two results.
    """
    bench = Bench(setup)
    return [
        *_weights(bench),
        *_transport(bench),
        _errors_above(bench),
        _later_steps(bench),
        _later_steps_streamed(bench),
        _other_samples(bench),
        *_labels(bench),
        _graded_errors(bench),
        *exchanged(bench),
    ]


def _weights(bench: Bench) -> list[Finding]:
    pairs, _ = bench.weight_readers
    kinds = {
        "forward_weights_above": ("forward weights of layers above", {(by, of) for by, of in pairs if of > by}),
        "forward_weights_below": ("forward weights of layers below", {(by, of) for by, of in pairs if of < by}),
        "own_forward_weights": ("forward weights of the same layer", {(by, of) for by, of in pairs if of == by}),
    }
    test = "the weights of each layer in turn are replaced during the step, except in its forward product"
    return [
        Finding(name, subject, test, bool(readers), _pairs(bench, readers) if name != "own_forward_weights" else "")
        for name, (subject, readers) in kinds.items()
    ]


def _pairs(bench: Bench, pairs: Pairs) -> str:
    """`layer 1 depends on 3, 5; ...`, for the first three layers."""
    readers = sorted({reader for reader, _ in pairs})
    lines = []
    for reader in readers[:3]:
        read = [bench.layers[of].name for by, of in sorted(pairs) if by == reader]
        lines.append(f"layer {bench.layers[reader].name} depends on {', '.join(read)}")
    return "; ".join(lines) + ("; ..." if len(readers) > 3 else "")


def _transport(bench: Bench) -> list[Finding]:
    pairs, at_once = bench.weight_readers
    first = _first_transport(bench)
    if at_once:
        detail = "with the update"
    elif first.copied:
        detail = f"first after step {first.copied}"
    elif first.learned:
        detail = f"only through the responses of the synapses, first after step {first.learned}"
    else:
        detail = f"not in {TRANSPORT_STEPS} steps"
    used = at_once or any(reader != read for reader, read in pairs)
    missing = (used and not bench.base.booked) or (first.copied is not None and not first.booked)
    scalars = [f"{bench.base.booked:,} scalars for one update"] if bench.base.booked else []
    scalars += [f"{first.booked:,} scalars after step {first.copied}"] if first.booked else []
    calls = f"{TRANSPORT_STEPS} calls of rule.step"
    test = f"all weights are replaced, except in forward products, in {calls}: does the feedback change?"
    booked = "what the ledger booked"
    return [
        Finding(
            "weight_transport",
            "weight transport: forward weights copied into the feedback",
            test,
            at_once or first.copied is not None,
            detail,
        ),
        Finding("booked_transport", "weight transport in the ledger", booked, bool(scalars), "; ".join(scalars)),
        Finding("unbooked_transport", "weight transport missing from the ledger", f"{test}; {booked}", missing),
    ]


@dataclass(frozen=True)
class _FirstTransport:
    """When feedback that no optimizer trains first depends on the forward weights.

    Args:
        copied: the training step after which feedback first depends on the weights themselves, or None.
        learned: the training step after which it first depends on responses of the synapses, or None.
        booked: scalars that the ledger booked as copied after step `copied`.
    """

    copied: int | None
    learned: int | None
    booked: int


def _first_transport(bench: Bench) -> _FirstTransport:
    unchanged, hidden, replaced = (Trial(bench.setup) for _ in range(3))
    for trial in (unchanged, hidden, replaced):
        trial.run()
    hidden.swap(range(len(bench.layers)))
    replaced.swap(range(len(bench.layers)), in_products=True)
    learned = None
    for step in range(WARM_UP + 1, WARM_UP + 1 + TRANSPORT_STEPS):
        before = unchanged.booked
        unchanged.step(step)
        expected = unchanged.feedback()
        hidden.step(step)
        if not same(hidden.feedback(), expected):
            return _FirstTransport(step, learned, unchanged.booked - before)
        if learned is None:
            replaced.step(step)
            learned = None if same(replaced.feedback(), expected) else step
    return _FirstTransport(None, learned, 0)


def _errors_above(bench: Bench) -> Finding:
    pairs: Pairs = set()
    for sender in range(1, len(bench.layers)):
        changed = bench.changed(Trial(bench.setup).run(other_errors=[sender]))
        pairs |= {(reader, sender) for reader in changed if reader < sender}
    products = f"sent down by {bench.base.pulled:,} products" if bench.base.pulled else ""
    detail = "; ".join(text for text in (_pairs(bench, pairs), products) if text)
    test = "the errors that the neurons of each layer in turn send are replaced"
    return Finding("errors_above", "errors of layers above", test, bool(pairs) or bool(bench.base.pulled), detail)


def _later_steps(bench: Bench) -> Finding:
    name, subject = "later_time_steps", "later time steps, in a whole sequence"
    test = "the second half of the sequence is replaced: do the factors of updates of the first half change?"
    if not bench.timed:
        return Finding(name, subject, test, None, "spike times have no time steps")
    if not bench.by_step:
        return Finding(name, subject, test, True, "the update is no sum over time steps")
    half = (len(bench.setup.signal) + 1) // 2
    outcome = Trial(bench.setup).run(signal=bench.other_signal(steps=slice(half, None)))
    changed = bench.parts_changed(outcome, (slice(half), slice(None)))
    return Finding(name, subject, test, bool(changed), bench.named(changed) if changed else "")


def _later_steps_streamed(bench: Bench) -> Finding:
    name, subject = "later_time_steps_in_stream", "later time steps, in a stream"
    test = "the second half of the stream is replaced: do updates of the first half change?"
    if not bench.timed:
        return Finding(name, subject, test, None, "spike times have no time steps")
    half = (len(bench.setup.signal) + 1) // 2
    try:
        expected = Trial(bench.setup).stream(bench.setup.signal)
    except UnsupportedError:
        return Finding(name, subject, test, True, "the rule cannot stream: it needs the whole sequence")
    except RequestError as error:  # a rule whose options need more than one step at a time
        return Finding(name, subject, test, True, f"the rule cannot stream: {error}")
    got = Trial(bench.setup).stream(bench.other_signal(steps=slice(half, None)))
    changed = {
        index
        for mine, theirs in zip(got[:half], expected[:half], strict=True)
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True))
        if not same(one, other)
    }
    return Finding(name, subject, test, bool(changed), bench.named(changed) if changed else "")


def _other_samples(bench: Bench) -> Finding:
    name, subject = "other_samples", "other samples of the batch"
    test = "all samples but the first are replaced: do the factors of updates of the first sample change?"
    if not bench.separable:
        return Finding(name, subject, test, True, "the update is no sum over samples")
    signal = bench.other_signal(samples=slice(1, None))
    labels = bench.setup.labels.clone()
    labels[1:] = (labels[1:] + 1) % _classes(bench)
    outcome = Trial(bench.setup).run(signal=signal, labels=labels)
    changed = bench.parts_changed(outcome, (slice(None), slice(1)))
    return Finding(name, subject, test, bool(changed), bench.named(changed) if changed else "")


def _labels(bench: Bench) -> list[Finding]:
    labels = (bench.setup.labels + 1) % _classes(bench)
    by_any = bench.changed(Trial(bench.setup).run(labels=labels))
    by_output = bench.changed(Trial(bench.setup).run(output_labels=labels))
    hidden = [index for index in by_output if index < len(bench.layers) - 1]
    return [
        Finding("labels", "the labels", "the labels are replaced", bool(by_any), bench.named(by_any) if by_any else ""),
        Finding(
            "output_error",
            "the error of the network's output, in hidden layers",
            "the labels are replaced at the network's output, but not at local read-outs",
            bool(hidden),
            bench.named(hidden) if hidden else "",
        ),
    ]


def _graded_errors(bench: Bench) -> Finding:
    sizes = [torch.cat([f.credit.abs().flatten() for f in log]).unique() if log else None for log in bench.base.factors]
    graded = [index for index, values in enumerate(sizes) if values is None or int((values > 0).sum()) > 1]
    detail = bench.named(graded) if graded else "-1, 0 or 1 times one constant per layer"
    test = "do the errors at the neurons of a layer have more than one magnitude?"
    return Finding("graded_errors", "graded errors: more than one magnitude per layer", test, bool(graded), detail)


def _classes(bench: Bench) -> int:
    return len(bench.layers[-1].weight)
