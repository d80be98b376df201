"""`model.json`: what a trained network is, for readers with and without this package."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from onchip._files import read_regular
from onchip._types import converted, decoded
from onchip.errors import DataError, require
from onchip.runs.grammar import Scalar
from onchip.runs.seal import sealed, unsealed

FORMAT = "onchip model 1"
NAME, WEIGHTS = "model.json", "model.safetensors"

FEEDBACK = "feedback/"
"""What begins the names of a rule's tensors; the others are those of the torch modules."""

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Size = Annotated[int, Meta(ge=1, le=2**31 - 1)]

Option = Scalar | tuple[int | None, ...] | dict[str, tuple[Size, ...]]
"""An option of a layer: a value, sizes along axes, or the shape of numbers that the file of tensors holds."""


@dataclass(frozen=True)
class Layer:
    """A module of a network.

    Args:
        name: In the module that it belongs to, as torch names it; a parameter's name is the path of such names.
        type: Its class: a layer of torch, or neurons of `onchip.nn`.
        options: What the class is called with. A part is written in the grammar of `onchip.runs.grammar`, infinity as
            text. `{"shape": [...]}` stands for one number per neuron, in the file of tensors.
        layers: The modules in it, in order.
    """

    name: str
    type: str
    options: dict[str, Option] = field(default_factory=dict)
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True)
class NetworkFacts:
    """The network.

    Args:
        name: The name, layout or function that built it, for readers.
        layers: Its layers; None where one of them is no layer that a file can describe, so that code has to build it.
        code: The text of the user's function or object that built it, with its digest; None for a network of the
            package's.
        undescribed: Why `layers` is None.
        neuron: What a function with a parameter `neuron` gets, such as `lif:decay=0.9`.
    """

    name: str
    layers: tuple[Layer, ...] | None
    code: str | None = None
    undescribed: str | None = None
    neuron: str = "lif"


@dataclass(frozen=True)
class RuleFacts:
    """The rule that trained it.

    Args:
        text: With the options that were given, such as `fbp:period=100`.
        name: Its name.
        options: All its options.
        precision: Of its products at synapses.
        own: Whether it was a function or object of the user's.
    """

    text: str
    name: str
    options: dict[str, Scalar] = field(default_factory=dict)
    precision: Literal["float32", "bfloat16"] = "float32"
    own: bool = False


@dataclass(frozen=True)
class Standardization:
    """How sequences are scaled before the network gets them, (x - mean) / deviation for each channel.

    Args:
        mean: Of each channel.
        deviation: Of each channel, above 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[Annotated[float, Meta(gt=0)], ...]


@dataclass(frozen=True)
class InputFacts:
    """How samples become what the network takes, in this order.

    Args:
        samples: What they are: images, recordings, features or sequences.
        shape: Features at one time step; (C, H, W) of images and recordings.
        divisor: What a stored number is divided by; 255 of pictures and recordings, whose numbers are bytes.
        standardization: How sequences are scaled; None where they are not.
        encoder: With its options.
        steps: Time steps T per sample, of sequences those of the longest to train on; None for spike times.
        frames: Frames of a recording; None for other samples.
        batch_size: Samples at a time when the network was tested.
        seed: Of the random draws in a test.

    Raises:
        RequestError: They do not fit each other.
    """

    samples: Literal["images", "recordings", "features", "sequences"]
    shape: tuple[Size, ...]
    divisor: Literal[1, 255]
    encoder: str
    steps: Size | None
    frames: Size | None = None
    standardization: Standardization | None = None
    batch_size: Size = 32
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0

    def __post_init__(self) -> None:
        known = DIVISORS.get(self.samples, ())
        require(self.divisor in known, self, "divisor", self.divisor, f"{' or '.join(map(str, known))} for this kind")
        recorded = self.samples == "recordings"
        require(
            (self.frames is not None) == recorded, self, "frames", self.frames, "frames of recordings, and no others"
        )
        scale = self.standardization
        if scale is not None:
            channels = (len(scale.mean), len(scale.deviation))
            fits = self.samples == "sequences" and channels == self.shape[-1:] * 2
            require(fits, self, "standardization", channels, f"one of {self.shape[-1:]} channels of sequences")


DIVISORS: dict[str, tuple[int, ...]] = {"images": (255, 1), "features": (1,), "recordings": (255,), "sequences": (1,)}
"""What stored numbers may be divided by, by what the samples are."""


@dataclass(frozen=True)
class OutputFacts:
    """How the network's output names a class.

    Args:
        classes: Names of the classes, in the order of the outputs.
        read: The class is that of the largest of these: the sums over all time steps, or the outputs of the last time
            step, or the outputs themselves where there are no time steps.
    """

    classes: tuple[str, ...]
    read: Literal["sum", "last", "once"]


@dataclass(frozen=True)
class ModelFile:
    """What is known of a trained network beside its weights.

    Args:
        weights: Name of the file of tensors, in the same folder.
        weights_sha256: SHA-256 of the bytes of that file.
        network: The network.
        rule: The rule that trained it; None where there is none.
        input: How samples become its input; None where that was not said.
        output: How its output names a class.
        versions: Of onchip and torch.
        record: The record of the run that trained it; None without one.
        feedback: What begins the names of the rule's tensors in the file of tensors.
        format: Name and version of this format.
    """

    weights_sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    network: NetworkFacts
    rule: RuleFacts | None
    input: InputFacts | None
    output: OutputFacts
    versions: dict[str, str]
    record: dict[str, Any] | None = None
    weights: Literal["model.safetensors"] = "model.safetensors"
    feedback: Literal["feedback/"] = "feedback/"
    format: Literal["onchip model 1"] = "onchip model 1"

    def to_json(self) -> str:
        """The content of `model.json`, with a digest of its values."""
        values = dataclasses.asdict(self)
        values = {name: values[name] for name in ("format", *values)}
        return json.dumps(sealed(values), indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: bytes | str) -> ModelFile:
        """What `to_json` wrote.

        Raises:
            DataError: The text is something else, of another version, or was changed after it was written.
        """
        try:
            values = unsealed(decoded(text, dict[str, Any]))
            if values.get("format") != FORMAT:
                raise ValueError(f"its format is {values.get('format')!r:.40}; this version reads {FORMAT!r}")
            if unknown := values.keys() - cls.__dataclass_fields__.keys():
                raise ValueError(f"it has {', '.join(sorted(unknown))!r:.80}, which this version does not read")
            made: ModelFile = converted(values, cls)
        except (ValueError, RecursionError) as error:
            raise DataError(f"it describes no model of this version: {' '.join(str(error).split()):.300}") from error
        return made


def read_model_file(path: Path) -> ModelFile:
    """The `model.json` at a path.

    Raises:
        OSError: It cannot be read.
        DataError: It is damaged, or of another version.
    """
    try:
        return ModelFile.from_json(read_regular(path))
    except DataError as error:
        raise DataError(f"{path} cannot be used: {error}") from error
