"""Inference as a program of torch: an exported graph that runs where torch is, without this package."""

from __future__ import annotations

import copy
import inspect
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from onchip._files import write_whole
from onchip.data.samples import SampleKind
from onchip.encoding import Encoder
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.losses import scores
from onchip.nn.graph_builder import build_graph
from onchip.runs.model_file import NAME, InputFacts
from onchip.training.prediction import encoder_of, kind_of
from onchip.training.trained import TrainedModel

SAMPLES, EXACT, ROUNDED = 16, 1e-9, 1e-5
"""How many seeded samples the program is compared on; and differences, of the largest output, that rounding may cause
in float64 and in float32, where it may also move a membrane to the other side of its threshold."""


@dataclass(frozen=True)
class Comparison:
    """What a program computes beside what its network computes, on seeded samples.

    Args:
        samples: Number of samples.
        equal: How many of them have the same output in float32 but for rounding, and so the same spikes.
        error: The largest difference of an output in float64, of the largest output; rounding alone is 1e-15 or so.
    """

    samples: int
    equal: int
    error: float


def export_program(path: str | os.PathLike[str], trained: TrainedModel) -> Comparison:
    """Writes inference to a file for `torch.export.load`, in one piece.

    The program takes samples as `TrainedModel.predict` takes them, any number at once, and does all that follows:
    scaling, the encoder, the network, and the reading of the class. Pictures and recordings are bytes if those to train
    on were; for sequences it also takes their lengths, (B,) int64. It returns the scores (B, classes), whose largest is
    the class, and the network's output (T, B, classes). It has no derivatives. `model.json` is in the file, too.

        program = torch.export.load("model.pt2").module()
        scores, output = program(samples)

    Args:
        path: The file; its folder must exist.
        trained: What `onchip.load` returns.

    Returns:
        How the program compares with the network.

    Raises:
        UnsupportedError: Neurons or encoder draw random numbers, or a layer cannot be followed.
        RequestError: Nobody said how samples become the network's input.
        OSError: The file cannot be written.
    """
    facts = trained.input
    if facts is None:
        raise RequestError(f"{trained.path} does not say how samples become the network's input; train it with onchip")
    program, network = _program(trained.model, facts), _Inference(trained.model, facts)
    compared = _compared(program, network, trained.model, facts)
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={NAME: trained.file.to_json()})
    write_whole(Path(path), content.getvalue())
    return compared


class _Inference(nn.Module):
    """Scores and outputs for samples.

    Args:
        model: The network; a copy is taken, in evaluation mode.
        facts: How samples become its input.
    """

    mean: Tensor | None
    deviation: Tensor | None

    def __init__(self, model: nn.Module, facts: InputFacts) -> None:
        super().__init__()
        self.network = copy.deepcopy(model).eval().requires_grad_(False)
        graph, kind = build_graph(self.network), kind_of(facts)
        self._dtype = graph.layers[0].parameter.dtype
        self._last, self._divisor, self._padded = graph.kind.last_step, facts.divisor, kind.own_steps
        self._encode = encoder_of(graph.kind, facts, kind, torch.device("cpu"))
        self._refuse_draws(facts)
        scale = facts.standardization
        for name, values in (("mean", scale and scale.mean), ("deviation", scale and scale.deviation)):
            self.register_buffer(name, None if values is None else torch.tensor(values, dtype=torch.float64))

    def forward(self, samples: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Scores (B, classes) and outputs of samples (B, ...)."""
        if self.mean is not None and self.deviation is not None:
            samples = (samples.double() - self.mean) / self.deviation
        numbers = samples.to(self._dtype)
        if self._divisor != 1:
            numbers = numbers / self._divisor
        output = self.network(self._encode(numbers))
        where = None
        if lengths is not None:
            where = torch.arange(output.shape[0], device=output.device)[:, None] < lengths
        return scores(output, last=self._last, where=where), output

    def _refuse_draws(self, facts: InputFacts) -> None:
        for layer in build_graph(self.network).layers:
            if layer.neuron.draws():
                raise UnsupportedError(
                    f"{type(layer.neuron).__name__} neurons after layer {layer.name!r} draw random numbers, which no "
                    "two programs draw alike; expected neurons that compute, such as LIF"
                )
        if _draws(self._encode):
            raise UnsupportedError(
                f"the encoder {facts.encoder!r} draws random spikes, which no two programs draw alike; expected one "
                "that computes, such as constant"
            )


def _draws(encode: Encoder) -> bool:
    """Whether an encoder draws random numbers: it then takes their generator."""
    return "generator" in inspect.signature(type(encode)).parameters


def _program(model: nn.Module, facts: InputFacts) -> torch.export.ExportedProgram:
    inference = _Inference(model, facts)
    example = _samples(kind_of(facts), facts, 2)
    batch = torch.export.Dim("batch", min=1)
    shapes: dict[str, Any] = {name: {0: batch} for name in ("samples", "lengths")[: len(example)]}
    try:
        with torch.no_grad():
            return torch.export.export(inference, example, dynamic_shapes=shapes, strict=False)
    except OnchipError:
        raise
    except Exception as error:  # torch's own, of what its graphs cannot hold
        reason = " ".join(str(error).split())
        raise UnsupportedError(f"torch.export cannot follow this network: {reason:.300}") from error


def _compared(
    program: torch.export.ExportedProgram, network: _Inference, model: nn.Module, facts: InputFacts
) -> Comparison:
    """Compares program and network in their own precision; and in float64, where rounding decides on no spike.

    Raises:
        UnsupportedError: They differ by more than rounding.
    """
    drawn = _samples(kind_of(facts), facts, SAMPLES)
    exact = copy.deepcopy(model).double()
    with torch.no_grad():
        mine, its = network(*drawn)[1], program.module()(*drawn)[1]
        wide, twin = _Inference(exact, facts)(*drawn)[1], _program(exact, facts).module()(*drawn)[1]
    off = ((mine - its).abs() / mine.abs().max().clamp(min=1e-30)).amax(-1).reshape(-1, SAMPLES).amax(0)
    error = float((wide - twin).abs().max() / wide.abs().max().clamp(min=1e-30))
    if not error <= EXACT:
        raise UnsupportedError(
            f"the exported program computes something else: in float64 its output differs by {error:.2g} of the "
            f"largest; expected {EXACT:g} at most. Please report this network"
        )
    return Comparison(SAMPLES, int((off <= ROUNDED).sum()), error)


def _samples(kind: SampleKind, facts: InputFacts, count: int) -> tuple[Tensor, ...]:
    """Seeded samples of a kind as they are stored, and their lengths where they have some."""
    generator = torch.Generator().manual_seed(0)
    steps = facts.frames or facts.steps or 1
    samples = torch.rand(count, *((steps,) if kind.over_time else ()), *facts.shape, generator=generator)
    if kind.dtypes[0] == torch.uint8:
        samples = (samples * 256).to(torch.uint8)
    if not kind.own_steps:
        return (samples,)
    return samples, torch.randint(1, steps + 1, (count,), generator=generator)
