"""What a sample of a data set is: an image, a recording of frames, or a sequence of any features."""

from dataclasses import dataclass, replace

import torch

__all__ = ["FEATURES", "FLOAT_IMAGES", "IMAGES", "RECORDINGS", "SEQUENCES", "SampleKind"]


@dataclass(frozen=True)
class SampleKind:
    """What the samples of a split are.

    Args:
        name: in messages, in the plural.
        axes: of a split's samples, for messages.
        dimensions: numbers of axes that such samples may have, the N of the split included.
        dtypes: types that they may have.
        leading: axes before the features: 1 for N, 2 for N and time.
        divisor: by what a stored number is divided to give the number that an encoder takes.
        encoder: name of the encoder of `onchip.encoding` where none is named; None for that of the neurons.
        own_steps: whether samples have a number of time steps of their own, rather than `--steps`.
        augmentable: whether `onchip.data.augment` can change them.
        remedy: what to do about other tensors, for messages.
    """

    name: str
    axes: str
    dimensions: tuple[int, ...]
    dtypes: tuple[torch.dtype, ...]
    leading: int
    divisor: float
    encoder: str | None
    own_steps: bool
    augmentable: bool
    remedy: str

    @property
    def over_time(self) -> bool:
        """Whether a sample has an axis of frames or time steps."""
        return self.leading == 2


IMAGES = SampleKind(
    name="images",
    axes="(N, C, H, W)",
    dimensions=(4,),
    dtypes=(torch.uint8,),
    leading=1,
    divisor=255.0,
    encoder=None,
    own_steps=False,
    augmentable=True,
    remedy="Scale floats in [0, 1] with (images * 255).round().to(torch.uint8), or pass kind=RECORDINGS or SEQUENCES",
)
"""Still images as bytes, 0 dark to 255 bright."""

FLOAT_IMAGES = replace(IMAGES, dtypes=(torch.float32,), divisor=1.0, remedy="Convert them with .float()")
"""Still images in [0, 1]."""

FEATURES = replace(FLOAT_IMAGES, name="features", axes="(N, features)", dimensions=(2,), augmentable=False)
"""Any numbers in [0, 1] that do not change over time."""

RECORDINGS = SampleKind(
    name="recordings",
    axes="(N, F, C, H, W)",
    dimensions=(5,),
    dtypes=(torch.uint8,),
    leading=2,
    divisor=255.0,
    encoder="frames",
    own_steps=False,
    augmentable=True,
    remedy="Pass kind=IMAGES for images without frames",
)
"""Numbers of events in frames, as bytes, of which an encoder makes any number of time steps that divides F."""

SEQUENCES = SampleKind(
    name="sequences",
    axes="(N, T, features...)",
    dimensions=(3, 4, 5),
    dtypes=(torch.float32, torch.uint8),
    leading=2,
    divisor=1.0,
    encoder="sequence",
    own_steps=True,
    augmentable=False,
    remedy="Give features of one number an axis of their own, and convert numbers with .float()",
)
"""Real numbers, or spikes and their counts as bytes, at each of a sample's own time steps."""
