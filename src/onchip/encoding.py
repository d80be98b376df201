"""Samples to signals: a constant current, random spikes, spike times, frames of recordings, or sequences as they are.

`__all__` is the registry: the command line takes these names in lower case.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from onchip._types import checked
from onchip.data.samples import IMAGES, RECORDINGS, SEQUENCES, SampleKind
from onchip.errors import RequestError, require
from onchip.kernels.phase import phase
from onchip.kernels.tracing import traced
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS, Signal, SignalKind, Static

__all__ = ["Constant", "Frames", "Latency", "Poisson", "RandomPhase", "Sequence"]


class Encoder(Protocol):  # a type to annotate with; no encoder itself, so not in the registry
    """Samples of the kind `samples`, as floats, to a signal of one of the kinds `signals`."""

    samples: ClassVar[SampleKind]
    signals: ClassVar[tuple[SignalKind, ...]]

    def __call__(self, samples: Tensor, /) -> Signal: ...


@dataclass(frozen=True)
class _TimeSteps:
    steps: int

    def __post_init__(self) -> None:
        require(self.steps >= 1, self, "steps", self.steps, "a number of time steps, at least 1")


@checked
@dataclass(frozen=True)
class Constant(_TimeSteps):
    """The image as a current that does not change: x(t) = image, t = 1..T.

    Args:
        steps: number of time steps T, at least 1.

    Raises:
        RequestError: steps below 1; when called, images outside [0, 1].

    Example:
        >>> Constant(4)(torch.ones(2, 3)).expand().shape
        torch.Size([4, 2, 3])
    """

    samples: ClassVar[SampleKind] = IMAGES
    signals: ClassVar[tuple[SignalKind, ...]] = (TIME_STEPS,)

    def __call__(self, images: Tensor) -> Signal:
        """(B, features...) in [0, 1] -> `Static`, T steps."""
        _check_images("Constant", images)
        return Static(images, self.steps)


@checked
@dataclass(frozen=True)
class Poisson(_TimeSteps):
    """Random spikes: at each step a pixel fires with its own value as probability, P[s(t) = 1] = image.

    One draw per pixel and step (Bernoulli; the field calls it Poisson), so the mean over time is the image,
    without bias.

    Args:
        steps: number of time steps T, at least 1.
        generator: of the draws, on the images' device; None for torch's global one.

    Raises:
        RequestError: steps below 1; when called, images outside [0, 1], or on another device than the
            generator.

    Reference: P. Diehl and M. Cook, Unsupervised learning of digit recognition using spike-timing-dependent
        plasticity, Front. Comput. Neurosci., 2015, "Input encoding".
    """

    samples: ClassVar[SampleKind] = IMAGES
    signals: ClassVar[tuple[SignalKind, ...]] = (TIME_STEPS, SPIKE_TRAINS)
    generator: torch.Generator | None = None

    def __call__(self, images: Tensor) -> Signal:
        """(B, features...) in [0, 1] -> spikes (T, B, features...), 0 or 1, of the images' dtype."""
        _check_images("Poisson", images, self.generator)
        # float32 whatever the images' dtype: a draw of 16 bits is too coarse for the small probabilities.
        draws = torch.empty(images.shape, device=images.device)
        spikes = images.new_empty(self.steps, *images.shape)
        for step in spikes:  # a step at a time stays in the processor's cache
            torch.lt(draws.uniform_(generator=self.generator), images, out=step)
        return spikes


@checked
@dataclass(frozen=True)
class RandomPhase(_TimeSteps):
    """Regular spikes from a random start: a pixel's train of T steps has T · image spikes, rounded up or down.

        s[t] = floor(u + t image) - floor(u + (t - 1) image),   u ~ U[0, 1) per pixel and sample

    At each step alone P[s(t) = 1] = image, as for `Poisson`; the count is nearly exact, and there is one draw for
    a train in place of T.

    Args:
        steps: number of time steps T, at least 1.
        generator: of the draws, on the images' device; None for torch's global one.

    Raises:
        RequestError: steps below 1; when called, images outside [0, 1], or on another device than the
            generator.

    Reference: ours; an integrate-and-fire neuron with a uniform initial state.
    """

    samples: ClassVar[SampleKind] = IMAGES
    signals: ClassVar[tuple[SignalKind, ...]] = (TIME_STEPS, SPIKE_TRAINS)
    generator: torch.Generator | None = None

    def __call__(self, images: Tensor) -> Signal:
        """(B, features...) in [0, 1] -> spikes (T, B, features...), 0 or 1, of the images' dtype."""
        _check_images("RandomPhase", images, self.generator)
        begin = torch.rand(images.shape, dtype=images.dtype, generator=self.generator, device=images.device)
        return phase(images.contiguous(), begin, self.steps)[0]


@checked
@dataclass(frozen=True)
class Frames(_TimeSteps):
    """A recording as spikes: at each step, whether a pixel had an event in that step's share of the frames.

    Args:
        steps: number of time steps T, of which the recording's frames must be a multiple.

    Raises:
        RequestError: steps below 1; when called, images without frames, or a number of frames that T does not divide.

    Example:
        >>> Frames(2)(torch.tensor([0.0, 1.0, 0.0, 0.0]).view(1, 4, 1, 1, 1)).flatten()
        tensor([1., 0.])
    """

    samples: ClassVar[SampleKind] = RECORDINGS
    signals: ClassVar[tuple[SignalKind, ...]] = (TIME_STEPS, SPIKE_TRAINS)

    def __call__(self, images: Tensor) -> Signal:
        """(B, F, C, H, W) in [0, 1] -> spikes (T, B, C, H, W), 0 or 1, of the recordings' dtype."""
        if images.dim() != 5:
            raise RequestError(
                f"Frames got images of shape {tuple(images.shape)}; expected recordings (B, F, C, H, W), such as those "
                "of n-mnist. Use Constant for images"
            )
        if images.shape[1] % self.steps:
            raise RequestError(
                f"Frames got steps={self.steps} for recordings of {images.shape[1]} frames; expected a divisor of that"
            )
        _check_range("Frames", images)
        shares = images.unflatten(1, (self.steps, -1))  # (B, T, F / T, C, H, W)
        return (shares.amax(2) > 0).to(images.dtype).transpose(0, 1).contiguous()


@checked
@dataclass(frozen=True)
class Sequence:
    """A sequence as it is: real numbers as a current, or spikes, whose time steps are those of the network.

    Args:
        signal: kind of the signal, which spike trains must be at every step.

    Raises:
        RequestError: when called, anything but floats (B, T, features...), or no signal of that kind.

    Example:
        >>> Sequence()(torch.rand(2, 29, 12)).shape
        torch.Size([29, 2, 12])
    """

    samples: ClassVar[SampleKind] = SEQUENCES
    signals: ClassVar[tuple[SignalKind, ...]] = (TIME_STEPS, SPIKE_TRAINS)
    signal: SignalKind = TIME_STEPS

    def __call__(self, sequences: Tensor) -> Tensor:
        """(B, T, features...) -> (T, B, features...), of the same numbers."""
        if sequences.dim() < 3 or not sequences.is_floating_point():
            raise RequestError(
                f"Sequence got {tuple(sequences.shape)} {sequences.dtype}; expected floats (B, T, features...), as "
                "onchip.data.batches yields. Use Constant for images"
            )
        if self.signal is not TIME_STEPS:  # which every network checks whole; of spike trains it sees the first step
            self.signal.check_values(sequences.flatten(0, 1)[None])
        return sequences.transpose(0, 1).contiguous()


@dataclass(frozen=True)
class Latency:
    """One spike per pixel, earlier for a brighter one: t = 1 - image; a black pixel sends none (inf).

    Raises:
        RequestError: when called, images outside [0, 1].

    Example:
        >>> Latency()(torch.tensor([[0.0, 0.25, 1.0]]))
        tensor([[   inf, 0.7500, 0.0000]])

    Reference: S. Thorpe, A. Delorme and R. Van Rullen, Spike-based strategies for rapid processing, Neural
        Networks, 2001.
    """

    samples: ClassVar[SampleKind] = IMAGES
    signals: ClassVar[tuple[SignalKind, ...]] = (SPIKE_TIMES,)

    def __call__(self, images: Tensor) -> Signal:
        """(B, features...) in [0, 1] -> spike times (B, features...) in [0, 1), inf where silent."""
        _check_images("Latency", images)
        return torch.where(images > 0, 1 - images, torch.inf)


def _check_images(encoder: str, images: Tensor, generator: torch.Generator | None = None) -> None:
    if not images.is_floating_point():
        raise RequestError(
            f"{encoder} got images of {images.dtype}; expected floats in [0, 1]. Divide bytes by 255, as "
            "onchip.data.batches does"
        )
    if images.dim() == 5:
        raise RequestError(
            f"{encoder} got recordings of shape {tuple(images.shape)}; expected images (B, features...). Use Frames"
        )
    _check_range(encoder, images)
    if generator is not None and generator.device.type != images.device.type:
        raise RequestError(
            f"{encoder} got a generator on {generator.device} and images on {images.device}; expected one device. "
            f"Make it with torch.Generator({images.device.type!r})"
        )


def _check_range(encoder: str, images: Tensor) -> None:
    if traced():  # a tracer cannot branch on values
        return
    # One wait for the device, not two.
    low, high = torch.stack(torch.aminmax(images.detach())).tolist() if images.numel() else (0.0, 1.0)
    if not (low >= 0 and high <= 1):  # also caught so: NaN, which aminmax passes on
        raise RequestError(
            f"{encoder} got images in [{low:g}, {high:g}]; expected values in [0, 1], and no NaN. Scale them "
            "first, e.g. (images - images.min()) / (images.max() - images.min()); do not normalize them"
        )
