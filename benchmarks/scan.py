"""How close to the memory bandwidth are the scans over time of LIF neurons, forward and backward?

    python benchmarks/scan.py [--device cuda] [--elements N] [--rounds 15] [--threads 1] [--json FILE]

One layer without a pool, with N neurons times T = 8 steps: `forward` reads the drive and writes potentials and spikes,
`backward` reads potentials and errors and writes errors, so 6 numbers are moved per neuron and step. The limit is the
bandwidth of a plain copy of the same tensor, measured in the same round. Drives are restored, untimed, between rounds.
"""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import torch
from torch import Tensor

from _measure import about, paired, parser, save, seconds
from onchip import kernels
from onchip.kernels import native
from onchip.kernels.lif import Membrane, backward, forward
from onchip.report.markdown import markdown_table
from onchip.surrogate import Sigmoid

STEPS = 8
MOVED = 6
"""Numbers that `forward` and `backward` read and write per neuron and step; a copy moves 2."""
ELEMENTS = {"cuda": 64 * 2**20, "cpu": 8 * 2**20}
MEMBRANE, SURROGATE = Membrane(0.5, 1.0, False, False), Sigmoid()


def variants(device: torch.device) -> list[tuple[str, torch.dtype, native.Choice]]:
    """The kernels that are measured: name, dtype and choice of kernel."""
    fast: native.Choice = "triton" if device.type == "cuda" else "native"
    chosen: list[tuple[str, torch.dtype, native.Choice]] = []
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        with kernels.forced("auto"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the result shows which kernels are missing
            available = kernels.active(device) == fast
        chosen += [(f"{fast}, {name}", dtype, fast)] if available else []
        chosen.append((f"torch, {name}", dtype, "torch"))
    return chosen


def measure(device: torch.device, elements: int, rounds: int) -> dict[str, dict[str, float]]:
    """GB/s of every variant, and its share of the GB/s of a copy."""
    torch.manual_seed(0)
    shape = (STEPS, 1, elements // STEPS)
    numbers = torch.randn(shape, device=device) + 0.4
    rows = {}
    for name, dtype, choice in variants(device):
        drive, error, other = (torch.randn(shape, device=device).to(dtype) for _ in range(3))
        bytes_moved = MOVED * drive.numel() * drive.element_size()

        def both(drive: Tensor = drive, error: Tensor = error) -> None:
            _, potentials, _ = forward(drive, None, MEMBRANE, None, None)
            backward(potentials, error, MEMBRANE, SURROGATE, None)

        def copied(drive: Tensor = drive, other: Tensor = other) -> None:
            other.copy_(drive)

        bandwidths: list[tuple[float, float]] = []  # of the scans and of the copy
        with kernels.forced(choice):
            for _ in range(rounds + 2):  # the first two warm up
                drive.copy_(numbers)
                copy = bytes_moved / 3 / seconds(copied, device)
                bandwidths.append((bytes_moved / seconds(both, device), copy))
        scans, copies = zip(*bandwidths[2:], strict=True)
        low, middle, high = paired(scans, copies)
        rows[name] = {
            "gigabytes_per_second": statistics.median(scans) / 1e9,
            "share_of_copy": middle,
            "quartile_low": low,
            "quartile_high": high,
        }
    return rows


def table(result: dict[str, Any]) -> str:
    """The result as docs/gpu.md shows it."""
    rows = [
        (
            name,
            f"{row['gigabytes_per_second']:.1f}",
            f"{row['share_of_copy']:.2f} ({row['quartile_low']:.2f} to {row['quartile_high']:.2f})",
        )
        for name, row in result["rows"].items()
    ]
    settings = f"{result['elements'] / 2**20:g} M elements, T = {result['steps']}, {result['rounds']} rounds"
    described = f"{settings}, {result['machine']}, torch {result['torch']}, {result['date']}."
    return markdown_table(("scan", "GB/s", "share of the GB/s of a copy"), rows) + f"\n\n{described}"


def main() -> None:
    arguments = parser(__doc__, 15)
    arguments.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments.add_argument("--elements", type=int, help="neurons times steps; by default 64 M on a GPU, 8 M on a CPU")
    options = arguments.parse_args()
    device = torch.device(options.device)
    elements = options.elements or ELEMENTS.get(device.type, ELEMENTS["cpu"])
    if elements < STEPS:
        arguments.error(f"--elements is at least {STEPS}")
    if options.threads:
        torch.set_num_threads(options.threads)
    result = about(steps=STEPS, elements=elements, rounds=options.rounds)
    result["machine"] = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{result['machine']}, {result['threads']} thread(s)"
    )
    result["rows"] = measure(device, elements, options.rounds)
    print(table(result))
    save(options.json, result)


if __name__ == "__main__":
    main()
