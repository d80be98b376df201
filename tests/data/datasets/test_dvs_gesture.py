"""DVS128 Gesture, as published and as tonic cuts it; what is missing, damaged or foreign is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from onchip.data import check, load, status
from onchip.errors import DataError
from tests.data.event_files import LABELS, caer_file, caer_packet, some, write_cut_gestures, write_gestures


@pytest.fixture
def published(tmp_path: Path) -> Path:
    write_gestures(tmp_path)
    return tmp_path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    write_cut_gestures(tmp_path)
    return tmp_path


def test_published_trials_are_cut_by_their_labels(published: Path) -> None:
    data = load("dvs-gesture", root=published, validation=0)
    assert (data.shape, data.steps, data.n_classes) == ((2, 32, 32), 40, 11)
    assert data.train.labels.tolist() == data.test.labels.tolist() == [0, 7, 10]
    events = some(3000, until=400_000, seed=len("user01_led"))
    spans = ((1000, 100_000), (90_000, 200_000), (250_000, 390_000))
    assert data.train.samples.sum((1, 2, 3, 4)).tolist() == [sum(a <= e[3] < b for e in events) for a, b in spans]
    x, y, sign, _ = next(event for event in events if event[3] >= 1000)
    assert data.train.samples[0, 0, sign, y // 4, x // 4] > 0


def test_cut_trials_are_named_after_their_class(cut: Path) -> None:
    data = load("dvs-gesture:frames=5;size=128", root=cut, validation=0)
    assert (data.shape, data.steps) == ((2, 128, 128), 5)
    assert data.train.labels.tolist() == [0, 10, 0, 10]
    assert data.test.labels.tolist() == [0, 10]
    assert (data.train.samples.sum((1, 2, 3, 4)) == 500).all()
    first = torch.zeros(2, 128, 128, dtype=torch.uint8)
    events = some(500, until=6000)
    span = events[-1][3] * 1000 + 1 - events[0][3] * 1000
    for x, y, sign, time in events:
        if (time - events[0][3]) * 1000 * 5 < span:
            first[sign, y, x] += 1
    assert torch.equal(data.test.samples[0, 0], first)


@pytest.mark.parametrize("kind", ["published", "cut"])
def test_the_numbers_at_hand_are_told(kind: str, request: pytest.FixtureRequest) -> None:
    root = request.getfixturevalue(kind)
    (found,) = (each for each in status(root) if each.info.name == "dvs-gesture")
    assert (found.present, found.sizes) == (True, (3, 3) if kind == "published" else (4, 2))
    assert found.info.whole(1176, 288)
    assert found.info.whole(1077, 264)
    with pytest.raises(DataError, match=r"expected \(\(2, 32, 32\), 40, 11, 1176, 288\)"):
        check("dvs-gesture", root)


def test_damaged_published_files_are_named(published: Path) -> None:
    folder = published / "DvsGesture"
    trial, labels, trials = (
        folder / name for name in ("user01_led.aedat", "user01_led_labels.csv", "trials_to_train.txt")
    )
    kept = {path: path.read_bytes() for path in (trial, labels, trials)}

    def refused(path: Path, content: bytes, said: str) -> None:
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{path} {said}"):
            load("dvs-gesture", root=published)
        path.write_bytes(kept[path])

    refused(trial, kept[trial][:-4], "ends inside a packet of 2000 events, after 15996 of its 16000 bytes")
    refused(trial, kept[trial][:-16_010], "ends inside the header of a packet")
    refused(trial, caer_file(), "has 0 events")
    refused(trial, caer_file(caer_packet([(1, 1, 1, 500_000)])), "has no event from 1000 to 100000 µs")
    refused(labels, b"user,age\n1,2\n", "begins with 'user,age'; expected 'class,startTime_usec,endTime_usec'")
    refused(labels, b"", "begins with ''")
    refused(labels, b"\xff\xfe", "is no text")
    for line in ("12,1,2", "0,1,2", "1,2,2", "1,-1,2", "1,2", "1,a,2", "1.0,1,2"):
        refused(labels, (LABELS + line).encode(), f"has the line '{line}'; expected a class from 1 to 11")
    refused(trials, b"user24_led.aedat\n", r"has 'user24_led\.aedat'; expected the recordings of users 1 to 23")
    refused(trials, b"../../secret\n", r"has '\.\./\.\./secret'; expected the recordings of users")
    labels.unlink()
    with pytest.raises(DataError, match=rf"{labels} cannot be read"):
        load("dvs-gesture", root=published)
    trial.unlink()
    with pytest.raises(DataError, match=r"DvsGesture holds no recording that trials_to_train\.txt names"):
        load("dvs-gesture", root=published)


def test_damaged_cut_files_are_named(cut: Path) -> None:
    path = cut / "DVSGesture/ibmGestureTrain/user01_led/0.npy"
    good = np.load(path)

    def refused(table: np.ndarray, said: str) -> None:
        np.save(path, table)
        with pytest.raises(DataError, match=rf"{path} {said}"):
            load("dvs-gesture", root=cut)

    refused(good[:, :3], r"holds float64 of shape \(500, 3\); expected numbers \(n, 4\)")
    refused(good[:0], "has 0 events")
    refused(good[::-1], "has events out of order")
    refused(np.add(good, [128, 0, 0, 0]), r"has an event at \(\d+, \d+\), number 0; expected x < 128")
    refused(np.add(good, [0, 0, 2, 0]), "has an event of sign [23]")
    refused(good * np.nan, "has a number that is no place, sign or time")
    refused(good + 0.5, "has a number that is no place, sign or time")
    refused(good.astype(str), "holds <U32 of shape")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path} is no array of numbers"):
        load("dvs-gesture", root=cut)
    np.save(path, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=rf"{path} is no array of numbers: .*allow_pickle"):
        load("dvs-gesture", root=cut)
    np.save(path, good)
    path.rename(path.with_name("11.npy"))
    with pytest.raises(DataError, match=r"11\.npy is named after no class; expected 0 to 10"):
        load("dvs-gesture", root=cut)
    path.with_name("11.npy").rename(path)
    path.parent.rename(path.parent.with_name("user29_led"))
    with pytest.raises(DataError, match=r"ibmGestureTrain has 'user29_led'; expected the recordings of users 1 to 23"):
        load("dvs-gesture", root=cut)
