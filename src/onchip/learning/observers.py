"""Interfaces of observers of a rule, and of destinations of its updates other than `.grad`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from torch import Tensor

from onchip.errors import OnchipError, UnsupportedError
from onchip.learning.ranks import Ranks
from onchip.nn.graph import SynapticLayer
from onchip.nn.synapses.base import Synapse
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported

if TYPE_CHECKING:
    from onchip.learning.three_factors import ThreeFactors

ProductKind = Literal[
    "forward", "readout", "probe", "backward", "direct", "local", "target", "eligibility", "update", "feedback_update"
]
"""Kinds of synaptic product.

Forward through W, through the layer's own read-out, or of noise through W; an error back through the layer's feedback
weights, directly from the output, or from its own read-out; a target in place of an error; eligibility states of all
synapses by one time step; the update of W, and that of feedback weights.
"""


class Observer:
    """Receives reports of what the engine computed, and changes nothing; each method does nothing by default."""

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        """A product was computed at the layer's synapses; its operands may be overwritten afterwards."""

    def fired(self, layer: str, updates: int, spikes: Callable[[], int], states: int = 1) -> None:
        """The layer's neurons, of so many states each, were updated `updates` times; `spikes` counts what they sent."""

    def recomputed(self, layer: str, updates: int, states: int = 1) -> None:
        """The layer's neurons were updated again, for the backward pass alone, and sent nothing; its product, too."""

    def arrived(self, layer: str, error: Tensor) -> None:
        """An error (T, B, features...) arrived at the activity of the layer's neurons; it may be overwritten."""

    def stored(self, layer: str, scalars: int) -> None:
        """The layer stores that many more scalars until its update; a negative number is released."""

    def drew(self, layer: str, count: int) -> None:
        """That many random numbers were drawn for the layer."""

    def transport(self, layer: str, moved: Transported, *, initial: bool) -> None:
        """Forward weights of a layer were copied into feedback weights; `initial` means before training."""

    def stepped(self, memory: Callable[[], int]) -> None:
        """A training step with its weight update is over; `memory` counts the scalars of the feedback."""


class FactorObserver(ABC):
    """Receives copies of the factors of every update."""

    @abstractmethod
    def update(self, layer: str, factors: ThreeFactors) -> None:
        """The layer's weights are about to get this update."""


class UpdateSink(ABC):
    """Takes updates as their two factors at each synapse, as a crossbar does, instead of their product.

    Attributes:
        takes_feedback: Whether it also takes the updates of feedback weights that are those of the forward weights.
        per_step: Whether it takes the factors of each time step where the input is a static image, too, whose errors
            may otherwise be summed over time first.
    """

    takes_feedback: bool = False
    per_step: bool = False

    @property
    @abstractmethod
    def counts(self) -> bool:
        """Whether it counts the spikes of errors, and therefore takes no real-valued errors."""

    @abstractmethod
    def take(
        self, layer: SynapticLayer, pre: Tensor, delta: Tensor, unit: float | None, bias_delta: Tensor | None = None
    ) -> None:
        """Takes one update of a layer's weights and bias, to be subtracted like a gradient.

        Args:
            layer: Layer whose weight update is `layer.synapse.weight_grad(pre, delta)`.
            pre: Presynaptic factor (N, in...).
            delta: Error at the drive (N, out...).
            unit: Value of one error spike, so that delta / unit counts spikes; None for real-valued errors.
            bias_delta: Error (M, out...) whose sum over rows updates the bias; None for `delta`.
        """

    def divide(self, ranks: Ranks) -> None:
        """Takes the updates of a share of each batch from now on.

        Raises:
            UnsupportedError: It cannot add up the updates of several processes; so by default.
        """
        raise UnsupportedError(
            f"{type(self).__name__} takes the updates of one process, and {ranks.size} share each batch; expected "
            "methods `divide` and `pending`, as onchip.devices.crossbar.Crossbar has them"
        )

    def pending(self) -> Sequence[Tensor]:
        """What it holds of updates, to be added up over the processes in place."""
        return ()

    def take_feedback(self, feedback: Tensor, synapse: Synapse, pre: Tensor, delta: Tensor, unit: float | None) -> None:
        """Takes one update of feedback weights B, which get that of their forward weights; if it `takes_feedback`.

        Args:
            feedback: B, of W's shape, whose update is `synapse.weight_grad(pre, delta)`.
            synapse: Bilinear map of the layer.
            pre: As for `take`.
            delta: As for `take`.
            unit: As for `take`.
        """
        raise OnchipError(f"{type(self).__name__} takes no updates of feedback weights")
