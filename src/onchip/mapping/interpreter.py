"""An interpreter of the grammar of learning engines: it changes weights by a program, one time step after another."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from onchip.chips.grammar import TARGETS, Expression, Factor, Product, Program
from onchip.errors import RequestError, UnsupportedError
from onchip.kernels.trace import trace as traced
from onchip.mapping.precision import Grids, Precision

__all__ = ["Interpreter"]


class Interpreter:
    """The synapses of one layer in a learning engine.

    At each time step the traces are updated, x[t] = decay · x[t-1] + impulse · x0[t]; at the end of each epoch the
    expressions of the program are evaluated, all from the values before any change, and added to their variables:

        z <- z + Σ_i S_i · D_i · Π_j F_ij

    Every trace of spikes is computed here, from the spikes. What the program of the postsynaptic neuron writes into y1,
    y2 or y3 is given at each time step. With few bits, each trace is rounded after each time step, and each synaptic
    variable after each epoch.

    Args:
        program: What the engine does.
        weight: W (out, in), which is changed in place.
        precision: Its bits; exact by default.

    Attributes:
        variables: Weights `w` (out, in), and tags `t` and delays `d` of that shape, which begin at 0, if the program
            has any.
        traces: Traces by name, (in,) or (out,).

    Raises:
        RequestError: The weight is no matrix.
        UnsupportedError: The program changes delays, which no network here has.

    Example:
        >>> from onchip.chips import Program, Trace, parse
        >>> hebb = Program((Trace("x1", "x0", decay=0.5), Trace("y1", "y0")), (parse("dw = 2^-2 * u0 * x1 * y1"),))
        >>> synapses = Interpreter(hebb, torch.zeros(1, 1))
        >>> synapses.run(torch.tensor([[1.0], [0.0]]), {"y0": torch.tensor([[0.0], [1.0]])})
        >>> synapses.variables["w"]  # a trace of 1/2 when the neuron fires
        tensor([[0.1250]])

    Reference: Davies et al. 2018 (Loihi, IEEE Micro 38(1)), section on the learning engine.
    """

    def __init__(self, program: Program, weight: Tensor, precision: Precision = Precision()) -> None:
        if weight.dim() != 2:
            raise RequestError(f"an interpreter got weights of shape {tuple(weight.shape)}; expected (out, in)")
        if program.expression("d").products:
            raise UnsupportedError("an interpreter got a program that changes delays; expected changes of w and t only")
        self.program = program
        self._on_grid = Grids(precision, program)
        self._exact = precision.exact
        self.variables = {"w": weight}
        used = set[str]().union(*(each.variables | {each.target} for each in program.expressions))
        self.variables |= {name: torch.zeros_like(weight) for name in TARGETS if name in used and name != "w"}
        self.traces: dict[str, Tensor] = {}
        self._epochs = self._steps = 0
        self._fired: dict[str, Tensor] = {}
        self.rest()
        weight.copy_(self._on_grid("w", weight))

    def rest(self) -> None:
        """Sets all traces to 0 and begins to count epochs, as before a new sample; weights and tags stay."""
        weight = self.variables["w"]
        sizes = {"x": weight.shape[1], "y": weight.shape[0]}
        self.traces = {each.name: weight.new_zeros(sizes[each.name[0]]) for each in self.program.traces}
        self._fired = {name: weight.new_zeros(size) for name, size in (("x0", sizes["x"]), ("y0", sizes["y"]))}
        self._epochs = self._steps = 0

    def run(self, spikes: Tensor, post: Mapping[str, Tensor]) -> None:
        """Runs a sequence.

        Args:
            spikes: x0 of the presynaptic neurons, (T, in): 0 or 1, or the number that a graded spike carries.
            post: What the postsynaptic neurons give, (T, out) each: their spikes `y0`, where the program uses them, and
                each trace that their program writes, by its name.

        Raises:
            RequestError: Something that the program uses is missing, or of another shape.
        """
        self._check(spikes, post)
        if self._exact and self.program.epoch == 1 and not self._reads_synapses():
            self._run_at_once(spikes, post)
            return
        for t in range(len(spikes)):
            self._step(spikes[t], {name: values[t] for name, values in post.items()})

    def step(self, spikes: Tensor, post: Mapping[str, Tensor]) -> None:
        """Runs one time step: as `run`, without the axis of time.

        Raises:
            RequestError: As `run`.
        """
        self.run(spikes.unsqueeze(0), {name: values.unsqueeze(0) for name, values in post.items()})

    def _step(self, spikes: Tensor, post: Mapping[str, Tensor]) -> None:
        given = {"x0": spikes, **post}
        for trace in self.program.traces:
            if trace.written:
                value = given[trace.name]
            else:
                value = trace.decay * self.traces[trace.name] + trace.impulse * given[trace.source]
            self.traces[trace.name] = self._on_grid(trace.name, value)
        for name, fired in self._fired.items():
            if name in given:
                now = given[name]
                fired.copy_(torch.where(now.abs() > fired.abs(), now, fired))
        self._steps += 1
        if self._steps == self.program.epoch:
            self._steps = 0
            self._epochs += 1
            self._apply()
            for fired in self._fired.values():
                fired.zero_()

    def _apply(self) -> None:
        """Evaluates all expressions from the present values, and then adds their results."""
        values = {name: self._shaped(name, value) for name, value in (self.traces | self._fired).items()}
        values |= self.variables
        changes = {each.target: self._change(each, values) for each in self.program.expressions}
        for name, change in changes.items():
            if change is not None:
                variable = self.variables[name]
                variable.copy_(self._on_grid(name, variable + change))

    def _change(self, expression: Expression, values: Mapping[str, Tensor]) -> Tensor | None:
        change: Tensor | None = None
        for product in expression.products:
            if (value := self._product(product, values)) is not None:
                change = value if change is None else change + value
        return change

    def _product(self, product: Product, values: Mapping[str, Tensor]) -> Tensor | None:
        """S · D · Π F, which broadcasts with (out, in); None where D is 0 everywhere."""
        if product.decimation is None:
            value = product.scale * (values[product.dependency] != 0)
        elif self._epochs % 2**product.decimation == 0:
            value = values["w"].new_tensor(product.scale)
        else:
            return None
        # The factors of one side first: fewer products.
        for factor in sorted(product.factors, key=lambda each: values[each.variable].numel()):
            value = value * _factor(factor, values[factor.variable])
        return value

    def _shaped(self, name: str, value: Tensor) -> Tensor:
        return value.unsqueeze(0) if name[0] == "x" else value.unsqueeze(1)  # (1, in) or (out, 1)

    def _reads_synapses(self) -> bool:
        """Whether a change depends on weights or tags, so that one epoch must wait for the epoch before."""
        return any(each.variables & set(TARGETS) for each in self.program.expressions)

    def _run_at_once(self, spikes: Tensor, post: Mapping[str, Tensor]) -> None:
        """The same for a whole sequence: every product is a product of matrices, (out, T) by (T, in)."""
        history = {"x0": spikes, **post}
        for trace in self.program.traces:
            if not trace.written:
                source, before = trace.impulse * history[trace.source], self.traces[trace.name]
                history[trace.name] = traced(source.unsqueeze(1), trace.decay, before.unsqueeze(0)).squeeze(1)
            self.traces[trace.name] = history[trace.name][-1].clone()
        numbers = torch.arange(self._epochs, self._epochs + len(spikes), device=spikes.device) + 1
        self._epochs += len(spikes)
        for expression in self.program.expressions:
            for product in expression.products:
                self.variables[expression.target] += self._summed(product, history, numbers)

    def _summed(self, product: Product, history: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        """The sum of a product over the epochs of these numbers."""
        weight = self.variables["w"]
        sides = {"x": weight.new_ones(len(numbers), weight.shape[1]), "y": weight.new_ones(len(numbers), len(weight))}
        if product.decimation is None:
            counts = history[product.dependency] != 0
            sides[product.dependency[0]] = sides[product.dependency[0]] * counts
        else:
            sides["y"] = sides["y"] * (numbers % 2**product.decimation == 0).unsqueeze(1)
        for factor in product.factors:
            side = factor.variable[0]
            sides[side] = sides[side] * _factor(factor, history[factor.variable])
        return product.scale * (sides["y"].T @ sides["x"])

    def _check(self, spikes: Tensor, post: Mapping[str, Tensor]) -> None:
        outputs, inputs = self.variables["w"].shape
        if spikes.dim() != 2 or spikes.shape[1] != inputs or not len(spikes):
            raise RequestError(f"an interpreter got spikes of shape {tuple(spikes.shape)}; expected (T, {inputs})")
        for name, values in post.items():
            if values.shape != (len(spikes), outputs):
                expected = (len(spikes), outputs)
                raise RequestError(f"an interpreter got {name} of shape {tuple(values.shape)}; expected {expected}")
        missing = self._needed() - set(post)
        if missing:
            names = ", ".join(sorted(missing))
            raise RequestError(f"an interpreter got no {names}, which the program uses; give it as post[...], (T, out)")

    def _needed(self) -> set[str]:
        """What the postsynaptic neurons have to give."""
        needed = {trace.name if trace.written else trace.source for trace in self.program.traces}
        for expression in self.program.expressions:
            needed |= expression.variables & {"y0"}
            needed |= {product.dependency for product in expression.products} & {"y0"}
        return needed - {"x0"}


def _factor(factor: Factor, value: Tensor) -> Tensor:
    total = value + factor.plus if factor.plus else value
    return total.sign() if factor.sign else total
