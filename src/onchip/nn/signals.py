"""What travels between layers: activity over time steps, spike trains, spike times, or one static image.

A kind of signal is an object that says all about itself. A new kind is a subclass of `SignalKind`, here or anywhere
else, and neurons whose `signal` is an instance of it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.kernels.tracing import traced
from onchip.nn.pooling import EarliestPool2d


@dataclass(frozen=True)
class Static:
    """One image shown unchanged for a number of time steps (constant current).

    Because it is a type of its own, the first layer multiplies it once instead of `steps` times.

    Args:
        image: (B, features...), the current at every step.
        steps: number of time steps T, at least 1.

    Raises:
        RequestError: `steps` is not a whole number of at least 1.
    """

    image: Tensor
    steps: int

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise RequestError(f"Static got steps={self.steps}; expected a whole number of time steps, at least 1")

    def expand(self) -> Tensor:
        """The same signal written out: (T, B, features...), without a copy."""
        return self.image.expand(self.steps, *self.image.shape)


Signal = Tensor | Static
"""What a network takes: a tensor of the kind that its neurons exchange, or a `Static` image."""


def tensor_of(signal: Signal) -> Tensor:
    """The tensor that holds the signal's values: the signal itself, or the image of a `Static` one."""
    return signal.image if isinstance(signal, Static) else signal


def expanded(signal: Signal) -> Tensor:
    """The signal at each time step, (T, B, features...); a `Static` one is repeated without a copy."""
    return signal.expand() if isinstance(signal, Static) else signal


def mapped(function: Callable[[Tensor], Tensor], signal: Signal) -> Signal:
    """The signal with a function applied to its tensor; what was `Static` stays so."""
    return Static(function(signal.image), signal.steps) if isinstance(signal, Static) else function(signal)


def fold_time(tensor: Tensor) -> Tensor:
    """Time, or whatever the first axis counts, folded into the batch: (T, B, features...) -> (T·B, features...)."""
    return tensor.flatten(0, 1)


def per_sample(function: Callable[[Tensor], Tensor], signal: Signal) -> Signal:
    """A function of (N, features...) applied to every step of every sample at once; once only to a `Static` image."""

    def folded(tensor: Tensor) -> Tensor:
        return function(fold_time(tensor)).unflatten(0, tensor.shape[:2])

    return mapped(function if isinstance(signal, Static) else folded, signal)


class SignalKind:
    """How the neurons of one network exchange activity.

    Attributes:
        name: In messages.
        over_time: Whether signals have a time axis, (T, B, features...), rather than being (B, features...).
        parts: Equal parts of the synapses' input that carry different quantities, such as spikes and their times.
        weightless: Layers without weights that may stand between synaptic layers.
        static: Whether a `Static` image is such a signal, too.
        residual: Whether two signals may be added, as a `Residual` does.
        bias: Whether synapses may have a bias.
        last_step: Whether the class is read from the output's last time step, rather than from the sum over all.
        rates: Whether the mean activity of a layer is a firing rate, to which each step contributes on its own.
        spike_errors: Whether errors may be spikes, whose size depends on the number of samples in a batch.
        encoder: Name of the encoder of `onchip.encoding` that makes such signals where none is named.
        loss: The loss of `onchip.losses` where none is named.
        remedy: What to do about a signal of the wrong kind, for messages.
    """

    name: ClassVar[str]
    over_time: ClassVar[bool]
    parts: ClassVar[int] = 1
    weightless: ClassVar[tuple[type[nn.Module], ...]]
    static: ClassVar[bool] = False
    residual: ClassVar[bool] = False
    bias: ClassVar[bool] = True
    last_step: ClassVar[bool] = False
    rates: ClassVar[bool] = False
    spike_errors: ClassVar[bool] = False
    encoder: ClassVar[str]
    loss: ClassVar[str] = "steploss"
    remedy: ClassVar[str]

    def check_values(self, values: Tensor) -> None:
        """Raises RequestError if the values cannot be those of such a signal; by default any values can."""

    def random(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        """A random signal of this kind."""
        return torch.rand(shape, generator=generator)

    def apply(self, module: Callable[[Tensor], Tensor], signal: Signal) -> Signal:
        """A layer without weights, which takes (N, features...), applied to the signal."""
        return per_sample(module, signal) if self.over_time else mapped(module, signal)

    def spiked(self, activity: Tensor) -> Tensor:
        """Which entries are spikes: boolean, (T or 1, B, features...)."""
        return activity != 0

    def sizes(self, signal: Signal) -> tuple[int, int]:
        """Samples B and time steps T; T is 1 where there are none."""
        if isinstance(signal, Static):
            return len(signal.image), signal.steps
        return (signal.shape[1], len(signal)) if self.over_time else (len(signal), 1)

    def chunks(self, signal: Signal, size: int) -> Iterator[Signal]:
        """The signal, `size` samples at a time; the last chunk may have fewer."""
        if isinstance(signal, Static):
            return (Static(image, signal.steps) for image in signal.image.split(size))
        return iter(signal.split(size, 1 if self.over_time else 0))

    def steps(self, signal: Signal) -> Iterator[Signal]:
        """The signal, one time step at a time, each (1, B, features...) or `Static` over one step."""
        if isinstance(signal, Static):
            return (Static(signal.image, 1) for _ in range(signal.steps))
        return (frame.unsqueeze(0) for frame in signal)

    def check(self, signal: Signal) -> None:
        """Refuses what is no signal of this kind.

        Raises:
            RequestError: the wrong type or kind of signal, no samples, or values out of range.
        """
        if isinstance(signal, Static) and not self.static:
            raise RequestError(f"got a Static image; expected {self.remedy}")
        if not isinstance(signal, Tensor | Static):
            raise RequestError(f"got {type(signal).__name__} as signal; expected a Tensor or onchip.Static")
        tensor = tensor_of(signal)
        if not tensor.is_floating_point():
            raise RequestError(f"got a signal of {tensor.dtype}; expected floating point. Use .float()")
        timed = isinstance(signal, Tensor) and self.over_time
        if tensor.dim() < (3 if timed else 2) or 0 in tensor.shape:
            expected = "(T, B, features...)" if timed else "(B, features...)"
            remedy = ", or onchip.Static(image, steps=T)" if timed and self.static else ""
            raise RequestError(
                f"got a signal of shape {tuple(tensor.shape)}; expected {expected}, none of them zero{remedy}"
            )
        if not traced():  # a tracer cannot branch on values
            self.check_values(tensor)


_POOLS = nn.AvgPool1d, nn.MaxPool1d, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d


@final
class TimeSteps(SignalKind):
    """Activity at each time step: (T, B, features...)."""

    name = "time steps"
    over_time = static = residual = rates = True
    weightless = (nn.Flatten, nn.Identity, nn.Dropout, *_POOLS)
    encoder = "constant"
    remedy = "a tensor (T, B, features...)"

    def check_values(self, values: Tensor) -> None:
        if values.dtype.itemsize == 1:
            return  # integers, and eighths of a word, which the synapses refuse by name
        # One pass over the signal, and one wait for the device; both pass NaN on.
        extremes = torch.stack(torch.aminmax(values.detach()))
        if not bool(torch.isfinite(extremes).all()):
            raise RequestError("got a signal with NaN or infinity in it; expected finite numbers. Correct the data")


@final
class SpikeTrains(SignalKind):
    """Spikes, 0 or 1, at each time step, (T, B, features...), whose mean over time represents a number."""

    name = "spike trains"
    over_time = last_step = spike_errors = True
    weightless = (nn.Flatten, nn.Identity)
    encoder = "randomphase"
    loss = "steploss:0"
    remedy = "spikes (T, B, features...). Use encoding.RandomPhase(steps) or encoding.Poisson(steps)"

    def check_values(self, values: Tensor) -> None:
        first = values[
            0
        ]  # real numbers in place of spikes show at once; to look at all steps costs as much as one step
        wrong = first * first != first
        if bool(wrong.any()):
            raise RequestError(
                f"got a spike of {first[wrong][0].item():g}; expected 0 or 1 at each step. "
                "Use encoding.RandomPhase(steps) for images, or neurons such as LIF for real numbers and counts"
            )

    def random(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        return torch.rand(shape, generator=generator).round()


@final
class SpikeTimes(SignalKind):
    """One spike time per neuron, (B, features...), in [0, 1]; inf where a neuron stays silent."""

    name = "spike times"
    over_time = bias = False
    parts = 2
    weightless = (nn.Flatten, nn.Identity, EarliestPool2d)
    encoder = "latency"
    remedy = "spike times (B, features...). Use encoding.Latency()"

    def check_values(self, values: Tensor) -> None:
        wrong = ~((values >= 0) & (values <= 1) | torch.isposinf(values))
        if bool(wrong.any()):
            raise RequestError(
                f"got a spike time of {values[wrong][0].item():g}; expected times in [0, 1], or inf for silent"
            )

    def random(self, shape: torch.Size, generator: torch.Generator) -> Tensor:
        times = torch.rand(shape, generator=generator)
        times[torch.rand(shape, generator=generator) < 0.25] = torch.inf  # some stay silent
        return times

    def spiked(self, activity: Tensor) -> Tensor:
        return torch.isfinite(activity)[None]


TIME_STEPS: SignalKind = TimeSteps()
SPIKE_TRAINS: SignalKind = SpikeTrains()
SPIKE_TIMES: SignalKind = SpikeTimes()
