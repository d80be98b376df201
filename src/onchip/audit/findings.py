"""What the updates of a rule depend on: one thing is changed at a time, and updates are compared bit for bit."""

import torch

from onchip.audit.bench import Bench
from onchip.audit.exchanged import exchanged
from onchip.audit.setup import Setup
from onchip.audit.trial import Trial, same
from onchip.audit.weights import Pairs, named_pairs, weight_findings
from onchip.certificates import Finding
from onchip.errors import RequestError, UnsupportedError


def findings(setup: Setup, span: int) -> list[Finding]:
    """Every finding about a rule.

    Args:
        setup: What all trials share.
        span: Training steps in which reads of weights are searched for.

    Raises:
        RequestError: some layer gets no update, or one that is not finite; or one seed gives two results.
    """
    names = [layer.name for layer in setup.make(setup.build()).layers]
    weights = weight_findings(setup, names, span)  # first: its processes must not inherit what a trial left behind
    bench = Bench(setup)
    return [
        *weights,
        _errors_above(bench),
        _activity_above(bench),
        _later_steps(bench),
        _later_steps_streamed(bench),
        _other_samples(bench),
        *_labels(bench),
        _graded_errors(bench),
        *exchanged(bench),
    ]


def _errors_above(bench: Bench) -> Finding:
    pairs: Pairs = set()
    for sender in range(1, len(bench.layers)):
        changed = bench.changed(Trial(bench.setup).run(other_errors=[sender]))
        pairs |= {(reader, sender) for reader in changed if reader < sender}
    products = f"sent down by {bench.base.sent_down:,} products" if bench.base.sent_down else ""
    detail = "; ".join(text for text in (named_pairs(bench.names, pairs), products) if text)
    test = "the errors that the neurons of each layer in turn send are replaced"
    return Finding("errors_above", "errors of layers above", test, bool(pairs) or bool(bench.base.sent_down), detail)


def _activity_above(bench: Bench) -> Finding:
    pairs: Pairs = set()
    for sender in range(1, len(bench.layers)):
        changed = bench.changed(Trial(bench.setup).run(other_weights=[sender]))
        below = (reader for reader in changed if reader < sender)
        # A layer's recurrent connection ends at the same neurons.
        pairs |= {(reader, sender) for reader in below if bench.layers[reader].recurrent is not bench.layers[sender]}
    test = "the weights of each layer in turn are replaced, so that its activity is another: do updates below change?"
    detail = named_pairs(bench.names, pairs) if pairs else ""
    return Finding("activity_above", "activity of layers above, or errors of it", test, bool(pairs), detail)


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
            "the labels are replaced at the network's output, but neither at local read-outs nor as targets",
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
