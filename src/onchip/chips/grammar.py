"""Updates of synapses as sums of products, the grammar of learning engines, as data and as text.

    dz = Σ_i S_i · D_i · Π_j F_ij      for a synaptic variable z

z is the weight w, the delay d or the tag t, a second number of each synapse. S is a number. D says when the product
counts: at a spike of the presynaptic neuron (x0) or of the postsynaptic one (y0), or in every 2^k-th epoch (u_k). F are
traces of the presynaptic neuron (x1, x2) and of the postsynaptic one (y1, y2, y3), spikes and synaptic variables, each
plus a constant, or the sign of that.

Reference: Davies et al. 2018, IEEE Micro 38(1), section "Learning engine"; Lava 0.9, `LoihiLearningRule`.
"""

import math
from dataclasses import dataclass

from onchip.errors import require

__all__ = [
    "DEPENDENCIES",
    "POST_TRACES",
    "PRE_TRACES",
    "PROGRAM",
    "TARGETS",
    "TRACES",
    "VARIABLES",
    "Expression",
    "Factor",
    "Product",
    "Program",
    "Trace",
]

TARGETS = ("w", "d", "t")
PRE_TRACES, POST_TRACES = ("x1", "x2"), ("y1", "y2", "y3")
TRACES = PRE_TRACES + POST_TRACES
SPIKES = ("x0", "y0")
VARIABLES = (*SPIKES, *TRACES, *TARGETS)
DEPENDENCIES = (*SPIKES, *(f"u{k}" for k in range(10)))
PROGRAM = "program:"
"""What the source of a trace begins with that the program of the postsynaptic neuron writes; what it writes follows."""

MANTISSA = 15
"""The largest odd number that is written as a mantissa; other scales are written as decimals."""


@dataclass(frozen=True)
class Trace:
    """A number that each neuron keeps, and that the synapses of it read.

        trace[t] = decay · trace[t-1] + impulse · source[t]

    Args:
        name: x1 or x2 of the presynaptic neuron, y1, y2 or y3 of the postsynaptic one.
        source: The spikes x0 or y0 that feed it; or `program:` and what the neuron's program writes at each time step.
        impulse: What a spike adds; 1 for what a program writes.
        decay: The share that is left after one time step; 0 for what a program writes.

    Raises:
        RequestError: A name, source or number that a trace cannot have.

    Example:
        >>> str(Trace("x1", "x0", 1.0, 0.5))
        'x1[t] = 0.5 * x1[t-1] + x0[t]'
    """

    name: str
    source: str
    impulse: float = 1.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        require(self.name in TRACES, self, "name", self.name, f"one of {', '.join(TRACES)}")
        spikes = self.name[0] + "0"
        require(self.source == spikes or self.written, self, "source", self.source, f"{spikes}, or {PROGRAM}...")
        require(math.isfinite(self.impulse) and self.impulse >= 0, self, "impulse", self.impulse, "at least 0")
        require(0.0 <= self.decay <= 1.0, self, "decay", self.decay, "a share in [0, 1]")
        if self.written:
            require((self.impulse, self.decay) == (1.0, 0.0), self, "decay", self.decay, "0, with impulse=1")

    @property
    def written(self) -> bool:
        """Whether a neuron's program writes it."""
        return self.source.startswith(PROGRAM)

    def __str__(self) -> str:
        if self.written:
            return f"{self.name}[t] = {self.source.removeprefix(PROGRAM).strip()}"
        before = f"{_number(self.decay)} * {self.name}[t-1] + " if self.decay else ""
        return f"{self.name}[t] = {before}{_times(self.impulse)}{self.source}[t]"


@dataclass(frozen=True)
class Factor:
    """A variable plus a constant, or the sign of that.

    Args:
        variable: One of `VARIABLES`.
        plus: The constant.
        sign: Whether the factor is the sign of the sum: -1, 0 or 1.

    Raises:
        RequestError: No such variable, or a constant that is not finite.

    Example:
        >>> str(Factor("w", -1.0)), str(Factor("y1", sign=True))
        ('(w - 1)', 'sgn(y1)')
    """

    variable: str
    plus: float = 0.0
    sign: bool = False

    def __post_init__(self) -> None:
        require(self.variable in VARIABLES, self, "variable", self.variable, f"one of {', '.join(VARIABLES)}")
        require(math.isfinite(self.plus), self, "plus", self.plus, "a finite number")

    def __str__(self) -> str:
        constant = f" {'-' if self.plus < 0 else '+'} {_number(abs(self.plus))}" if self.plus else ""
        text = f"{self.variable}{constant}"
        return f"sgn({text})" if self.sign else f"({text})" if constant else text


@dataclass(frozen=True)
class Product:
    """A number times factors, which counts where the dependency is not 0.

    Args:
        scale: The number, not 0.
        dependency: One of `DEPENDENCIES`.
        factors: The factors; none for the scale alone.

    Raises:
        RequestError: No such dependency, or a scale of 0 or that is not finite.

    Example:
        >>> str(Product(-(2.0**-7), "u0", (Factor("x1"), Factor("y1"))))
        '-2^-7 * u0 * x1 * y1'
    """

    scale: float
    dependency: str
    factors: tuple[Factor, ...] = ()

    def __post_init__(self) -> None:
        require(math.isfinite(self.scale) and self.scale != 0, self, "scale", self.scale, "a finite number but 0")
        require(
            self.dependency in DEPENDENCIES, self, "dependency", self.dependency, f"one of {', '.join(DEPENDENCIES)}"
        )

    @property
    def decimation(self) -> int | None:
        """k of the dependency u_k; None for spikes."""
        return int(self.dependency[1:]) if self.dependency[0] == "u" else None

    def __str__(self) -> str:
        sign = "-" if self.scale < 0 else ""
        return sign + _times(abs(self.scale)) + " * ".join([self.dependency, *map(str, self.factors)])


@dataclass(frozen=True)
class Expression:
    """The change of a synaptic variable: a sum of products; of none for no change.

    Args:
        target: w, d or t.
        products: The products.

    Raises:
        RequestError: No such target.

    Example:
        >>> str(Expression("w", (Product(0.5, "x0", (Factor("y1"),)), Product(-0.5, "y0", (Factor("x1"),)))))
        'dw = 2^-1 * x0 * y1 - 2^-1 * y0 * x1'
    """

    target: str
    products: tuple[Product, ...]

    def __post_init__(self) -> None:
        require(self.target in TARGETS, self, "target", self.target, f"one of {', '.join(TARGETS)}")

    def __str__(self) -> str:
        first, *others = map(str, self.products or ("0",))
        rest = (f" - {text[1:]}" if text.startswith("-") else f" + {text}" for text in others)
        return f"d{self.target} = {first}{''.join(rest)}"

    @property
    def variables(self) -> set[str]:
        """The variables in its factors."""
        return {factor.variable for product in self.products for factor in product.factors}


@dataclass(frozen=True)
class Program:
    """What a learning engine does at the synapses of one layer.

    At each time step, traces are updated first. After each `epoch` time steps, all expressions are evaluated from the
    same values, those before any of the changes, and then added to their variables. u_k is 1 in the epochs whose
    number, counted from 1, is a multiple of 2^k, and 0 in others. x0 and y0 are 1 where there was a spike in the epoch.

    Args:
        traces: The traces, each once.
        expressions: The expressions, at most one for each target.
        epoch: Time steps from one evaluation to the next.

    Raises:
        RequestError: A trace or a target twice, a factor without its trace, or an epoch below 1.

    Example:
        >>> hebb = Expression("w", (Product(2.0**-7, "u0", (Factor("x1"), Factor("y1"))),))
        >>> print(Program((Trace("x1", "x0", 1.0, 0.5), Trace("y1", "y0")), (hebb,)))
        x1[t] = 0.5 * x1[t-1] + x0[t]
        y1[t] = y0[t]
        dw = 2^-7 * u0 * x1 * y1
    """

    traces: tuple[Trace, ...]
    expressions: tuple[Expression, ...]
    epoch: int = 1

    def __post_init__(self) -> None:
        require(self.epoch >= 1, self, "epoch", self.epoch, "at least 1 time step")
        names, targets = [trace.name for trace in self.traces], [each.target for each in self.expressions]
        require(len(set(names)) == len(names), self, "traces", ", ".join(names), "each once")
        require(len(set(targets)) == len(targets), self, "expressions", ", ".join(targets), "each target once")
        missing = (set[str]().union(*(each.variables for each in self.expressions)) & set(TRACES)) - set(names)
        require(not missing, self, "traces", ", ".join(names) or "none", f"also {', '.join(sorted(missing))}")

    def __str__(self) -> str:
        epoch = [f"every {self.epoch} time steps:"] if self.epoch > 1 else []
        return "\n".join([*map(str, self.traces), *epoch, *map(str, self.expressions)])

    def trace(self, name: str) -> Trace | None:
        """The trace of a name, or None."""
        return next((trace for trace in self.traces if trace.name == name), None)

    def expression(self, target: str) -> Expression:
        """The change of a synaptic variable."""
        return next((each for each in self.expressions if each.target == target), Expression(target, ()))


def _times(scale: float) -> str:
    """A positive scale and the sign of multiplication; nothing for 1."""
    if scale == 1.0:
        return ""
    odd, exponent = _binary(scale)
    if odd > MANTISSA or exponent >= 0:
        return f"{_number(scale)} * "
    return f"{f'{odd} * ' if odd > 1 else ''}2^{exponent} * "


def _binary(scale: float) -> tuple[int, int]:
    """An odd number and the power of 2 whose product is a positive number."""
    odd, denominator = scale.as_integer_ratio()
    exponent = (odd & -odd).bit_length() - 1
    return odd >> exponent, exponent - (denominator.bit_length() - 1)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
