"""The bits of a learning engine: on which grids its traces and synaptic variables lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onchip.chips.bits import bits_of
from onchip.chips.grammar import Program, Trace
from onchip.chips.profile import Chip
from onchip.errors import require
from onchip.kernels.grid import Rounding, power_of_two, rounded

__all__ = ["Precision"]


@dataclass(frozen=True)
class Precision:
    """Bits and rounding of traces, weights and tags; None as a number of bits means exact.

    A trace takes 2^bits values from 0 on, unless traces are signed; weights and tags have a sign beside their bits. The
    distance between adjacent values is a power of two. What exceeds the largest value saturates.

    Args:
        trace_bits: Bits of a trace.
        weight_bits: Bits of a weight.
        tag_bits: Bits of a tag.
        rounding: At random, to the nearest value, or down.
        signed: Whether traces have a sign.
        bounds: Largest value of each variable, by its name, such as `w`, `t` or `y1`. Where it is left out: for a
            trace that spikes feed, what it tends to if there is a spike at each time step, impulse / (1 - decay); else
            1.
        seed: Seed of the rounding.

    Raises:
        RequestError: A number of bits below 1, or a largest value that is not above 0.
    """

    trace_bits: int | None = None
    weight_bits: int | None = None
    tag_bits: int | None = None
    rounding: Rounding = "stochastic"
    signed: bool = False
    bounds: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("trace_bits", "weight_bits", "tag_bits"):
            value = getattr(self, name)
            require(value is None or value >= 1, self, name, value, "at least 1 bit, or none")
        for name, bound in self.bounds.items():
            require(bound > 0, self, f"bounds[{name!r}]", bound, "a largest value above 0")

    @classmethod
    def of(cls, chip: Chip, *, bounds: Mapping[str, float] | None = None, seed: int = 0) -> Precision:
        """The bits and the rounding of a chip.

        Raises:
            UnsupportedError: Its profile does not say how it rounds, or its synapses are analog.
        """
        bits = bits_of(chip)
        widths = bits.trace, bits.weight, bits.tag
        return cls(*widths, rounding=bits.rounding, signed=bits.signed_trace, bounds=bounds or {}, seed=seed)

    @property
    def exact(self) -> bool:
        """Whether nothing is rounded."""
        return self.trace_bits is None and self.weight_bits is None and self.tag_bits is None


class Grids:
    """The grids of the variables of one layer.

    Args:
        precision: The bits.
        program: The program whose traces and variables are rounded.
    """

    def __init__(self, precision: Precision, program: Program) -> None:
        self._precision = precision
        self._generator = torch.Generator().manual_seed(precision.seed)
        self._grids: dict[str, tuple[float, int, int]] = {}
        for name, bits in (("w", precision.weight_bits), ("t", precision.tag_bits)):
            if bits is not None:
                self._grids[name] = self._grid(name, bits, 1.0, signed=True)
        if precision.trace_bits is not None:
            for trace in program.traces:
                self._grids[trace.name] = self._grid(
                    trace.name, precision.trace_bits, _reach(trace), signed=precision.signed
                )

    def __call__(self, name: str, values: Tensor) -> Tensor:
        """A variable's values on its grid; the values themselves where it is exact."""
        if name not in self._grids:
            return values
        quantum, least, largest = self._grids[name]
        rounding, generator = self._precision.rounding, self._generator
        return rounded(values, quantum, least, largest, rounding=rounding, generator=generator)

    def _grid(self, name: str, bits: int, reach: float, *, signed: bool) -> tuple[float, int, int]:
        states = 2**bits - 1
        bound = self._precision.bounds.get(name, reach)
        quantum = float(power_of_two(torch.tensor(bound / states, dtype=torch.float64)))
        return quantum, -states if signed else 0, states


def _reach(trace: Trace) -> float:
    """The largest value of a trace that spikes feed."""
    if trace.written or trace.decay == 1.0:
        return 1.0
    return trace.impulse / (1.0 - trace.decay) or 1.0
