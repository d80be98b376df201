"""CIFAR10-DVS: published files, by hand; what is missing, damaged or foreign is named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from onchip.data import check, load, status
from onchip.data.datasets.dvs_cifar10 import CLASSES
from onchip.errors import DataError, RequestError
from tests.data.event_files import jaer_file, some, write_cifar


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_cifar(tmp_path)
    return tmp_path


def test_a_tenth_is_the_test_split_each_time(root: Path) -> None:
    data = load("dvs-cifar10", root=root, validation=0)
    assert (data.shape, data.steps, data.classes) == ((2, 48, 48), 20, CLASSES)
    assert (len(data.train), len(data.test)) == (90, 10)
    assert data.train.labels.bincount().tolist() == [9] * 10
    assert data.test.labels.bincount().tolist() == [1] * 10
    assert torch.equal(load("dvs-cifar10", root=root, seed=5).test.samples, data.test.samples)
    assert (data.train.samples.sum((1, 2, 3, 4)) == 300).all(), "all events of a recording"


def test_events_are_where_and_when_they_were(root: Path) -> None:
    data = load("dvs-cifar10:frames=4;size=128", root=root, validation=0)
    rows = data.train.samples.sum((1, 2, 4))  # (N, 128)
    for label, row in zip(data.train.labels.tolist(), rows, strict=True):
        assert set(row.nonzero().flatten().tolist()) <= set(range(12 * label, 12 * label + 12))
    small = load("dvs-cifar10:frames=2;size=32", root=root, validation=0)
    large = data.train.samples.view(90, 2, 2, 2, 32, 4, 32, 4).sum((2, 5, 7))
    assert torch.equal(small.train.samples, large.to(torch.uint8))


def test_the_numbers_at_hand_are_told(root: Path) -> None:
    (found,) = (each for each in status(root) if each.info.name == "dvs-cifar10")
    assert (found.present, found.sizes) == (True, (90, 10))
    with pytest.raises(
        DataError, match=r"= \(\(2, 48, 48\), 20, 10, 90, 10\); expected \(\(2, 48, 48\), 20, 10, 9000, 1000\)"
    ):
        check("dvs-cifar10", root)


def test_files_of_version_4_are_read_by_tonic_and_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = np.dtype([("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("on", bool)])
    events = {"found": np.array([(t, x, y, s) for x, y, s, t in some(50)], dtype=kind)}
    tonic, io = ModuleType("tonic"), ModuleType("tonic.io")
    io.read_aedat4 = lambda path: events["found"]  # type: ignore[attr-defined]
    for path in sorted((root / "CIFAR10DVS/cat").iterdir()):
        path.rename(path.with_suffix(".aedat4"))
    monkeypatch.setitem(sys.modules, "tonic.io", None)
    with pytest.raises(DataError, match=r"cat/cifar10_cat_0\.aedat4 takes .* to read; run `pip install"):
        load("dvs-cifar10", root=root)
    monkeypatch.setitem(sys.modules, "tonic", tonic)
    monkeypatch.setitem(sys.modules, "tonic.io", io)
    data = load("dvs-cifar10", root=root, validation=0)
    assert (data.train.samples[data.train.labels == 3].sum((1, 2, 3, 4)) == 50).all()
    events["found"] = events["found"][::-1]
    (root / "CIFAR10DVS/cat/cifar10_cat_4.aedat4").touch()
    with pytest.raises(DataError, match=r"aedat4 has events out of order"):
        load("dvs-cifar10", root=root)


def test_missing_damaged_and_foreign_files_are_named(root: Path) -> None:
    odd = root / "CIFAR10DVS/frog/cifar10_frog_3.aedat"
    kept = odd.read_bytes()
    odd.write_bytes(kept[:-5])
    with pytest.raises(DataError, match=rf"{odd} has 2395 bytes of events; expected 8 for each"):
        load("dvs-cifar10", root=root)
    odd.write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match=rf"{odd} starts with b'PK.*expected b'#!AER-DAT2'"):
        load("dvs-cifar10", root=root)
    odd.write_bytes(jaer_file([]))
    with pytest.raises(DataError, match=rf"{odd} has 0 events"):
        load("dvs-cifar10", root=root)
    odd.write_bytes(kept)
    odd.with_suffix(".aedat4").write_bytes(b"")
    with pytest.raises(DataError, match=r"frog holds files of both kinds, \.aedat and \.aedat4"):
        load("dvs-cifar10", root=root)
    for path in odd.parent.iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"frog holds 0 recordings; expected at least two"):
        load("dvs-cifar10", root=root)
    odd.parent.rmdir()
    with pytest.raises(DataError, match=rf"dvs-cifar10: no file {odd.parent} .*onchip data fetch dvs-cifar10"):
        load("dvs-cifar10", root=root)


@pytest.mark.parametrize("option", ["size=0", "size=129", "frames=0", "frames=1001", "size=a", "height=3"])
def test_an_option_out_of_range_is_refused(option: str, root: Path) -> None:
    with pytest.raises(RequestError, match=option.partition("=")[0]):
        load(f"dvs-cifar10:{option}", root=root)
