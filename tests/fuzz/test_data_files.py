"""Files of data sets: IDX, CIFAR's pickles, recordings of N-MNIST, pictures."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onchip.data import load
from onchip.data.readers.events import read_frames
from onchip.data.readers.idx import read_pair
from onchip.data.readers.pictures import decode
from tests.data.datasets.test_cifar import KINDS, write_small
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


def test_a_damaged_recording_has_frames_or_is_refused(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    whole = np.random.default_rng(0).integers(0, 34, (20, 5), dtype=np.uint8).tobytes()

    def check(content: bytes) -> None:
        path.write_bytes(content)
        frames = outcome(lambda: read_frames(path, size=(34, 34), frames=12, frame_us=26_250))
        if frames is not None:
            assert frames.shape == (12, 2, 34, 34)
            assert set(frames.unique().tolist()) <= {0, 255}

    check_all(damaged(whole), check, 60, record_property)


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
