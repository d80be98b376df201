"""Spiking Heidelberg Digits: spikes become sequences, by hand; what is missing, damaged or foreign is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from onchip.data import batches, check, load
from onchip.data.on_disk import OnDisk
from onchip.data.readers.shd import read_labels, read_spikes
from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from tests.data.event_files import write_shd, write_some_shd


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_some_shd(tmp_path)
    return tmp_path


def test_spikes_become_sequences(tmp_path: Path) -> None:
    times = [[0.0, 0.0078125, 0.015625, 1.3984375], [1.5, 1.5]]  # exact in 16 bits
    for name in ("train", "test"):
        write_shd(tmp_path / f"SHD/shd_{name}.h5", times, [[5, 5, 699, 0], [7, 7]], [19, 0])
    data = load("shd", root=tmp_path, validation=0)
    assert (data.shape, data.steps, len(data.train), data.n_classes) == ((700,), 100, 2, 20)
    assert data.train.labels.tolist() == [19, 0]
    assert [data.classes[label] for label in (19, 0)] == ["neun", "zero"]
    assert [tuple(place) for place in data.train.samples.nonzero().tolist()] == [
        *((0, 0, 5), (0, 1, 699), (0, 99, 0)),
        (1, 99, 7),  # later than 1.4 s
    ]
    assert data.train.samples[0, 0, 5] == data.train.samples[1, 99, 7] == 2
    few = load("shd:frames=10;channels=7", root=tmp_path, validation=0).train.samples
    assert torch.equal(few, data.train.samples.view(2, 10, 10, 7, 100).sum((2, 4)).to(torch.uint8))


def test_the_steps_add_up_to_the_spikes_and_batches_come_from_the_disk(root: Path) -> None:
    data = load("shd", root=root, validation=0)
    assert isinstance(data.train.stored, OnDisk)
    assert (data.train.samples.sum((1, 2)) == 60).all()
    sequences, labels = next(batches(data.train, 8, shuffle=False))
    assert (sequences.shape, sequences.dtype, labels.tolist()) == ((8, 100, 700), torch.float32, list(range(8)))
    assert (sequences.sum((1, 2)) == 60).all()
    for label, channels in zip(labels.tolist(), sequences.sum(1), strict=True):
        assert channels[35 * label : 35 * label + 35].sum() == 60


def test_a_run_trains_on_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHIP_DATA", str(root))
    name = "shd:frames=10;channels=140"
    spec = RunConfig(data=name, net="mlp", rule="bp", epochs=15, batch_size=10, lr=5e-3, validation=0, select="last")
    record = train(spec, load_data(spec))
    assert (record.encoder, record.steps) == ("sequence", 10)
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.5, "each digit has channels of its own"


@pytest.mark.parametrize("option", ["frames=0", "frames=1001", "channels=0", "channels=701", "size=8"])
def test_an_option_out_of_range_is_refused(option: str, root: Path) -> None:
    with pytest.raises(RequestError, match=option.partition("=")[0]):
        load(f"shd:{option}", root=root)


def test_augmentations_of_pixels_are_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHIP_DATA", str(root))
    spec = RunConfig(data="shd", net="mlp", augment="crop:2")
    with pytest.raises(RequestError, match=r"Crop got samples of shape \(100, 700\); expected images"):
        train(spec, load_data(spec))


def rewritten(path: Path, **changes: Any) -> None:
    """The file with some data sets removed (None) or replaced."""
    with h5py.File(path, "r+") as file:
        for name, value in changes.items():
            name = name.replace("__", "/")
            del file[name]
            if value is not None:
                file[name] = value


def test_what_is_in_the_wrong_groups_is_named(root: Path) -> None:
    path = root / "SHD/shd_train.h5"
    whole = path.read_bytes()
    for changes, said in (
        (
            {"spikes__times": None},
            r"has no data set 'spikes/times', but extra, .*spikes/units; expected spikes/times, spi",
        ),
        ({"labels": None}, "has no data set 'labels'"),
        ({"labels": np.zeros((40, 2), dtype=int)}, r"has 'labels' of shape \(40, 2\)"),
        ({"labels": np.zeros(40)}, "has 'labels' of shape .* and type float64"),
        ({"labels": np.zeros(39, dtype=int)}, "has 40 spikes/times, 40 spikes/units, 39 labels; expected as many"),
        ({"labels": np.full(40, 20)}, "has label 20 at place 0; expected 0 to 19"),
        ({"labels": np.full(40, -1)}, "has label -1 at place 0"),
        ({"spikes__units": np.zeros((40, 60), dtype=int)}, r"has 'spikes/units' of shape \(40, 60\)"),
        ({"spikes__units": np.zeros(40, dtype=int)}, r"has 'spikes/units' of shape \(40,\) and type int64"),
    ):
        rewritten(path, **changes)
        with pytest.raises(DataError, match=rf"{path} {said}"):
            load("shd", root=root)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("times", "units", "said"),
    [
        ([], [], "has 0 events"),
        ([0.5, 0.25], [1, 2], "has events out of order: number 1 at 250000 µs follows one at 500000 µs"),
        ([0.5, 0.5], [1, 700], "has spike 1 in channel 700; expected 0 to 699"),
        ([-0.5, 0.5], [1, 2], "has an event at -500000 µs"),
        ([0.5, np.nan], [1, 2], "has spike 1 at nan s; expected a finite time"),
        ([0.5, np.inf], [1, 2], "has spike 1 at inf s"),
        ([0.5], [1, 2], "has 1 times and 2 channels"),
    ],
)
def test_spikes_that_cannot_be_are_named(times: list[float], units: list[int], said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_shd(path, [[0.1], times], [[3], units], [0, 1])
    assert read_labels(path, 20) == (0, 1)
    with pytest.raises(DataError, match=rf"{path}, recording 1, {said}"):
        list(read_spikes(path))


def test_missing_cut_and_foreign_files_are_named(root: Path) -> None:
    path = root / "SHD/shd_test.h5"
    whole = path.read_bytes()
    for content in (b"", b"\x89HDF", whole[: len(whole) // 2], b"PK\3\4" + whole):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path} is no intact HDF5 file: "):
            load("shd", root=root)
    path.write_bytes(whole)
    with pytest.raises(DataError, match=r"= \(\(700,\), 100, 20, 40, 20\); expected \(\(700,\), 100, 20, 8156, 2264\)"):
        check("shd", root)
    path.unlink()
    with pytest.raises(DataError, match=rf"shd: no file {path} .*onchip data fetch shd"):
        load("shd", root=root)


def test_without_h5py_the_remedy_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"shd_train\.h5 takes h5py to read; run `pip install onchip\[events\]`"):
        load("shd", root=root)
