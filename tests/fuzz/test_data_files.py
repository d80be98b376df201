"""Files of data sets: IDX, CIFAR's pickles, recordings of events, pictures."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from onchip.data import load
from onchip.data.readers.aedat import read_caer, read_jaer
from onchip.data.readers.binning import count_events
from onchip.data.readers.events import Events, read_bin
from onchip.data.readers.idx import read_pair
from onchip.data.readers.pictures import decode
from onchip.data.readers.ts import read_ts
from tests.data.datasets.test_cifar import KINDS, write_small
from tests.data.event_files import (
    bin_file,
    caer_file,
    caer_packet,
    jaer_file,
    some,
    write_cut_gestures,
    write_gestures,
    write_some_shd,
)
from tests.fuzz.mutants import check_all, damaged, outcome

Count = Callable[[str, object], None]
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("which", ["images", "labels"])
def test_a_damaged_idx_file_gives_no_other_shape(which: str, record_property: Count, tmp_path: Path) -> None:
    contents = {
        "images": b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in (4, 3, 5)) + bytes(range(60)),
        "labels": b"\0\0\x08\x01\0\0\0\x04" + bytes([0, 9, 3, 2]),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    def check(content: bytes) -> None:
        (tmp_path / which).write_bytes(content)
        split = outcome(lambda: read_pair(tmp_path / "images", tmp_path / "labels", size=(3, 5), classes=10))
        if split is not None:  # the format has no checksum: a pixel or label may be another
            assert split.samples.shape == (4, 1, 3, 5)
            assert split.labels.shape == (4,)
            assert 0 <= int(split.labels.min()) <= int(split.labels.max()) < 10

    check_all(damaged(contents[which]), check, 60, record_property)


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_pickle_is_never_opened(
    name: str, record_property: Count, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_small(name, tmp_path, monkeypatch)
    path = sorted(tmp_path.rglob("*_batch*" if name == "cifar10" else "train"))[0]
    whole = path.read_bytes()
    assert load(name, root=tmp_path, validation=0).n_classes > 9

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a pickle was opened")

    monkeypatch.setattr(pickle, "load", opened)

    def check(content: bytes) -> None:
        path.write_bytes(content)
        if content != whole:
            assert outcome(lambda: load(name, root=tmp_path)) is None

    check_all(damaged(whole), check, 30, record_property)


def frames_of(path: Path, read: Callable[[Path], Events]) -> NDArray[np.int64] | None:
    """Frames of a damaged recording, or None where it is refused; every event that is read must be in them."""
    events = outcome(lambda: read(path))
    if events is None:
        return None
    counts = count_events(events, 5, (7, 9))
    assert counts.sum() == len(events)
    return counts


RECORDINGS: dict[str, tuple[bytes, Callable[[Path], Events]]] = {
    "bin": (bin_file(some(20, size=34)), lambda path: read_bin(path, (34, 34))),
    "jaer": (jaer_file(some(20)), read_jaer),
    "caer": (caer_file(caer_packet(some(20)), caer_packet(some(3), kind=0)), read_caer),
}


@pytest.mark.parametrize("kind", RECORDINGS)
def test_a_damaged_recording_has_frames_or_is_refused(kind: str, record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "a"
    whole, read = RECORDINGS[kind]

    def check(content: bytes) -> None:
        path.write_bytes(content)
        counts = frames_of(path, read)
        assert counts is None or counts.shape == (5, 2, 7, 9)

    path.write_bytes(whole)
    assert frames_of(path, read) is not None
    check_all(damaged(whole), check, 100, record_property)


@pytest.mark.parametrize("file", ["user01_led.aedat", "user01_led_labels.csv", "trials_to_train.txt"])
def test_a_damaged_published_gesture_is_no_other_data_set(file: str, record_property: Count, tmp_path: Path) -> None:
    path = write_gestures(tmp_path) / file
    whole = path.read_bytes()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        data = outcome(lambda: load("dvs-gesture:frames=4;size=8", root=tmp_path, validation=0))
        if data is not None:
            assert (data.shape, data.steps) == ((2, 8, 8), 4)
            assert 0 <= int(data.train.labels.min()) <= int(data.train.labels.max()) < 11
            assert (data.train.samples.sum((1, 2, 3, 4)) > 0).all()

    check_all(damaged(whole), check, 40, record_property)


def test_a_damaged_cut_gesture_is_no_other_data_set(record_property: Count, tmp_path: Path) -> None:
    path = write_cut_gestures(tmp_path) / "ibmGestureTrain/user01_led/0.npy"
    np.save(path, np.array(some(10), dtype=np.int64))
    whole = path.read_bytes()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        data = outcome(lambda: load("dvs-gesture:frames=4;size=8", root=tmp_path, validation=0))
        assert data is None or (data.train.samples.sum((1, 2, 3, 4)) > 0).all()

    check_all(damaged(whole), check, 100, record_property)


def test_a_damaged_hdf5_file_is_no_other_data_set(record_property: Count, tmp_path: Path) -> None:
    path = write_some_shd(tmp_path, 4, 2) / "shd_train.h5"
    whole = path.read_bytes()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        data = outcome(lambda: load("shd:frames=4;channels=7", root=tmp_path, validation=0))
        if data is not None:
            assert (data.shape, data.steps) == ((7,), 4)
            assert 0 <= int(data.train.labels.min()) <= int(data.train.labels.max()) < 20
            assert (data.train.samples.sum((1, 2)) > 0).all()

    check_all(damaged(whole), check, 100, record_property)


def test_damaged_frames_are_made_again(record_property: Count, tmp_path: Path) -> None:
    write_cut_gestures(tmp_path)
    expected = load("dvs-gesture:frames=4;size=8", root=tmp_path, validation=0).train.samples
    (path,) = (tmp_path / "binned").glob("*.npy")
    whole = path.read_bytes()

    def check(content: bytes) -> None:
        path.unlink()
        path.write_bytes(content)
        assert torch.equal(load("dvs-gesture:frames=4;size=8", root=tmp_path, validation=0).train.samples, expected)

    check_all(damaged(whole), check, 30, record_property)


@pytest.mark.parametrize("kind", ["png", "jpeg", "bmp", "ppm", "tiff", "webp"])
def test_a_damaged_picture_is_a_picture_or_refused(kind: str, record_property: Count, tmp_path: Path) -> None:
    path, buffer = tmp_path / f"a.{kind}", io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    path.write_bytes(buffer.getvalue())
    whole = decode([path])

    def check(content: bytes) -> None:
        path.write_bytes(content)
        images = outcome(lambda: decode([path]))
        if images is not None:
            assert images.dtype == torch.uint8
            assert images.ndim == 4
            assert kind != "png" or torch.equal(images, whole), "a PNG has checksums"

    check_all(damaged(buffer.getvalue()), check, 40, record_property)


def test_a_damaged_text_of_sequences_is_sequences_or_refused(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    text = "@timeStamps false\n@dimensions 2\n@classLabel true a b\n@data\n" + "1.5,-2,3:0,4,5e-1:b\n7:8:a\n" * 4

    def check(content: bytes) -> None:
        path.write_bytes(content)
        series = outcome(lambda: read_ts(path))
        if series is not None:
            assert len(series.values) == len(series.labels) > 0
            assert {value.shape[1] for value in series.values} == {series.values[0].shape[1]}
            assert all(np.isfinite(value).all() and len(value) for value in series.values)
            assert all(0 <= label < len(series.classes) for label in series.labels)

    check_all(damaged(text.encode()), check, 80, record_property)
