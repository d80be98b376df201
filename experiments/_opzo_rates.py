"""Learning rates of direct rules in long runs: which were tried, which is best, which are still to be tried.

They are chosen per rule and network on 3,000 validation images of Fashion-MNIST, after training on 4,000 others for 4
epochs, with a seed that is used for nothing else. What is best in so short a run may be too high for a long one: the
rate below the best one, and rates within one standard error of the best, are compared again, on 9,000 validation images
after 2 epochs on the other 51,000, and with a second seed where that leaves them within a standard error.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from _records import train_missing
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read
from onchip.training.resolved import Given

__all__ = ["BASE", "FLOAT32", "THIRD", "Rates", "third", "with_rule"]

FLOAT32 = RunConfig(
    data="fashion-mnist", validation=0.0, schedule="cosine", steps=4, batch_size=32, optimizer="sgd", momentum=0.9
)
BASE = replace(FLOAT32, precision="bfloat16")
THIRD = "THIRD"  # of the training steps

TUNING_SEED, SECOND_SEED = 1000, 1001
LEARNING_RATES = (0.0125, 0.025, 0.05, 0.1, 0.2)
HIGHEST = 0.8
"""Where a grid ends that grows because its best rate is at its upper edge."""

CLOSE, STILL_CLOSE = 0.0067, 0.0033
"""The standard errors of an accuracy of 84% over 3,000 images, and of one of 89% over 9,000."""


def third(size: int, epochs: int) -> int:
    """A third of the training steps, rounded up."""
    steps = -(-size // BASE.batch_size) * epochs
    return -(-steps // 3)


def with_rule(config: RunConfig, rule: str) -> RunConfig:
    """The run of a rule, with the training steps that its options count."""
    return replace(config, rule=rule.replace(THIRD, str(third(config.train_size or 60_000, config.epochs))))


@dataclass(frozen=True)
class Rates:
    """The records of two files, from which learning rates are chosen.

    Attributes:
        short: The file of short runs.
        long: The file of longer runs.
        precision: Of the products in short runs; those of longer runs are in bfloat16.
        given: Objects that a run has in place of names.
    """

    short: Path
    long: Path
    precision: Literal["float32", "bfloat16"] = "float32"
    given: Callable[[RunConfig], Given] = lambda _: Given()

    def train(self, net: str, rules: tuple[str, ...], compare: tuple[str, ...]) -> None:
        """Trains the runs that are missing.

        Args:
            net: The network.
            rules: The rules of short runs.
            compare: Those whose best rates longer runs compare.
        """
        train_missing(self.short, self.tuning(net, rules), given=self.given)
        train_missing(self.long, self.tuning_again(net, compare), given=self.given)

    def tuning(self, net: str, rules: tuple[str, ...]) -> Iterator[RunConfig]:
        """The short runs; they go on upwards while the best rate is the highest."""
        for rule in rules:
            rates = list(LEARNING_RATES)
            for lr in rates:
                config = replace(FLOAT32, net=net, train_size=4_000, epochs=4, validation=0.05, seed=TUNING_SEED, lr=lr)
                yield with_rule(replace(config, precision=self.precision), rule)
                if lr == rates[-1] < HIGHEST and best(self.tried(net, rule)) == lr:
                    rates.append(2.0 * lr)

    def tuning_again(self, net: str, rules: tuple[str, ...]) -> Iterator[RunConfig]:
        """The longer runs that choose among the best rates of the short ones; of those still close, with two seeds.

        Like the short ones, they go on while the best rate is at the edge of what was tried.
        """
        for rule in rules:
            rates = self.compare_first(net, rule)
            if len(rates) == 1:
                continue
            while rates:
                yield from (longer(net, rule, lr, TUNING_SEED) for lr in rates)
                found = self.tried_again(net, rule, TUNING_SEED)
                if len(again := close(found, STILL_CLOSE)) > 1:
                    yield from (longer(net, rule, lr, SECOND_SEED) for lr in again)
                ends = {min(found): min(found) / 2.0, max(found): max(found) * 2.0}
                beside = ends.get(self.best(net, rule))
                rates = [beside] if beside in self.tried(net, rule) else []

    def compare_first(self, net: str, rule: str) -> list[float]:
        """The rates with which longer runs begin: those close to the best, and the one below it."""
        found = self.tried(net, rule)
        below = [lr for lr in found if lr < best(found)]
        return sorted({*close(found, CLOSE), *below[-1:]})

    def tried(self, net: str, rule: str) -> dict[float, float]:
        """Validation accuracy by learning rate, after the short runs."""
        config = with_rule(replace(BASE, train_size=4_000, epochs=4), rule)
        return validated(records(self.short), net, config.rule)

    def tried_again(self, net: str, rule: str, seed: int) -> dict[float, float]:
        """Validation accuracy by learning rate, after the longer runs."""
        config = with_rule(replace(BASE, train_size=51_000, epochs=2), rule)
        return validated([record for record in records(self.long) if record.seed == seed], net, config.rule)

    def best(self, net: str, rule: str) -> float:
        """The best learning rate of the longer runs, where there are some, or of the short ones."""
        first, second = (self.tried_again(net, rule, seed) for seed in (TUNING_SEED, SECOND_SEED))
        return best({lr: first[lr] + second[lr] for lr in second} or first or self.tried(net, rule))

    def compared(self, net: str, rule: str) -> list[tuple[str, ...]]:
        """Cells for each rate that longer runs compared: rate, three accuracies in percent, whether it is chosen."""
        found = self.tried(net, rule), *(self.tried_again(net, rule, seed) for seed in (TUNING_SEED, SECOND_SEED))
        rows = []
        for lr in found[1]:
            cells = (f"{100 * of[lr]:.2f}" if lr in of else "" for of in found)
            rows.append((f"{lr:g}", *cells, "chosen" if lr == self.best(net, rule) else ""))
        return rows


def longer(net: str, rule: str, lr: float, seed: int) -> RunConfig:
    """A longer run that helps to choose a learning rate."""
    config = with_rule(replace(BASE, net=net, train_size=51_000, epochs=2, seed=seed, lr=lr), rule)
    return replace(config, train_size=None, validation=0.15)


def records(path: Path) -> list[Record]:
    """The records of a file, which is read again when it has grown."""
    return _read(path, path.stat().st_size if path.exists() else 0)


@functools.lru_cache(maxsize=8)
def _read(path: Path, size: int) -> list[Record]:
    return read(path)


def validated(records: list[Record], net: str, rule: str) -> dict[float, float]:
    """Validation accuracy of a rule on a network by learning rate, in rising order of rates."""
    of = [record for record in records if (record.settings["net"], record.settings["rule"]) == (net, rule)]
    return dict(sorted((float(record.settings["lr"]), record.validation_accuracy or 0.0) for record in of))


def best(accuracies: dict[float, float]) -> float:
    """The learning rate with the best accuracy; of equals, the smallest."""
    return max(accuracies, key=lambda lr: (accuracies[lr], -lr))


def close(accuracies: dict[float, float], error: float) -> list[float]:
    """The learning rates whose accuracy is within one standard error of the best."""
    return [lr for lr, reached in accuracies.items() if reached >= max(accuracies.values()) - error]
