"""What the seeds of one rule come to: means, spreads and counts, taken from the records alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from onchip.records import Record

__all__ = ["Spread", "Summary", "count", "summarise", "title"]


@dataclass(frozen=True)
class Spread:
    """Values of several seeds.

    Args:
        values: one a seed, in the order in which the runs finished; at least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds (n - 1); None for a single seed."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Summary:
    """One rule over its seeds. All but the counts is None when no run succeeded.

    Args:
        label: the rule as it was asked for.
        runs: runs that finished, well or not.
        succeeded: runs that finished well; the figures below are theirs.
        test: test accuracy in [0, 1].
        validation: validation accuracy in [0, 1]; None without validation samples too.
        transported: weights copied from forward to feedback weights, a training step.
        forward: synaptic products of the forward pass, a training sample.
        error: synaptic products that carry errors to layers below, a training sample.
        update: synaptic products that make weight updates, a training sample.
        speed: training samples a second.
    """

    label: str
    runs: int
    succeeded: int
    test: Spread | None = None
    validation: Spread | None = None
    transported: Spread | None = None
    forward: Spread | None = None
    error: Spread | None = None
    update: Spread | None = None
    speed: Spread | None = None


def summarise(records: Sequence[Record]) -> list[Summary]:
    """A summary a rule, in the order in which the rules first appear."""
    labels = list(dict.fromkeys(record.label for record in records))
    return [_summary(label, [record for record in records if record.label == label]) for label in labels]


def title(records: Sequence[Record]) -> str:
    """What the runs have in common: data and sizes, network, neuron, encoder, time steps, epochs."""
    first = records[0]
    sizes = f"{first.train_size:,} training, {first.validation_size:,} validation, {first.test_size:,} test samples"
    steps = "" if first.steps is None else f"T = {first.steps}, "
    return (
        f"{first.data} ({sizes}), {first.network} of {first.neuron} neurons, {first.encoder} input, "
        f"{steps}{first.epochs} {'epoch' if first.epochs == 1 else 'epochs'}"
    )


def count(value: float) -> str:
    """A count to four digits, with k, M, G for thousands, millions, 10^9.

    Example:
        >>> count(0), count(18496), count(1234567)
        ('0', '18.5k', '1.235M')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit * 0.99995:  # rounds to 1.000 of this unit
            return f"{value / unit:.4g}{name}"
    return f"{value:.4g}"


def _summary(label: str, records: Sequence[Record]) -> Summary:
    good = [record for record in records if record.status == "ok"]
    return Summary(
        label,
        len(records),
        len(good),
        _spread([record.test_accuracy for record in good]),
        _spread([record.validation_accuracy for record in good]),
        _spread([record.ledger["weights_transported"] / record.ledger["steps"] for record in good]),
        _spread([_a_sample(record, "products_forward") for record in good]),
        _spread([_a_sample(record, "products_error") for record in good]),
        _spread([_a_sample(record, "products_update") for record in good]),
        _spread([record.samples_per_second for record in good]),
    )


def _a_sample(record: Record, count: str) -> float:
    """A ledger's count over all of training, divided by the samples that went through training."""
    return record.ledger[count] / (len(record.history) * record.train_size)


def _spread(values: Sequence[float | None]) -> Spread | None:
    present = tuple(value for value in values if value is not None)
    return Spread(present) if present else None
