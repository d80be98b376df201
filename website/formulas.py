"""What a training step costs as a formula, found from counts of the ledger on networks of different sizes."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import torch

from onchip import nn, rules
from onchip.cost.bill import Bill
from onchip.cost.estimate import Pricing
from onchip.errors import UnsupportedError
from onchip.nn.signals import SPIKE_TRAINS, TIME_STEPS
from onchip.training import registry

COUNTS = {
    "weights_transported": "weights transported",
    "transport_bits": "bits transported",
    "feedback_memory": "numbers stored for feedback",
    "products_forward": "forward products",
    "products_error": "error products",
    "products_update": "update products",
    "stored_activity_peak": "activity stored until an update, at most",
    "random_draws": "random numbers",
}
"""Counts of the ledger that get a formula, and what they are called."""

SIZES = (
    *((5, 4, 3, 2), (7, 4, 3, 2), (5, 9, 3, 2), (5, 4, 8, 2), (5, 4, 3, 7), (7, 9, 3, 2)),
    *((5, 9, 8, 2), (5, 4, 8, 7), (5, 9, 3, 7), (6, 11, 13, 3)),
)
"""Inputs, neurons of two hidden layers, and classes; the last is left to confirm the formula."""

MONOMIALS = ("n₀ n₁", "n₁ n₂", "n₂ c", "n₁ c", "n₀", "n₁", "n₂", "c", "1")
SAMPLES, STEPS, TRAIN_STEPS = 2, 2, 10_000


@cache
def formulas(rule: str) -> dict[str, str]:
    """For each count its formula in layer sizes n₀, n₁, n₂, classes c, time steps T and samples B of a batch.

    A count that is no such sum is given as a number for one network.

    Args:
        rule: Name of the rule, with its default options.
    """
    return {name: _formula(rule, name) for name in COUNTS}


def streams(rule: str) -> bool:
    """Whether the rule learns while the input arrives; its stored activity is then that of a stream."""
    return _priced(rule, SIZES[0], STEPS, SAMPLES)[1]


@cache
def _priced(rule: str, size: tuple[int, int, int, int], steps: int, samples: int) -> tuple[Bill, bool]:
    torch.manual_seed(0)
    for neuron, readout, kind in ((nn.LIF, (), TIME_STEPS), (nn.Stochastic, (nn.MeanReadout,), SPIKE_TRAINS)):
        layers = [nn.Linear(size[0], size[1]), neuron(), nn.Linear(size[1], size[2]), neuron()]
        model = nn.Sequential(*layers, nn.Linear(size[2], size[3]), *(make() for make in readout))
        signal = (torch.rand(steps, samples, size[0]) < 0.5).float()
        labels = torch.arange(samples) % size[3]
        loss = registry.loss(None, kind)
        pricing = Pricing(model, kind, signal, labels, loss, samples, TRAIN_STEPS, 32, "horowitz-45nm")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # layers of these sizes are often silent
                price = pricing.price(getattr(rules, rule), rule)
        except UnsupportedError:
            continue
        return price.step, price.streams
    raise UnsupportedError(f"no network of this page can be trained by {rule}")


def step(rule: str, size: tuple[int, int, int, int], steps: int) -> Bill:
    """Counts of one training step of two samples on a chain of two hidden layers."""
    return _priced(rule, size, steps, SAMPLES)[0]


def _count(rule: str, name: str, size: tuple[int, int, int, int], steps: int = STEPS, samples: int = SAMPLES) -> float:
    bill = _priced(rule, size, steps, samples)[0]
    if name == "transport_bits":
        return bill["transport_value_bits"] + bill["transport_index_bits"]
    return bill.get(name, 0)


def _formula(rule: str, name: str) -> str:
    last = SIZES[-1]
    once, twice = (_count(rule, name, last, samples=samples) for samples in (SAMPLES, 2 * SAMPLES))
    if not once and not _count(rule, name, SIZES[0]):
        return "0"
    parts: list[str] = []
    for factor, counted in _by_sample(rule, name, once, twice).items():
        slope = (counted[2 * STEPS] - counted[STEPS]) / STEPS
        for grows, values in (("T", slope), ("", counted[STEPS] - STEPS * slope)):
            text = _sum(values)
            if text is None:
                return f"{once:.4g} for {'-'.join(map(str, last))}, T = {STEPS}, B = {SAMPLES}"
            parts += [_times(f"{factor} {grows}".strip(), text)] if text else []
    return " + ".join(parts)


def _by_sample(rule: str, name: str, once: float, twice: float) -> dict[str, dict[int, np.ndarray]]:
    """Counts for every size and number of time steps, per sample under "B", and for all samples together under ""."""

    def counted(samples: int) -> dict[int, np.ndarray]:
        return {
            steps: np.array([_count(rule, name, size, steps, samples) for size in SIZES])
            for steps in (STEPS, 2 * STEPS)
        }

    first = counted(SAMPLES)
    if np.isclose(twice, 2 * once):
        return {"B": {steps: values / SAMPLES for steps, values in first.items()}}
    if np.isclose(twice, once):
        return {"": first}
    second = counted(2 * SAMPLES)
    each = {steps: (second[steps] - first[steps]) / SAMPLES for steps in first}
    return {"B": each, "": {steps: first[steps] - SAMPLES * each[steps] for steps in first}}


def _sum(values: np.ndarray) -> str | None:
    """A count as a sum of products of sizes; None if it is no such sum with whole coefficients."""
    terms = np.array([_monomials(size) for size in SIZES], dtype=float)
    fitted: list[float] = np.linalg.lstsq(terms[:-1], values[:-1], rcond=None)[0].tolist()
    whole = [round(value) for value in fitted]
    if not np.allclose(terms @ np.array(whole), values, rtol=1e-6, atol=1e-6):
        return None
    parts = [
        str(n) if name == "1" else f"{'' if n == 1 else f'{n} '}{name}"
        for n, name in zip(whole, MONOMIALS, strict=True)
        if n
    ]
    return " + ".join(parts).replace("+ -", "- ")


def _times(factor: str, text: str) -> str:
    if not text or not factor:
        return text
    return f"{factor} ({text})" if " + " in text else f"{factor} {text}"


def _monomials(size: tuple[int, int, int, int]) -> tuple[int, ...]:
    inputs, first, second, classes = size
    return (inputs * first, first * second, second * classes, first * classes, *size, 1)
