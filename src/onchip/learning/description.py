"""What a rule does at each synapse, as plain data: the form in which rules leave the package.

Mapping to the learning engine of a chip and the exchange of rules with other tools read this, and no code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Origin = Literal["output error", "target", "local read-out", "layer above", "loss"]
"""What an error is made from: the derivative of the loss by the output or by the output of a local read-out, the
target, the error at the layer above, or the value of the loss."""

Through = Literal[
    "nothing", "forward weights", "signs", "refreshed copy", "fixed weights", "learned weights", "estimate", "noise"
]
"""What an error passes on its way to a layer: nothing (at the output), the transposed forward weights themselves, their
signs, a copy that is refreshed by transport, weights that never change, weights that learn, an estimate of the
derivative from noise, or the noise that was added to the layer."""

History = Literal["none", "traces", "state per synapse", "whole sequence", "spike times"]
"""What of the past an update needs: nothing, traces per neuron, a state per synapse, the activity of the whole
sequence, or the spike times of a closed form."""


@dataclass(frozen=True)
class PostFactor:
    """A factor of the postsynaptic side at one time step.

    Args:
        name: `error` is what arrives at the neuron's activity; `slope` is the derivative of its activity by its
            potential, a surrogate where it spikes; `error sum` is the error, after `slope`, summed over the sequence.
        trace: Decay of a leaky trace of the factor, p[t] = trace p[t-1] + factor[t]; None for the factor itself.
        delay: Time steps by which the factor is late.
    """

    name: Literal["error", "slope", "error sum"]
    trace: float | None = None
    delay: int = 0


@dataclass(frozen=True)
class Term:
    """A summand of an update at one time step: scale · pre ⊗ product of the postsynaptic factors.

    Args:
        scale: A constant.
        filters: Decays of leaky filters in series through which the input of the synapse passes,
            a[t] = decay a[t-1] + x[t]; empty for the input itself.
        post: Factors of the postsynaptic side.
        eligibility: Decays of leaky filters in series that the product of all factors but the error passes before it
            meets the error.
        input_mean: Whether the mean of the input over the sequence takes its place.
    """

    scale: float
    filters: tuple[float, ...]
    post: tuple[PostFactor, ...]
    eligibility: tuple[float, ...] = ()
    input_mean: bool = False


@dataclass(frozen=True)
class UpdateForm:
    """The gradient of a weight, as a sum over time steps.

    Args:
        terms: The summands at each time step; empty where an update is no sum of products of factors of the two sides.
        bias: The same for the bias, whose input is constantly 1.
        history: What of the past the update needs.
        per_sequence: Whether the products are formed once at the end of a sequence, instead of at each time step.
        last_steps: Time steps at the end of a sequence at which there is an error; None for all.
    """

    terms: tuple[Term, ...]
    bias: tuple[Term, ...]
    history: History
    per_sequence: bool = False
    last_steps: int | None = None


@dataclass(frozen=True)
class FeedbackLearning:
    """How feedback weights learn.

    Args:
        by: `same update` as the forward weights get; `error times activity`, the product that updates a read-out;
            `response to noise` that is added while the network runs; `noise phase`, in which nothing else can run;
            `response to spikes`, whose randomness takes the place of noise.
        decay: Share that is lost per training step, or the weight decay in the optimizer's gradient.
        forward_decay: Whether the forward weights lose the same share.
        optimizer: Whether the optimizer applies the update with the learning rate of the weights.
        over_batch: Whether an update needs the mean over other samples.
        over_time: Whether an update needs the mean over the time steps of the sequence.
    """

    by: Literal["same update", "error times activity", "response to noise", "noise phase", "response to spikes"]
    decay: float = 0.0
    forward_decay: bool = False
    optimizer: bool = False
    over_batch: bool = False
    over_time: bool = False


@dataclass(frozen=True)
class ErrorPath:
    """One way on which an error comes to the neurons of a layer.

    Args:
        origin: What the error is made from.
        through: What it passes on its way.
        per_step: Chance that there is an error at a time step.
        learning: How the weights that it passes learn; several ways add up; empty where they do not learn.
        period: Training steps between transports of forward weights to these weights, 1 for every step; None if
            nothing is ever transported.
        scheme: What a transport sends, in words; empty without transport.
        copied: Whether the weights start as a copy of the forward weights.
        tensors: Names of the weights in the rule's `state_dict`; empty where they are not stored.
    """

    origin: Origin
    through: Through
    per_step: float = 1.0
    learning: tuple[FeedbackLearning, ...] = ()
    period: float | None = None
    scheme: str = ""
    copied: bool = False
    tensors: tuple[str, ...] = ()

    def within(self, part: str) -> ErrorPath:
        """The same path of feedback that is a part, of this name, of other feedback."""
        return replace(self, tensors=tuple(f"{part}.{name}" for name in self.tensors))


@dataclass(frozen=True)
class SynapseDescription:
    """What a rule does at the synapses of one layer, or at a recurrent connection.

    Args:
        layer: Name of the layer in the network.
        kind: Class of the synapses, such as `Linear`.
        shape: Shape of the weights, (out, in...).
        shared: Whether a weight serves many pairs of neurons, as in a convolution.
        recurrent: Whether the input is the activity of the layer's own neurons, one time step earlier.
        neuron: Class of the postsynaptic neurons.
        signal: What they send: `time steps`, `spike trains` or `spike times`.
        readout: Whether these are the output neurons, which have no slope.
        surrogate: Derivative of a spike by the potential, such as `Sigmoid(slope=4.0)`; empty where it is exact.
        update: The gradient of the weights.
        paths: Where the error comes from; several errors add up.
    """

    layer: str
    kind: str
    shape: tuple[int, ...]
    shared: bool
    recurrent: bool
    neuron: str
    signal: str
    readout: bool
    surrogate: str
    update: UpdateForm
    paths: tuple[ErrorPath, ...]


@dataclass(frozen=True)
class RuleDescription:
    """What a rule does at each synapse of a network.

    Args:
        rule: Name of the rule.
        synapses: One entry per synapse, in the order of `rule.layers`.
        errors: Representation of errors: `real numbers`, `spikes`, or `real numbers at random time steps`.
        noise: Whether noise is added in the forward pass in training.
        needs_targets: Whether the rule needs the labels beside the loss.
    """

    rule: str
    synapses: tuple[SynapseDescription, ...]
    errors: str
    noise: bool
    needs_targets: bool

    def to_dict(self) -> dict[str, Any]:
        """The description as plain values, for JSON."""
        return asdict(self)
