"""What the updates of a rule read, found by changing one thing at a time and comparing bit for bit."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from onchip.audit.bench import Bench, Pairs
from onchip.audit.exchanged import exchanged
from onchip.audit.trial import WARM_UP, Setup, Trial, same
from onchip.certificate import Finding
from onchip.errors import RequestError, UnsupportedError

__all__ = ["findings"]

SPAN = 128
"""Steps for which feedback is watched for a refresh: more than the longest period that fbp takes unasked, 100."""


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
        _real_errors(bench),
        *exchanged(bench),
    ]


def _weights(bench: Bench) -> list[Finding]:
    pairs, _ = bench.weight_readers
    kinds = {
        "weights_above": ("forward weights of layers above", {(by, of) for by, of in pairs if of > by}),
        "weights_below": ("forward weights of layers below", {(by, of) for by, of in pairs if of < by}),
        "own_weights": ("its own forward weights", {(by, of) for by, of in pairs if of == by}),
    }
    test = "each layer in turn holds other weights all through the step, but for its forward product"
    return [
        Finding(name, question, test, bool(found), _pairs(bench, found) if name != "own_weights" else "")
        for name, (question, found) in kinds.items()
    ]


def _pairs(bench: Bench, pairs: Pairs) -> str:
    """`layer 1 reads 3, 5; ...`, for the first few layers."""
    readers = sorted({reader for reader, _ in pairs})
    lines = []
    for reader in readers[:3]:
        read = [bench.layers[of].name for by, of in sorted(pairs) if by == reader]
        lines.append(f"layer {bench.layers[reader].name} reads {', '.join(read)}")
    return "; ".join(lines) + ("; ..." if len(readers) > 3 else "")


def _transport(bench: Bench) -> list[Finding]:
    pairs, at_once = bench.weight_readers
    refresh = _refresh(bench)
    copied, heard = refresh.copied, refresh.heard
    if at_once:
        detail = "with the update"
    elif copied:
        detail = f"first after step {copied}"
    elif heard:
        detail = f"only through the synapses' responses, first after step {heard}"
    else:
        detail = f"not in {SPAN} steps"
    used = at_once or any(reader != read for reader, read in pairs)
    past = (used and not bench.base.booked) or (copied is not None and not refresh.booked)
    scalars = [f"{bench.base.booked:,} scalars for one update"] if bench.base.booked else []
    scalars += [f"{refresh.booked:,} scalars after step {copied}"] if refresh.booked else []
    test = f"other weights, but for forward products, while rule.step is called {SPAN} times: is the feedback another?"
    bill = "what the ledger booked"
    return [
        Finding("refresh", "forward weights copied into the feedback", test, at_once or copied is not None, detail),
        Finding("booked_transport", "copies of forward weights on the bill", bill, bool(scalars), "; ".join(scalars)),
        Finding("unbooked_transport", "copies of forward weights that are not on the bill", f"{test}; {bill}", past),
    ]


@dataclass(frozen=True)
class _Refresh:
    """When feedback that is not trained follows the forward weights.

    Args:
        copied: training step after which feedback first depends on the weights themselves, or None.
        heard: the same for what the synapses make of the weights, forward products alone.
        booked: scalars that the ledger saw copied after step `copied`.
    """

    copied: int | None
    heard: int | None
    booked: int


def _refresh(bench: Bench) -> _Refresh:
    plain, hidden, heard = (Trial(bench.setup) for _ in range(3))
    for trial in (plain, hidden, heard):
        trial.run()
    hidden.swap(range(len(bench.layers)))
    heard.swap(range(len(bench.layers)), in_products=True)
    first_heard = None
    for step in range(WARM_UP + 1, WARM_UP + 1 + SPAN):
        before = plain.booked
        plain.step(step)
        expected = plain.feedback()
        hidden.step(step)
        if not same(hidden.feedback(), expected):
            return _Refresh(step, first_heard, plain.booked - before)
        if first_heard is None:
            heard.step(step)
            first_heard = None if same(heard.feedback(), expected) else step
    return _Refresh(None, first_heard, 0)


def _errors_above(bench: Bench) -> Finding:
    pairs: Pairs = set()
    for sender in range(1, len(bench.layers)):
        changed = bench.changed(Trial(bench.setup).run(other_errors=[sender]))
        pairs |= {(reader, sender) for reader in changed if reader < sender}
    products = f"pulled down by {bench.base.pulled:,} products" if bench.base.pulled else ""
    detail = "; ".join(text for text in (_pairs(bench, pairs), products) if text)
    test = "each layer's neurons in turn send another error"
    return Finding("errors_above", "errors of the neurons above", test, bool(pairs) or bool(bench.base.pulled), detail)


def _later_steps(bench: Bench) -> Finding:
    name, question = "later_steps", "later time steps, in a whole sequence"
    test = "another second half of the input: do the factors of the first half's updates change?"
    if not bench.timed:
        return Finding(name, question, test, None, "spike times have no steps")
    if not bench.by_step:
        return Finding(name, question, test, True, "its update is no sum over steps")
    half = (len(bench.setup.signal) + 1) // 2
    outcome = Trial(bench.setup).run(signal=bench.other_signal(steps=slice(half, None)))
    changed = bench.parts_changed(outcome, (slice(half), slice(None)))
    return Finding(name, question, test, bool(changed), bench.named(changed) if changed else "")


def _later_steps_streamed(bench: Bench) -> Finding:
    name, question = "later_steps_streamed", "later time steps, in a stream"
    test = "another second half of a stream: do the first half's updates change?"
    if not bench.timed:
        return Finding(name, question, test, None, "spike times have no steps")
    half = (len(bench.setup.signal) + 1) // 2
    try:
        expected = Trial(bench.setup).stream(bench.setup.signal)
    except UnsupportedError:
        return Finding(name, question, test, True, "it cannot stream: it needs the whole sequence")
    except RequestError as error:  # a rule whose options need more than one step at a time
        return Finding(name, question, test, True, f"it cannot stream: {error}")
    got = Trial(bench.setup).stream(bench.other_signal(steps=slice(half, None)))
    changed = {
        index
        for mine, theirs in zip(got[:half], expected[:half], strict=True)
        for index, (one, other) in enumerate(zip(mine, theirs, strict=True))
        if not same(one, other)
    }
    return Finding(name, question, test, bool(changed), bench.named(changed) if changed else "")


def _other_samples(bench: Bench) -> Finding:
    name, question = "other_samples", "other samples of the batch"
    test = "all samples but the first are others: do the factors of the first one's updates change?"
    if not bench.separable:
        return Finding(name, question, test, True, "its update is no sum over samples")
    signal = bench.other_signal(samples=slice(1, None))
    labels = bench.setup.labels.clone()
    labels[1:] = (labels[1:] + 1) % _classes(bench)
    outcome = Trial(bench.setup).run(signal=signal, labels=labels)
    changed = bench.parts_changed(outcome, (slice(None), slice(1)))
    return Finding(name, question, test, bool(changed), bench.named(changed) if changed else "")


def _labels(bench: Bench) -> list[Finding]:
    labels = (bench.setup.labels + 1) % _classes(bench)
    by_any = bench.changed(Trial(bench.setup).run(labels=labels))
    by_output = bench.changed(Trial(bench.setup).run(output_labels=labels))
    hidden = [index for index in by_output if index < len(bench.layers) - 1]
    return [
        Finding("labels", "the labels", "other labels", bool(by_any), bench.named(by_any) if by_any else ""),
        Finding(
            "output_error",
            "the error of the network's output, in hidden layers",
            "other labels for the network's output, and for no layer's own read-out",
            bool(hidden),
            bench.named(hidden) if hidden else "",
        ),
    ]


def _real_errors(bench: Bench) -> Finding:
    sizes = [torch.cat([f.credit.abs().flatten() for f in log]).unique() if log else None for log in bench.base.factors]
    real = [index for index, found in enumerate(sizes) if found is None or int((found > 0).sum()) > 1]
    detail = bench.named(real) if real else "-1, 0 or 1 times one size a layer"
    test = "the sizes of a layer's errors at its neurons: is there more than one?"
    return Finding("real_errors", "errors are real numbers", test, bool(real), detail)


def _classes(bench: Bench) -> int:
    return len(bench.layers[-1].weight)
