"""What the calls of all layers share, and what a layer carries from one chunk of a stream to the next."""

from dataclasses import dataclass

from torch import Tensor

from onchip.learning.coding.base import ErrorCode
from onchip.learning.eligibility import SynapseStates
from onchip.learning.feedback.base import Feedback
from onchip.learning.observers import FactorObserver, Observer, UpdateSink
from onchip.learning.ranks import ALONE, Ranks
from onchip.learning.temporal.base import Temporal
from onchip.nn.neurons.base import Neuron, State


@dataclass
class StreamState:
    """State of a layer between two chunks of a stream; empty at the start.

    Args:
        neurons: State of the neurons.
        trace: State of the presynaptic factor, for a signal over time.
        static_trace: The same for a static image, as multiples of it.
        bias_trace: State of the bias's factor.
        activity: Activity at the last step, (B, features...), of neurons with a recurrent connection.
        recurrent_trace: State of the presynaptic factor of that connection.
        post_trace: What temporal credit remembers of the neurons' activity.
        synapses: Eligibility of each synapse, where no product of factors can stand for it.
    """

    neurons: State | None = None
    trace: tuple[Tensor, ...] | None = None
    static_trace: tuple[float, ...] | None = None
    bias_trace: tuple[float, ...] | None = None
    activity: Tensor | None = None
    recurrent_trace: tuple[Tensor, ...] | None = None
    post_trace: tuple[Tensor, ...] | None = None
    synapses: SynapseStates | None = None


@dataclass
class RuleContext:
    """The parts of a rule, and its observers.

    Args:
        feedback: Spatial credit.
        temporal: Temporal credit.
        code: Representation of errors.
        readout: Neurons of the last layer.
        observers: Observers of every product, transport and step.
        factor_observers: Observers of the factors of every update.
        sink: Destination of updates instead of `.grad`; None for `.grad`.
        learning: Whether feedback may learn from this forward pass.
        recompute: Whether a layer stores its input alone, and computes all else again in the backward pass.
        present: Which steps of a padded sequence are its own, (T, B) bool; None for all.
        ranks: The processes that share each batch.
    """

    feedback: Feedback
    temporal: Temporal
    code: ErrorCode
    readout: Neuron
    observers: tuple[Observer, ...] = ()
    factor_observers: tuple[FactorObserver, ...] = ()
    sink: UpdateSink | None = None
    learning: bool = True
    recompute: bool = False
    present: Tensor | None = None
    ranks: Ranks = ALONE
