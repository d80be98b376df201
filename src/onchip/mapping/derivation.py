"""The update of a rule at the synapses of a layer, written in the grammar of a chip's learning engine."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from onchip.chips.grammar import PRE_TRACES, PROGRAM, Expression, Factor, Product, Program, Trace
from onchip.chips.profile import Chip
from onchip.errors import UnsupportedError
from onchip.learning.description import SynapseDescription, Term
from onchip.mapping.setting import Received, Setting
from onchip.mapping.verdict import Derivation, Timing
from onchip.mapping.writing import Values, written_values

__all__ = ["derive"]

ALWAYS = "u0"
"""The dependency of what counts at every time step."""


def derive(synapse: SynapseDescription, chip: Chip, setting: Setting, received: Received = "spikes") -> Derivation:
    """The update in the grammar.

    The gradient is a sum over time steps of scale · pre ⊗ post. A presynaptic factor becomes traces: one filter is one
    trace, two filters in series with decays a > b are the difference of two, a/(a-b) x_a - b/(a-b) x_b. The neurons'
    program writes the postsynaptic factors; see `written_values`. Weights that are constant within a sequence need a
    tag that collects the sum, until a closing time step after the sequence, without input or error, moves it into the
    weight.

    Args:
        synapse: What the rule does.
        chip: The chip.
        setting: How it trains.
        received: What arrives at the synapses.

    Raises:
        UnsupportedError: The update is no sum of products that traces can give; the message says why.
    """
    update = synapse.update
    if not update.terms:
        raise UnsupportedError("the update is no sum of products of a presynaptic and a postsynaptic factor")
    timing = _timing(synapse, chip, setting)
    values = written_values(synapse, chip, setting, gated=timing == "closing time step")
    made = _Made(synapse, setting, values, timing == "closing time step")
    program = made.program(update.terms, received)
    return Derivation(synapse.layer, program, made.program(update.bias, None), values.written, timing)


def _timing(synapse: SynapseDescription, chip: Chip, setting: Setting) -> Timing:
    update = synapse.update
    if update.per_sequence:
        return "last time step"
    if setting.update == "step" or any(term.eligibility for term in update.terms):
        return "every time step"
    if chip.engine.sequence.value:
        return "stored sequence"
    return "closing time step" if chip.synapses.state_bits.value else "every time step"


@dataclass(frozen=True)
class _Reading:
    """One of the summands of a presynaptic factor: a dependency, and a trace with its sign."""

    dependency: str
    factors: tuple[Factor, ...] = ()
    sign: float = 1.0


@dataclass(frozen=True)
class _Made:
    """Makes programs for the weights and the bias of one layer."""

    synapse: SynapseDescription
    setting: Setting
    values: Values
    gated: bool

    def program(self, terms: tuple[Term, ...], received: Received | None) -> Program:
        """The program of some terms; None as input is that of a bias, which is 1 at every time step."""
        traces: dict[Trace, str] = {}
        change: list[Product] = []
        kept: list[Product] = []
        for term in terms:
            readings = self._readings(term, received, traces)
            if not term.eligibility:
                change += self._products(term, readings)
                continue
            if len(term.eligibility) > 1 or len(terms) > 1:
                raise UnsupportedError("several states per synapse besides the weight; there is one, the tag")
            (decay,) = term.eligibility
            kept = [Product(r.sign, r.dependency, (*r.factors, *self.values.slope(term))) for r in readings]
            change = [
                Product(-self.setting.lr * sign * scale, dependency, (*factors, *error))
                for error, sign in self.values.error(term)
                for scale, dependency, factors in [
                    (decay, ALWAYS, (Factor("t"),)),
                    *((each.scale, each.dependency, each.factors) for each in kept),
                ]
            ]
            kept.append(Product(decay - 1.0, ALWAYS, (Factor("t"),)))
        named = [Trace(name, each.source, each.impulse, each.decay) for each, name in traces.items()]
        written = [Trace(each.trace, f"{PROGRAM} {each}") for each in self.values.written]
        return Program((*named, *written), tuple(self._expressions(change, kept)))

    def _expressions(self, change: list[Product], kept: list[Product]) -> Iterator[Expression]:
        if not self.gated:
            yield Expression("w", tuple(change))
            if kept:
                yield Expression("t", tuple(kept))
            return
        gate = Factor(self.values.gate)
        yield Expression("t", (*change, Product(-1.0, ALWAYS, (gate, Factor("t")))))
        yield Expression("w", (Product(1.0, ALWAYS, (gate, Factor("t"))),))

    def _products(self, term: Term, readings: list[_Reading]) -> list[Product]:
        scale = -self.values.scale(term) * math.copysign(1.0, term.scale)
        return [
            Product(scale * sign * reading.sign, reading.dependency, (*reading.factors, *factors))
            for factors, sign in self.values.readings(term)
            for reading in readings
        ]

    def _readings(self, term: Term, received: Received | None, traces: dict[Trace, str]) -> list[_Reading]:
        """The presynaptic factor of a term; new traces are added to `traces`."""
        decays = sorted((decay for decay in term.filters if decay), reverse=True)

        def reading(decay: float, impulse: float = 1.0, sign: float = 1.0) -> _Reading:
            trace = Trace("x1", "x0", impulse, decay)
            if trace not in traces:
                if len(traces) == len(PRE_TRACES):
                    raise UnsupportedError(f"more than {len(PRE_TRACES)} traces of the presynaptic neuron")
                traces[trace] = PRE_TRACES[len(traces)]
            return _Reading(ALWAYS, (Factor(traces[trace]),), sign)

        if term.input_mean:
            return [_Reading(ALWAYS)] if received is None else [reading(1.0, 1.0 / self.setting.steps)]
        match decays:
            case []:
                if received is None:
                    return [_Reading(ALWAYS)]
                return [_Reading("x0") if received == "spikes" else reading(0.0)]
            case [decay]:
                return [reading(decay)]
            case [slow, fast] if slow > fast:
                return [reading(slow, slow / (slow - fast)), reading(fast, fast / (slow - fast), -1.0)]
        raise UnsupportedError(
            f"{len(decays)} leaky filters in series with decays {', '.join(f'{d:g}' for d in decays)}; traces give one "
            "filter, or two with different decays"
        )
