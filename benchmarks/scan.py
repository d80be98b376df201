"""How near to the memory's limit are the scans over time of LIF neurons, forward and backward?

    python benchmarks/scan.py [--device cuda] [--elements N] [--rounds 15] [--threads 1] [--json FILE]

N neurons and steps together, T = 8, of one layer without a pool: `forward` reads the drive and writes potentials and
spikes, `backward` reads potentials and errors and writes errors, so 6 numbers move a neuron and step. The limit is what
a plain copy of the same tensor moves a second, taken in the same round. Drives are drawn again, untimed, in between.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from onchip import kernels
from onchip.kernels import native
from onchip.kernels.lif import Membrane, backward, forward
from onchip.surrogate import Sigmoid

STEPS = 8
MOVED = 6
"""Numbers that `forward` and `backward` read and write a neuron and step; a copy moves 2."""
ELEMENTS = {"cuda": 64 * 2**20, "cpu": 8 * 2**20}
MEMBRANE, SURROGATE = Membrane(0.5, 1.0, False, False), Sigmoid()


def ways(device: torch.device) -> list[tuple[str, torch.dtype, native.Choice]]:
    """What takes part: kinds of kernels, with what they take."""
    fast: native.Choice = "triton" if device.type == "cuda" else "native"
    found: list[tuple[str, torch.dtype, native.Choice]] = []
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        with kernels.forced("auto"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that they are missing shows in the result
            there = kernels.active(device) == fast and (fast == "triton" or dtype == torch.float32)
        found += [(f"{fast}, {name}", dtype, fast)] if there else []
        found.append((f"torch, {name}", dtype, "torch"))
    return found


def seconds(work: Callable[[], object], device: torch.device) -> float:
    clock = time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif torch.get_num_threads() == 1:
        clock = time.process_time
    begin = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - begin


def measure(device: torch.device, elements: int, rounds: int) -> dict[str, dict[str, float]]:
    """GB/s of every way, and its share of a copy's, by its name."""
    torch.manual_seed(0)
    shape = (STEPS, 1, elements // STEPS)
    numbers = torch.randn(shape, device=device) + 0.4
    rows = {}
    for name, dtype, choice in ways(device):
        drive, error, other = (torch.randn(shape, device=device).to(dtype) for _ in range(3))
        bytes_moved = MOVED * drive.numel() * drive.element_size()

        def both(drive: Tensor = drive, error: Tensor = error) -> None:
            _, potentials, _ = forward(drive, None, MEMBRANE, None, None)
            backward(potentials, error, MEMBRANE, SURROGATE, None)

        def copied(drive: Tensor = drive, other: Tensor = other) -> None:
            other.copy_(drive)

        rates, shares = [], []
        with kernels.forced(choice):
            for _ in range(rounds + 2):  # the first two warm up
                drive.copy_(numbers)
                copy = bytes_moved / 3 / seconds(copied, device)
                rate = bytes_moved / seconds(both, device)
                rates.append(rate)
                shares.append(rate / copy)
        low, middle, high = statistics.quantiles(shares[2:], n=4)
        rows[name] = {
            "gigabytes_per_second": statistics.median(rates[2:]) / 1e9,
            "share_of_copy": middle,
            "quartile_low": low,
            "quartile_high": high,
        }
    return rows


def table(result: dict[str, Any]) -> str:
    """The result as docs/gpu.md shows it."""
    lines = ["| scan | GB/s | share of a copy's |", "| --- | --- | --- |"]
    for name, row in result["rows"].items():
        spread = f"{row['quartile_low']:.2f} to {row['quartile_high']:.2f}"
        lines.append(f"| {name} | {row['gigabytes_per_second']:.1f} | {row['share_of_copy']:.2f} ({spread}) |")
    said = f"{result['elements'] / 2**20:g} M elements, T = {result['steps']}, {result['rounds']} rounds"
    return "\n".join(lines) + f"\n\n{said}, {result['machine']}, torch {result['torch']}, {result['date']}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--elements", type=int, help="neurons times steps; by default 64 M on a GPU, 8 M on a CPU")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2; more give steadier quartiles")
    parser.add_argument("--threads", type=int, help="of torch; by default as many as it takes by itself")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    device = torch.device(options.device)
    elements = options.elements or ELEMENTS.get(device.type, ELEMENTS["cpu"])
    if options.rounds < 2 or (options.threads or 1) < 1 or elements < STEPS:
        parser.error(f"--rounds is at least 2, --threads at least 1, --elements at least {STEPS}")
    if options.threads:
        torch.set_num_threads(options.threads)
    machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"
    result = {
        "steps": STEPS,
        "elements": elements,
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else machine,
        "rows": measure(device, elements, options.rounds),
    }
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
