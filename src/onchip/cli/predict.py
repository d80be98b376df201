"""`onchip predict`: the classes of pictures or of an array, by a network that training left."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from onchip._files import write_whole
from onchip._text import inert, one_line
from onchip.cli.shared.failing import failing, require_range
from onchip.cli.shared.progress import reading
from onchip.cli.shared.terminal import say
from onchip.errors import RequestError

if TYPE_CHECKING:
    from onchip.training.prediction import Prediction


def predict(
    model: Annotated[Path, typer.Argument(help="Folder that `onchip train --out` wrote.", metavar="MODEL")],
    samples: Annotated[
        Path,
        typer.Argument(
            help="A folder of pictures, one picture, or a .npy array of samples (N, ...).", metavar="SAMPLES"
        ),
    ],
    lengths: Annotated[
        Path | None, typer.Option(help="A .npy array of the time steps of each sequence; if left out, all have T.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples at a time.", show_default="as many as in the test")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Time steps for which a sample is presented.", show_default="as many as in training"),
    ] = None,
    net: Annotated[
        str | None, typer.Option(help="my_net.py:build, if the network has layers that only this code can build.")
    ] = None,
    device: Annotated[str, typer.Option(help="Processor to compute on: cpu, cuda, cuda:1.")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="File for the result, instead of standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON for each sample, with its scores.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table with the scores, separated by commas.")] = False,
) -> None:
    """Name the class of each sample: a line with the file's name, or the place in the array, and the class.

    Samples are prepared as in the test of the run: pictures and recordings are bytes, or floats in [0, 1]; sequences
    are scaled as those to train on were. A score is what the class is read from, such as the output summed over time.
    """
    with failing():
        if as_json and as_csv:
            raise RequestError("got --json and --csv; expected one of them")
        if batch_size is not None:
            require_range(batch_size=batch_size)
        if steps is not None:
            require_range(steps=steps)
        from onchip.training import registry
        from onchip.training.inputs import lengths_of, samples_of
        from onchip.training.trained import load

        trained = load(model, net=net)
        trained.model.to(registry.device(device))
        with reading():
            names, values = samples_of(samples, trained.input)
            found = trained.predict(
                values,
                lengths=None if lengths is None else lengths_of(lengths),
                batch_size=batch_size,
                steps=steps,
            )
        lines = (_json if as_json else _csv if as_csv else _plain)(names, found)
        if out is None:
            for line in lines:
                say(line)
            return
        write_whole(out, "".join(f"{line}\n" for line in lines))
        say(f"{len(found):,} predictions in {out}", error=True)


def _plain(names: list[str], found: Prediction) -> Iterator[str]:
    shown = [one_line(name) for name in names]
    width = max(map(len, shown))
    return (f"{name:<{width}}  {one_line(label)}" for name, label in zip(shown, found.labels, strict=True))


def _json(names: list[str], found: Prediction) -> Iterator[str]:
    for name, label, index, scores in zip(
        names, found.labels, found.classes.tolist(), found.scores.tolist(), strict=True
    ):
        yield json.dumps({"sample": name, "class": label, "index": index, "scores": scores})


def _csv(names: list[str], found: Prediction) -> Iterator[str]:
    """Text that a spreadsheet would run is marked as text."""
    yield _row(["sample", "class", *map(inert, found.names)])
    for name, label, scores in zip(names, found.labels, found.scores.tolist(), strict=True):
        yield _row([inert(name), inert(label), *map(repr, scores)])


def _row(cells: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
