"""`onchip predict`: a class for each picture or sample, as the run was tested."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import onchip as package
from onchip.data import Split, load
from onchip.runs.record import read
from tests.cli.conftest import Onchip

TINY = ("--net", "mlp", "--train-size", "60", "--epochs", "2", "--steps", "3", "--out", "run")


def pictures(folder: Path, split: Split, count: int, mode: str = "L") -> None:
    """A folder per class, as training takes them."""
    for place in range(count):
        (folder / f"class {int(split.labels[place])}").mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(split.samples[place, 0].numpy()).convert(mode)
        image.save(folder / f"class {int(split.labels[place])}" / f"{place:03}.png")


def test_pictures_of_a_folder_are_named_as_well_as_the_run_was_tested(onchip: Onchip) -> None:
    split = load("digits").test
    onchip("train", *TINY)
    pictures(Path("pictures"), split, len(split))
    (Path("pictures") / ".hidden").write_text("no picture")
    result = onchip("predict", "run", "pictures")
    assert (result.code, result.err) == (0, "")
    lines = [line.rsplit("  ", 1) for line in result.out.splitlines()]
    names = [name.strip() for name, _ in lines]
    assert names == sorted(names)
    assert len(names) == len(split)
    correct = [label == name.split()[1].split("/")[0] for (_, label), name in zip(lines, names, strict=True)]
    (record,) = read(Path("run/records.jsonl"))
    assert sum(correct) / len(correct) == pytest.approx(record.test_accuracy)


def test_scores_are_those_of_python_in_json_and_csv(onchip: Onchip) -> None:
    onchip("train", *TINY, "--rule", "dfa", "--encoder", "poisson")
    split = load("digits").test
    np.save("samples.npy", split.samples.numpy())
    expected = package.load("run").predict(split)
    result = onchip("predict", "run", "samples.npy", "--json")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert [row["sample"] for row in rows] == [str(place) for place in range(359)]
    assert [row["scores"] for row in rows] == expected.scores.tolist()
    assert [(row["class"], row["index"]) for row in rows] == list(
        zip(expected.labels, expected.classes.tolist(), strict=True)
    )
    assert (
        onchip("predict", "run", "samples.npy", "--csv", "--out", "table.csv").err == "359 predictions in table.csv\n"
    )
    header, *cells = csv.reader(io.StringIO(Path("table.csv").read_text()))
    assert header == ["sample", "class", *"0123456789"]
    assert [[float(cell) for cell in row[2:]] for row in cells] == expected.scores.tolist()
    other = onchip("predict", "run", "samples.npy", "--json", "--batch-size", "5").out
    assert other != result.out, "other batches draw other spikes"
    longer = onchip("predict", "run", "samples.npy", "--json", "--steps", "9").out
    expected = package.load("run").predict(split, steps=9)
    assert [json.loads(line)["scores"] for line in longer.splitlines()] == expected.scores.tolist()
    assert "steps got 0; expected 1 to" in onchip("predict", "run", "samples.npy", "--steps", "0").err


def test_sequences_and_their_lengths(onchip: Onchip) -> None:
    onchip("train", "--data", "japanese-vowels", "--net", "R8", "--rule", "eprop", "--epochs", "1", "--out", "run")
    saved = package.load("run")
    split = load("japanese-vowels").test
    assert saved.input is not None
    assert split.lengths is not None
    scale = saved.input.standardization
    assert scale is not None
    raw = split.samples.double().numpy() * np.array(scale.deviation) + np.array(scale.mean)
    np.save("raw.npy", raw)
    np.save("lengths.npy", split.lengths.numpy())
    lines = onchip("predict", "run", "raw.npy", "--lengths", "lengths.npy").out.splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == saved.predict(split).labels
    assert lines[0].startswith("0    speaker ")
    np.save("lengths.npy", split.lengths.numpy() + 100)
    assert "Split got a length of" in onchip("predict", "run", "raw.npy", "--lengths", "lengths.npy").err
    np.save("lengths.npy", split.lengths.numpy() / 2)
    assert "expected whole numbers (N,)" in onchip("predict", "run", "raw.npy", "--lengths", "lengths.npy").err
    assert "for a network that takes sequences" in onchip("predict", "run", ".").err


def test_a_network_for_colors_takes_grey_pictures_and_one_for_grey_no_colors(onchip: Onchip) -> None:
    split = load("digits").test
    for mode in ("L", "RGB"):
        pictures(Path(mode), split, 100, mode)
        data = "--data", f"folder:{mode}"
        assert onchip("train", *TINY[:-1], f"run-{mode}", *data).code == 0
    colored, grey = (onchip("predict", "run-RGB", folder, "--json").out for folder in ("RGB", "L"))
    assert colored == grey != ""
    result = onchip("predict", "run-L", "RGB")
    assert result.code == 2
    assert "RGB: colored pictures; expected 1 channel" in result.err


BAD: dict[str, tuple[Any, str]] = {
    "absent": ("nothing", "nothing: no such file or folder"),
    "absent array": ("nothing.npy", "nothing.npy cannot be read: No such file"),
    "no picture": ("text.png", "text.png is no picture"),
    "empty": ("empty", "empty holds no picture"),
    "too large": ("large.png", "pictures of 9×8 pixels (width × height); expected 8×8"),
    "pickle": ("pickle.npy", "is no array of numbers: Object arrays cannot be loaded"),
    "number": ("number.npy", "number.npy holds a single number"),
    "shape": ("shape.npy", "got samples of shape (3, 8, 8); expected images (N, 1, 8, 8)"),
    "type": ("type.npy", "got samples of int64"),
    "range": ("range.npy", "expected values in [0, 1]"),
    "names": ("names.npy", "expected a tensor or a NumPy array of numbers"),
}


def test_what_does_not_fit_is_refused(onchip: Onchip) -> None:
    onchip("train", *TINY)
    Path("text.png").write_text("text")
    Path("empty").mkdir()
    Image.new("L", (9, 8)).save("large.png")
    np.save("pickle.npy", np.array([{}]), allow_pickle=True)
    np.save("number.npy", np.array(3.0))
    np.save("shape.npy", np.zeros((3, 8, 8), np.uint8))
    np.save("type.npy", np.zeros((3, 1, 8, 8), np.int64))
    np.save("range.npy", np.full((3, 1, 8, 8), 3.0))
    np.save("names.npy", np.array(["a", "b"]))
    for path, said in BAD.values():
        result = onchip("predict", "run", path)
        assert (result.code, result.out) == (2, "")
        assert said in result.err
        assert result.err.count("\n") == 1
    assert "holds no trained model" in onchip("predict", "empty", "shape.npy").err
    assert "got --json and --csv" in onchip("predict", "run", "shape.npy", "--json", "--csv").err
    assert "batch-size got 0" in onchip("predict", "run", "shape.npy", "--batch-size", "0").err
    assert "this machine has: cpu" in onchip("predict", "run", "shape.npy", "--device", "cuda:77").err


def test_names_cannot_run_in_a_spreadsheet_or_control_a_terminal(onchip: Onchip) -> None:
    onchip("train", *TINY)
    Path("p").mkdir()
    Image.new("L", (8, 8)).save("p/=1+1.png")
    Image.new("L", (8, 8)).save("p/\x1b[2J.png")
    assert onchip("predict", "run", "p", "--csv").out.splitlines()[2].startswith("'=1+1.png,")
    plain = onchip("predict", "run", "p").out
    assert "\x1b" not in plain
    assert "\\u001b[2J.png" in plain
    assert onchip("predict", "run", "p", "--out", "absent/file").code == 1
