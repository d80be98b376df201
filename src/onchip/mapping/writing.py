"""What the program of the postsynaptic neurons writes into their traces, and how expressions read it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from onchip.chips.engine import representable
from onchip.chips.grammar import POST_TRACES, Factor
from onchip.chips.profile import FIXED, SUM_OF_PRODUCTS, Chip
from onchip.errors import UnsupportedError
from onchip.learning.description import PostFactor, SynapseDescription, Term
from onchip.mapping.setting import Setting
from onchip.mapping.verdict import Written

__all__ = ["Values", "written_values"]

Key = tuple[tuple[PostFactor, ...], float]
"""Factors and a constant, whose product is a value."""


@dataclass(frozen=True)
class Values:
    """The values of one layer.

    Args:
        written: What is written, trace by trace.
        scales: The scale of the products of each term, by its factors and its own scale.
    """

    written: tuple[Written, ...]
    scales: dict[tuple[tuple[PostFactor, ...], float], tuple[float, float]]

    @property
    def gate(self) -> str:
        """The trace that is 1 at the closing time step only."""
        return next(each.trace for each in self.written if each.part == "gate")

    def scale(self, term: Term) -> float:
        """The size of the scale of a term's products, without what the written value has of it."""
        return self.scales[term.post, abs(term.scale)][0]

    def readings(self, term: Term) -> Iterator[tuple[tuple[Factor, ...], float]]:
        """Factors that give the value of a term as a sum, each with its sign."""
        return self._read(term.post, self.scales[term.post, abs(term.scale)][1])

    def slope(self, term: Term) -> tuple[Factor, ...]:
        """The factors of a term but the error."""
        ((factors, _),) = self._read(slopes(term.post), 1.0)
        return factors

    def error(self, term: Term) -> Iterator[tuple[tuple[Factor, ...], float]]:
        """The error of a term, as `readings`."""
        return self._read(errors(term.post), 1.0)

    def _read(self, factors: tuple[PostFactor, ...], gain: float) -> Iterator[tuple[tuple[Factor, ...], float]]:
        for each in self.written:
            if (each.factors, each.gain) == (factors, gain):
                yield (
                    (Factor(each.trace, -1.0 if each.part == "offset" else 0.0),),
                    -1.0 if each.part == "negative" else 1.0,
                )


def written_values(synapse: SynapseDescription, chip: Chip, setting: Setting, *, gated: bool) -> Values:
    """Chooses what is written into which trace.

    Where traces are unsigned, a value that may be negative takes two traces, its positive and its negative part. If
    there are not enough, it takes one trace plus 1, which expressions subtract again; its scale then keeps it above 0.

    Args:
        synapse: What the rule does.
        chip: The chip.
        setting: How it trains.
        gated: Whether a trace marks the closing time step.

    Raises:
        UnsupportedError: There are not enough traces.
    """
    bits = chip.engine.mantissa_bits.value
    scales: dict[Key, tuple[float, float]] = {}
    values: dict[Key, bool] = {}  # whether it may be negative
    for term in (*synapse.update.terms, *synapse.update.bias):
        if term.eligibility:
            values |= {(slopes(term.post), 1.0): False, (errors(term.post), 1.0): True}
            scales[term.post, abs(term.scale)] = setting.lr * abs(term.scale), 1.0
        else:
            scale = fitting(setting.lr * abs(term.scale), bits)
            scales[term.post, abs(term.scale)] = scale
            values[term.post, scale[1]] = True
    names = _names(chip)
    signed = sum(values.values())
    any_sign = chip.traces.signed.value is True or chip.engine.grammar.value == FIXED
    paired = not any_sign and len(values) + signed + gated <= len(names)
    if len(values) + gated > len(names):
        raise UnsupportedError(
            f"{len(values) + gated} values of the postsynaptic neuron at each time step; the chip has {len(names)} "
            "traces that its program writes"
        )
    free = iter(names)
    written: list[Written] = []
    for (factors, gain), may_be_negative in values.items():
        for part in _parts(may_be_negative, paired=paired, signed=any_sign):
            written.append(Written(next(free), part, factors, gain, at_end=synapse.update.per_sequence))
    if gated:
        written.append(Written(next(free), "gate"))
    return Values(tuple(written), scales)


def slopes(factors: tuple[PostFactor, ...]) -> tuple[PostFactor, ...]:
    """The factors but the errors."""
    return tuple(factor for factor in factors if factor.name == "slope")


def errors(factors: tuple[PostFactor, ...]) -> tuple[PostFactor, ...]:
    """The errors among factors."""
    return tuple(factor for factor in factors if factor.name != "slope")


def fitting(scale: float, bits: int | None) -> tuple[float, float]:
    """A scale of a mantissa of so many bits, and what a number has to be multiplied by besides.

    Example:
        >>> fitting(0.25, 4), fitting(0.3, 4)
        ((0.25, 1.0), (0.25, 1.2))
    """
    if representable(scale, bits):
        return scale, 1.0
    power = 2.0 ** math.floor(math.log2(scale))
    return power, scale / power


Part = Literal["positive", "negative", "signed", "offset", "gate"]


def _parts(may_be_negative: bool, *, paired: bool, signed: bool) -> tuple[Part, ...]:
    if signed or not may_be_negative:
        return ("signed",)
    return ("positive", "negative") if paired else ("offset",)


def _names(chip: Chip) -> tuple[str, ...]:
    """The traces that a neuron's program may write."""
    if chip.engine.grammar.value == SUM_OF_PRODUCTS:
        allowed = chip.neurons.written.value or ()
        return tuple(name for name in POST_TRACES if name in allowed)[: chip.traces.post.value or 0]
    return POST_TRACES
