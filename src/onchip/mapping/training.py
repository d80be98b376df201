"""Training by the expressions of a verdict: what a rule's feedback delivers, and every update by the interpreter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from onchip.chips.grammar import Program
from onchip.chips.parsing import parse
from onchip.errors import RequestError, UnsupportedError
from onchip.kernels.trace import trace
from onchip.learning.description import PostFactor
from onchip.learning.observers import Observer, ProductKind
from onchip.learning.rule import Rule
from onchip.mapping.interpreter import Interpreter
from onchip.mapping.precision import Precision
from onchip.mapping.verdict import Derivation, Written
from onchip.nn.graph import SynapticLayer
from onchip.nn.signals import fold_time
from onchip.nn.synapses.product import SynapticProduct

__all__ = ["ProgramTraining"]


class ProgramTraining:
    """Trains the weights of a network by the programs that a verdict derived, in place of an optimizer.

    The rule runs the network and brings each error to its layer; nothing else of it is used. What arrives at the
    synapses is taken before any trace, the neurons' slopes are computed anew from it, and traces and products are the
    interpreter's. Each expression is printed and read back before it is used.

        rule.backward(loss of rule.forward(signal))   # of one sample
        training.step()                               # then rule.step()

    Under `rule.stream`, do that at each time step, and call `begin` before the sequence.

    Args:
        rule: The rule, attached to a network of dense layers; `.grad` is neither read nor cleared.
        derivations: What `onchip.mapping.check` derived, one for each of `rule.layers`.
        precision: Bits of traces, weights and tags; exact by default.

    Raises:
        RequestError: The derivations are of other layers.
        UnsupportedError: A layer is no dense one.
    """

    def __init__(self, rule: Rule, derivations: Iterable[Derivation], precision: Precision = Precision()) -> None:
        by_layer = {each.layer: each for each in derivations}
        names = [layer.name for layer in rule.layers]
        if list(by_layer) != names:
            got, expected = ", ".join(by_layer) or "none", ", ".join(names)
            raise RequestError(f"got derivations of the layers {got}; expected those of {expected}, in this order")
        self._seen = _Seen()
        rule.observe(self._seen)
        recurrent = {id(layer.recurrent) for layer in rule.layers if layer.recurrent is not None}
        with torch.no_grad():
            self._groups = [_Group(layer, by_layer, precision) for layer in rule.layers if id(layer) not in recurrent]

    def begin(self) -> None:
        """Sets traces, tags and membranes back before a sequence that `rule.stream` runs."""
        for group in self._groups:
            group.begin()

    @torch.no_grad()
    def step(self, *, streams: bool = False) -> None:
        """Changes the weights, after `rule.backward`.

        Args:
            streams: Whether that was one time step of a stream; traces then go on from the step before.

        Raises:
            RequestError: There was no backward pass, or it was of several samples.
        """
        if not streams:
            self.begin()
        for group in self._groups:
            group.step(*self._seen.taken(group.layer))


class _Group:
    """The synapses to the neurons of one layer: those of its input, of its bias, and of a recurrent connection."""

    def __init__(self, layer: SynapticLayer, derivations: Mapping[str, Derivation], precision: Precision) -> None:
        self.layer = layer
        derivation = derivations[layer.name]
        self._input = _Array(layer.parameter, derivation, derivation.program, precision)
        self._bias = None if layer.bias is None else _Array(layer.bias, derivation, derivation.bias, precision)
        self._recurrent: _Array | None = None
        if layer.recurrent is not None:
            if layer.recurrent.bias is not None:
                raise UnsupportedError(
                    f"recurrent connection {layer.recurrent.name!r} has a bias beside that of its layer; expected "
                    "bias=False"
                )
            derivation = derivations[layer.recurrent.name]
            self._recurrent = _Array(layer.recurrent.parameter, derivation, derivation.program, precision)
        self.begin()

    def begin(self) -> None:
        """Before a sequence."""
        self._neurons: object = None
        self._fired = self.layer.parameter.new_zeros(1, len(self.layer.parameter))
        for array in (self._input, self._bias, self._recurrent):
            if array is not None:
                array.begin()

    def step(self, inputs: Tensor, error: Tensor) -> None:
        """Runs the neurons again over their inputs (T, 1, in), and then the programs with the errors (T, 1, out)."""
        slope, delayed = self._run(inputs)
        factors = {"error": error[:, 0], "slope": slope[:, 0]}
        self._input.run(inputs[:, 0], factors)
        if self._bias is not None:
            self._bias.run(torch.ones_like(inputs[:, 0, :1]), factors)
        if self._recurrent is not None:
            self._recurrent.run(delayed[:, 0], factors)

    def _run(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Slope of each neuron, and its activity one time step earlier, (T, 1, out)."""
        layer, neuron = self.layer, self.layer.neuron
        slopes, delayed = [], []
        for x in inputs:
            delayed.append(self._fired)
            drive = layer.synapse.apply(x, layer.weight, layer.bias)
            if layer.recurrent is not None:
                drive = drive + layer.recurrent.synapse.apply(self._fired, layer.recurrent.weight, None)
            activity, saved, self._neurons = neuron.run(drive.unsqueeze(0), self._neurons, None)
            self._fired = activity[0]
            slopes.append(neuron.backward_local(torch.ones_like(activity), saved)[0])
        return torch.stack(slopes), torch.stack(delayed)


class _Array:
    """One matrix of synapses, or the bias as the weights of a neuron that always fires."""

    def __init__(self, weight: Tensor, derivation: Derivation, program: Program, precision: Precision) -> None:
        read = tuple(parse(str(each)) for each in program.expressions)
        matrix = weight.detach() if weight.dim() == 2 else weight.detach().unsqueeze(1)
        self._interpreter = Interpreter(replace(program, expressions=read), matrix, precision)
        self._derivation = derivation
        self.begin()

    def begin(self) -> None:
        self._interpreter.rest()
        if self._derivation.timing == "every time step" and "t" in self._interpreter.variables:
            # An eligibility, which begins at 0; other tags are cleared by the program itself.
            self._interpreter.variables["t"].zero_()
        self._written = [_Writing(each) for each in self._derivation.written]

    def run(self, spikes: Tensor, factors: Mapping[str, Tensor]) -> None:
        """Runs the program for presynaptic spikes (T, in) and postsynaptic factors (T, out)."""
        if self._derivation.timing == "closing time step":  # which nothing reaches
            spikes = torch.cat([spikes, torch.zeros_like(spikes[:1])])
            factors = {name: torch.cat([value, torch.zeros_like(value[:1])]) for name, value in factors.items()}
        self._interpreter.run(spikes, {each.written.trace: each(factors) for each in self._written})


class _Writing:
    """What the neurons' program writes into one trace."""

    def __init__(self, written: Written) -> None:
        self.written = written
        self._traced: dict[PostFactor, Tensor] = {}
        self._late: dict[PostFactor, Tensor] = {}

    def __call__(self, factors: Mapping[str, Tensor]) -> Tensor:
        """The values (T, out) for the factors by name; the last time step is the closing one, if there is one."""
        if self.written.part == "gate":
            gate = torch.zeros_like(factors["error"])
            gate[-1] = 1.0
            return gate
        value = math.prod((self._value(each, factors) for each in self.written.factors), start=self.written.gain)
        assert isinstance(value, Tensor)
        if self.written.at_end:
            value[:-1] = 0.0
        match self.written.part:
            case "positive":
                return value.clamp_min(0.0)
            case "negative":
                return (-value).clamp_min(0.0)
            case "offset":
                return value + 1.0
        return value

    def _value(self, factor: PostFactor, factors: Mapping[str, Tensor]) -> Tensor:
        if factor.name == "error sum":
            return (factors["error"] * factors["slope"]).cumsum(0)
        value = factors[factor.name]
        if factor.trace is not None:
            before = self._traced.get(factor)
            value = trace(value.unsqueeze(1), factor.trace, before).squeeze(1)
            self._traced[factor] = value[-1:].clone()
        if factor.delay:
            earlier = self._late.get(factor, value.new_zeros(factor.delay, value.shape[1]))
            value = torch.cat([earlier, value])
            self._late[factor], value = value[len(value) - factor.delay :], value[: len(value) - factor.delay]
        return value


class _Seen(Observer):
    """What arrived at synapses and neurons in the last pass."""

    def __init__(self) -> None:
        self._inputs: dict[str, Tensor] = {}
        self._errors: dict[str, Tensor] = {}

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        if kind == "forward" and product.pre is not None:
            self._inputs[layer] = product.pre.detach().clone()

    def arrived(self, layer: str, error: Tensor) -> None:
        self._errors[layer] = error.detach().clone()

    def taken(self, layer: SynapticLayer) -> tuple[Tensor, Tensor]:
        """Input (T, 1, in) of a layer and error (T, 1, out) at its activity, each once."""
        if layer.name not in self._errors:
            raise RequestError(f"no error has arrived at layer {layer.name!r}; call rule.backward first")
        rows, error = self._inputs.pop(layer.name), self._errors.pop(layer.name)
        if error.dim() != 3 or error.shape[1] != 1 or layer.parameter.dim() != 2:
            raise RequestError(
                f"layer {layer.name!r} got an error of shape {tuple(error.shape)}; expected (T, 1, out), of one sample "
                "and dense layers"
            )
        steps = len(error)
        inputs = rows.expand(steps, -1) if len(rows) == 1 else rows  # a static image is one row for all time steps
        assert len(inputs) == len(fold_time(error))
        return inputs.unsqueeze(1), error
