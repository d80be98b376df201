"""Files of events in their published formats, written by the tests."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np

Event = tuple[int, int, int, int]
"""x, y, sign, time in µs."""

LABELS = "class,startTime_usec,endTime_usec\n"


def some(n: int, *, size: int = 128, until: int = 100_000, seed: int = 0) -> list[Event]:
    """Events anywhere on a sensor, in order of time."""
    rng = np.random.default_rng(seed)
    x, y, sign = rng.integers(0, size, n), rng.integers(0, size, n), rng.integers(0, 2, n)
    time = np.sort(rng.integers(0, until, n))
    return [(int(a), int(b), int(c), int(d)) for a, b, c, d in zip(x, y, sign, time, strict=True)]


def bin_file(events: Iterable[Event]) -> bytes:
    """N-MNIST's format."""
    return b"".join(bytes([x, y]) + (sign << 23 | time).to_bytes(3, "big") for x, y, sign, time in events)


def jaer_file(events: Iterable[Event]) -> bytes:
    """AEDAT 2.0 of a DVS128 on its side, as jAER writes it and CIFAR10-DVS is published."""
    header = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
    body = (struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | (1 - sign), time) for x, y, sign, time in events)
    return header + b"".join(body)


def caer_packet(events: Sequence[Event], *, kind: int = 1, valid: int = 1) -> bytes:
    header = struct.pack("<hhiiiiii", kind, 1, 8, 4, 0, len(events), len(events), len(events))
    return header + b"".join(struct.pack("<II", x << 17 | y << 2 | sign << 1 | valid, t) for x, y, sign, t in events)


def caer_file(*packets: bytes) -> bytes:
    """AEDAT 3.1, as DVS128 Gesture is published."""
    header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-11-22\r\n#!END-HEADER\r\n"
    return header + b"".join(packets)


def write_gestures(root: Path) -> Path:
    """The published layout: one trial to train on and one to test on, of three gestures each, the third class 10."""
    folder = root / "DvsGesture"
    folder.mkdir(parents=True)
    for split, user in (("train", "user01_led"), ("test", "user29_natural")):
        (folder / f"trials_to_{split}.txt").write_text(
            f"{user}.aedat\nuser{'02' if split == 'train' else '24'}_lab.aedat\n"
        )
        events = some(3000, until=400_000, seed=len(user))
        special = caer_packet(events[:5], kind=0)
        packets = caer_packet(events[:1000]), special, caer_packet(events[1000:])
        (folder / f"{user}.aedat").write_bytes(caer_file(*packets))
        (folder / f"{user}_labels.csv").write_text(LABELS + "1,1000,100000\n8,90000,200000\n11,250000,390000\n")
    return folder


def write_cut_gestures(root: Path) -> Path:
    """tonic's layout: two trials to train on and one to test on, of two gestures each."""
    for folder, trial in (("Train", "user01_led"), ("Train", "user23_lab"), ("Test", "user24_natural")):
        for label in (0, 10):
            path = root / f"DVSGesture/ibmGesture{folder}" / trial / f"{label}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, np.array(some(500, until=6000, seed=label), dtype=np.float64))  # time in ms
    return root / "DVSGesture"


def write_cifar(root: Path, each: int = 10) -> Path:
    """The published layout, with so many recordings of a class; those of class k are in rows 12 k to 12 k + 11."""
    from onchip.data.datasets.dvs_cifar10 import CLASSES

    for label, name in enumerate(CLASSES):
        folder = root / "CIFAR10DVS" / name
        folder.mkdir(parents=True)
        for index in range(each):
            events = [(x, 12 * label + y % 12, s, t) for x, y, s, t in some(300, seed=100 * label + index)]
            (folder / f"cifar10_{name}_{index}.aedat").write_bytes(jaer_file(events))
    return root / "CIFAR10DVS"


def write_shd(
    path: Path, times: Sequence[Sequence[float]], units: Sequence[Sequence[int]], labels: Sequence[int]
) -> None:
    """The published format, with what lies beside the spikes and labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, lists, number in (("times", times, np.float16), ("units", units, np.uint16)):
            stored = file.create_dataset(f"spikes/{name}", (len(lists),), dtype=h5py.vlen_dtype(np.dtype(number)))
            for index, each in enumerate(lists):
                stored[index] = np.array(each, dtype=number)
        file["labels"] = np.array(labels, dtype=np.uint16)
        file["extra/speaker"] = np.zeros(len(labels), dtype=np.uint16)
        file["extra/keys"] = np.array([b"zero", b"neun"])


def write_some_shd(root: Path, train: int = 40, test: int = 20) -> Path:
    """Recordings of 60 spikes; those of class k are in channels 35 k to 35 k + 34."""
    for name, count in (("train", train), ("test", test)):
        rng = np.random.default_rng(count)
        labels = [index % 20 for index in range(count)]
        times = [np.sort(rng.uniform(0, 1.2, 60)).tolist() for _ in labels]
        units = [(35 * label + rng.integers(0, 35, 60)).tolist() for label in labels]
        write_shd(root / f"SHD/shd_{name}.h5", times, units, labels)
    return root / "SHD"
