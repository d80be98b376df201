"""The classes that a trained network gives samples, computed as in the test of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onchip import nn
from onchip.data import Split, batches
from onchip.data.progress import report
from onchip.data.samples import FEATURES, FLOAT_IMAGES, IMAGES, RECORDINGS, SEQUENCES, SampleKind
from onchip.encoding import Encoder
from onchip.errors import DataError, RequestError, require
from onchip.losses import scores
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import SignalKind
from onchip.runs.model_file import InputFacts
from onchip.training import registry
from onchip.training.randomness import EVALUATION, spread

KINDS: dict[tuple[str, int], SampleKind] = {
    ("images", 255): IMAGES,
    ("images", 1): FLOAT_IMAGES,
    ("features", 1): FEATURES,
    ("recordings", 255): RECORDINGS,
    ("sequences", 1): SEQUENCES,
}
"""Kinds of samples, by name and by what a stored number is divided by."""


@dataclass(frozen=True)
class Prediction:
    """What a network says of samples.

    Args:
        classes: Index of the class of each sample, (N,) int64: the first with the largest score.
        scores: From which the classes are read, (N, classes): the outputs summed over time, or the last ones.
        names: Names of the classes.
    """

    classes: Tensor
    scores: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def labels(self) -> list[str]:
        """The name of the class of each sample."""
        return [self.names[index] for index in self.classes.tolist()]


def predict(
    model: nn.Sequential,
    facts: InputFacts,
    names: Sequence[str],
    samples: Any,
    *,
    lengths: Tensor | None = None,
    batch_size: int | None = None,
    steps: int | None = None,
) -> Prediction:
    """The class of each sample; see `onchip.training.trained.TrainedModel.predict`.

    Args:
        model: The network, in evaluation mode.
        facts: How samples become its input.
        names: Names of the classes.
        samples: (N, ...), or a split.
        lengths: Time steps of each sequence; None where all have T.
        batch_size: Samples at a time; None for as many as in the test.
        steps: Time steps per sample; None for as many as in training.
    """
    kind = kind_of(facts)
    if steps is not None:
        facts = _presented(facts, steps, kind)
    split = _checked(samples, facts, kind) if isinstance(samples, Split) else _split(samples, lengths, facts, kind)
    if isinstance(samples, Split) and lengths is not None:
        raise RequestError("predict got lengths beside a Split, which has its own; leave them out")
    graph, device = build_graph(model), next(model.parameters()).device
    encode, read = encoder_of(graph.kind, facts, kind, device), []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(facts.seed)  # of neurons that draw
        for inputs, labels in batches(split, batch_size or facts.batch_size, shuffle=False, device=device):
            where = labels >= 0 if labels.dim() == 2 else None
            read.append(scores(model(encode(inputs)), last=graph.kind.last_step, where=where).cpu())
            report("samples", sum(map(len, read)), len(split))
    total = torch.cat(read)
    if total.shape[-1] != len(names):
        raise DataError(f"the network has {total.shape[-1]} outputs for {len(names)} classes; expected one for each")
    return Prediction(total.argmax(-1), total, tuple(names))


def kind_of(facts: InputFacts) -> SampleKind:
    """What the samples are.

    Raises:
        DataError: This version knows no such samples.
    """
    kind = KINDS.get((facts.samples, facts.divisor))
    if kind is None:
        raise DataError(
            f"the model takes {facts.samples} divided by {facts.divisor}; this version knows no such samples"
        )
    return kind


def encoder_of(signals: SignalKind, facts: InputFacts, kind: SampleKind, device: torch.device) -> Encoder:
    """What turns such samples into signals, with random draws as in the test of a run.

    Raises:
        DataError: This version has no such encoder, or it is for other samples or signals.
    """
    generator = torch.Generator(device).manual_seed(spread(facts.seed, EVALUATION))
    try:
        return registry.encoder(facts.encoder, signals, steps=facts.steps or 1, generator=generator, samples=kind)[0]
    except RequestError as error:
        raise DataError(f"the model's encoder cannot be made: {error}") from error


def _presented(facts: InputFacts, steps: int, kind: SampleKind) -> InputFacts:
    """The same input, presented for another number of time steps."""
    if kind.own_steps or facts.steps is None:
        why = "sequences have time steps of their own" if kind.own_steps else "its neurons spike once, at any time"
        raise RequestError(f"predict got steps={steps} for a network without such a number: {why}; leave steps out")
    require(isinstance(steps, int) and steps >= 1, "predict", "steps", steps, "a number of time steps, at least 1")
    return replace(facts, steps=steps)


def _split(samples: Any, lengths: Tensor | None, facts: InputFacts, kind: SampleKind) -> Split:
    """Samples as they were before any scaling, as a split without labels."""
    values = _tensor(samples)
    if values.dtype == torch.uint8 and kind is FLOAT_IMAGES:
        kind = IMAGES
    if values.is_floating_point():
        values = values.float()
        if kind is IMAGES:
            kind = FLOAT_IMAGES
    axes = ", ".join(map(str, facts.shape))
    leading = "N, " if kind.leading == 1 else f"N, {facts.frames or 'T'}, "
    form = f"{kind.name} ({leading}{axes})"
    if values.dtype not in kind.dtypes:
        takes = {IMAGES: "bytes (uint8), or floats in [0, 1]", RECORDINGS: "bytes (uint8)"}.get(kind, "floats")
        remedy = "Convert them with .astype('uint8') or .astype('float32')"
        raise RequestError(f"got samples of {_word(values.dtype)}; expected {form} as {takes}. {remedy}")
    if values.dim() != len(facts.shape) + kind.leading or tuple(values.shape[kind.leading :]) != facts.shape:
        remedy = "Resize them first, as those to train on were"
        if tuple(values.shape) == facts.shape or values.dim() == len(facts.shape) + kind.leading - 1:
            remedy = "Give a single one an axis of its own, samples[None]"
        raise RequestError(f"got samples of shape {tuple(values.shape)}; expected {form}. {remedy}")
    if facts.frames not in (None, values.shape[1]):
        remedy = f"Divide each recording into {facts.frames} frames, as those to train on were"
        raise RequestError(f"got samples of shape {tuple(values.shape)}; expected {form}. {remedy}")
    if not len(values):
        raise RequestError(f"got no samples, shape {tuple(values.shape)}; expected at least one")
    scale = facts.standardization
    if scale is not None:
        mean, deviation = (torch.tensor(each, dtype=torch.float64) for each in (scale.mean, scale.deviation))
        values = ((values.double() - mean) / deviation).float()
    return Split(values, torch.zeros(len(values), dtype=torch.int64), kind, lengths)


def _checked(split: Split, facts: InputFacts, kind: SampleKind) -> Split:
    """A split, if it holds such samples."""
    if split.kind.name != kind.name or split.shape != facts.shape:
        raise RequestError(
            f"got a split of {split.kind.name} of shape {split.shape}; expected {kind.name} of {facts.shape}"
        )
    return split


def _tensor(samples: Any) -> Tensor:
    if isinstance(samples, np.ndarray) and samples.dtype.kind in "biuf":
        samples = torch.from_numpy(np.ascontiguousarray(samples.astype(samples.dtype.newbyteorder("="))))
    if not isinstance(samples, Tensor):
        raise RequestError(
            f"got samples of type {type(samples).__name__}; expected a tensor or a NumPy array of numbers"
        )
    return samples.detach().cpu()


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
