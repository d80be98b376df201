"""What does a folder of pictures that is larger than the memory it may take cost, at the first start and later?

    python benchmarks/folder.py [--pictures 200000] [--side 64] [--json FILE]

Writes a folder of JPEG pictures to a temporary directory, laid out as ImageNet is, and runs `onchip train` on it twice,
each time in a new process, for one epoch of a small network: the first start decodes and stores all pictures, the
second reads what is stored. For each, the seconds, the pictures that were decoded, and the peak of resident memory
(VmHWM, in which every page of the process counts; Linux only). Then, in this process: listing the folder; gathering
shuffled batches from the file, read or from a map of it, as against a tensor in memory; and waiting for batches that
the system has to read from the disk, announced one batch before or not. The directory is removed.
"""

from __future__ import annotations

import hashlib
import io
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from _measure import about, in_turns, parser, save, speed
from onchip.data import Split, load
from onchip.data.readers.class_folders import list_classes
from watched import peak_growth

ENCODINGS = 400
CLASSES = 100
TEST = 0.05
"""Share of the pictures in `val`."""

NET = "P8-F16"
TRAINING = ("--rule", "bp", "--net", NET, "--steps", "1", "--epochs", "1", "--batch-size", "256", "--threads", "1")
GATHERED = 32, 256
"""Samples per batch when gathering is measured."""

COLD = 300
"""Batches that are read when nothing of the file is in memory."""


def make(base: Path, pictures: int, side: int) -> None:
    """Write pictures of smooth noise, a few hundred different ones, in train/CLASS and val/CLASS."""
    rng = np.random.default_rng(0)
    encodings = []
    for _ in range(min(ENCODINGS, pictures)):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        buffer = io.BytesIO()
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        encodings.append(buffer.getvalue())
    classes = min(CLASSES, pictures // 4)
    in_test = max(classes, round(TEST * pictures))
    for split, count in (("train", pictures - in_test), ("val", in_test)):
        for name in range(classes):
            (base / split / f"{name:03d}").mkdir(parents=True)
        for index in range(count):
            path = base / split / f"{index % classes:03d}" / f"{index:07d}.jpg"
            path.write_bytes(encodings[index % len(encodings)])


def child(report: Path, arguments: list[str]) -> None:
    """Run `onchip`, and write the number of decoded pictures and the peak of memory to a file."""
    from onchip import cli
    from onchip.data.readers import pictures

    decode_one, decoded = pictures._decode_one, 0

    def counted(*given: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return decode_one(*given)

    pictures._decode_one = counted
    sys.argv = ["onchip", *arguments]
    try:
        cli.main()
    finally:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        report.write_text(json.dumps({"decoded": decoded, "peak_mib": peak / 2**10}), encoding="utf-8")


def start(place: Path, number: int) -> dict[str, float]:
    """One training run in a process of its own."""
    report = place / f"start-{number}.json"
    arguments = ["train", "--data", f"folder:{place / 'pictures'}", "--out", str(place / f"run-{number}"), *TRAINING]
    command = [sys.executable, __file__, "--child", str(report), *arguments]
    begin = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "ONCHIP_DATA": str(place)}, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - begin
    record = json.loads((place / f"run-{number}" / "records.jsonl").read_text(encoding="utf-8"))
    return {"seconds": whole, "training_seconds": record["train_seconds"], **json.loads(report.read_text())}


def gathering(split: Split, file: Path, batch: int, rounds: int) -> dict[str, dict[str, float]]:
    """How many times as fast as from memory shuffled batches come from the file, and from a map of it."""
    kept, mapped = split.samples, np.load(file, mmap_mode="c")
    pages = torch.from_numpy(mapped)
    rows = torch.randperm(len(split), generator=torch.Generator().manual_seed(0))[: batch * 50].split(batch)

    def dropped(index: torch.Tensor) -> None:
        pages[index]
        mapped._mmap.madvise(mmap.MADV_DONTNEED)

    ways = {"memory": kept.__getitem__, "read": split.stored.__getitem__}
    ways |= {"mapped": pages.__getitem__, "mapped, dropped after each batch": dropped}
    times = in_turns({name: lambda way=way: [way(index) for index in rows] for name, way in ways.items()}, rounds)
    return {name: speed(times["memory"], times[name]) for name in ways if name != "memory"}


def waiting(split: Split, file: Path) -> dict[str, float]:
    """Milliseconds of waiting per batch of 32 where the system holds nothing of the file, and steps take 5 ms."""
    spent = {}
    for name in ("announced", "not announced"):
        descriptor = os.open(file, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)
        generator = torch.Generator().manual_seed(1)
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(1)).split(32)
        drawn = split.draw(32, generator) if name == "announced" else (split.batch(rows) for rows in order)
        waits, begin = [], time.perf_counter()
        for _ in islice(drawn, COLD):
            waits.append(time.perf_counter() - begin)
            time.sleep(0.005)
            begin = time.perf_counter()
        spent[name] = 1e3 * sum(waits) / len(waits)
    return spent


def measured(pictures: int, side: int, rounds: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="onchip-folder-") as name:
        place = Path(name)
        make(place / "pictures", pictures, side)
        print(f"{pictures:,} pictures of {side}x{side} written", flush=True)
        starts = []
        for number in (1, 2):
            starts.append(start(place, number))
            print(f"start {number}: {starts[-1]}", flush=True)
        begin = time.perf_counter()
        listed = []
        grown = peak_growth(lambda: listed.extend(list_classes(place / "pictures/train", hashlib.sha256())), steps=1)
        listing = {"seconds": time.perf_counter() - begin, "peak_growth_mib": grown}
        print(f"listing: {listing}", flush=True)
        data = load(f"folder:{place / 'pictures'}", root=place)
        (file,) = (place / "decoded").glob("*.npy")
        gathered = {str(batch): gathering(data.train, file, batch, rounds) for batch in GATHERED}
        cold = waiting(data.train, file)
        print(f"waiting for a cold file, ms per batch: {cold}", flush=True)
        print(f"gathering, times as fast as from memory: {gathered}", flush=True)
    return {"cpus": os.cpu_count(), "starts": starts, "listing": listing, "gathering": gathered, "cold": cold}


def table(result: dict[str, Any]) -> str:
    """The tables of docs/large-data.md."""
    first, second = result["starts"]
    starts = {"pictures decoded": ("decoded", ","), "seconds": ("seconds", ".0f")}
    starts |= {
        "seconds of training, one epoch": ("training_seconds", ".0f"),
        "peak of resident memory, MiB": ("peak_mib", ",.0f"),
    }
    listing, gathered = result["listing"], result["gathering"]
    facts = {
        "pixels, MiB": f"{result['pixels_mib']:,.0f}",
        "listing the training pictures, s": f"{listing['seconds']:.1f}",
        "listing the training pictures, MiB": f"{listing['peak_growth_mib']:.1f}",
        **{
            f"batches of {batch}, {way}: times as fast as from a tensor": f"{each['times_as_fast']:.2f}"
            for batch, ways in gathered.items()
            for way, each in ways.items()
        },
        **{
            f"waiting for a batch of 32, file not in the page cache, {how}, ms": f"{wait:.1f}"
            for how, wait in result["cold"].items()
        },
        "machine": f"{result['cpus']} CPUs, {result['machine']}, {result['date']}",
    }
    return "\n".join(
        [
            "| | first start | second start |",
            "| --- | ---: | ---: |",
            *(f"| {name} | {first[key]:{form}} | {second[key]:{form}} |" for name, (key, form) in starts.items()),
            "",
            "| | |",
            "| --- | ---: |",
            *(f"| {name} | {value} |" for name, value in facts.items()),
        ]
    )


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), sys.argv[3:])
        return
    options = parser(__doc__, 10, 1)
    options.add_argument("--pictures", type=int, default=200_000, help="at least 40")
    options.add_argument("--side", type=int, default=64, help="pixels")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    result = measured(given.pictures, given.side, given.rounds)
    size = given.pictures * 3 * given.side**2 / 2**20
    settings: dict[str, Any] = {"pictures": given.pictures, "side": given.side, "net": NET, "pixels_mib": size}
    whole = {**about(**settings), **result}
    print(table(whole))
    save(given.json, whole)


if __name__ == "__main__":
    main()
