"""Writes docs/speed.md from the results that are kept with the code.

python benchmarks/page.py > docs/speed.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
NETS = {  # those without results are left out
    "conv_wide": "32C3-P2-64C3-P2-10 on 28x28 (`conv_wide`)",
    "mlp_wide": "F800-F800-10 on 784 pixels (`mlp_wide`)",
    "conv_rgb": "64C3-P2-128C3-P2-256C3-P2-10 on 3x32x32",
}

HEAD = """# Speed

How fast a training step is beside the same network without neurons: ReLU in place of spikes, plain torch, the same
T·B images, float32. Above 1, a spiking step costs less than its dense products in torch's default layout do.

`python benchmarks/step.py --net NAME --threads 1` measures it, other libraries included where they are installed. Each
has a process of its own; all take a step in each round, in turn, and ratios are taken inside a round: their median, and
quartiles. On one thread seconds are the processor's. `static` is one image held for T steps, which the first layer
multiplies once; `frames` are T images, as event data come. The other libraries get frames. `torch` is without compiled
kernels. Peak memory is the highest rise over the first steps. The machine had two
cores, and other programs at work on them.
"""

KERNELS = """
## Where the time goes

A whole sequence is one product a layer; what is left are scans over time. They are plain C, built by the system's
compiler when first needed (some seconds, once) and kept in the user's cache folder. A stretch of neurons runs through
all steps while it is in the cache, with its pool; the potential overwrites the drive, and the error the potential.
Spikes, potentials and spike times equal those of torch's kernels bit for bit, traces and errors to rounding. Buffers
above 32 MiB are used again: the allocator would hand them back, and a fault for each page of a new one took longer
than the scan. `onchip.kernels.active()` says which kernels run, and records keep it (`versions`). Without a compiler
torch does the work, after one warning; the environment's `ONCHIP_KERNELS` as `torch` or `native` insists on either.

## Coincidences

The update of SSNN-BP counts spikes that meet. Packed 64 to a word it is AND and a count of bits, and exact
(`onchip.kernels.popcount`). 784-200, T = 128, batch 100, from bytes, pulses up and pulses down
(`python benchmarks/coincidences.py`):
"""


def table(result: dict[str, Any]) -> str:
    """The rows of one network."""
    layout = result["rows"]["floor, channels_last"]["ratio"]
    lines = [
        f"\n## {NETS[result['net']]}\n",
        f"T = {result['steps']}, batch {result['batch']}, {result['rounds']} rounds, {_where(result)}\n",
        "| step | samples/s | against the floor | against a channels_last floor | peak MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, row in result["rows"].items():
        spread = f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})"
        cells = name, f"{row['samples_per_second']:.0f}", spread, f"{row['ratio'] / layout:.2f}"
        lines.append(f"| {' | '.join(cells)} | {row['peak_growth_mib']:.0f} |")
    return "\n".join(lines) + "\n"


def counts(result: dict[str, Any]) -> str:
    """The rows of the count of coincidences."""
    lines = ["| way | ms | times as fast |", "| --- | --- | --- |"]
    for name, row in result["rows"].items():
        spread = f"{row['times_as_fast']:.1f} ({row['quartile_low']:.1f} to {row['quartile_high']:.1f})"
        lines.append(f"| {name} | {row['milliseconds']:.1f} | {spread} |")
    return "\n".join(lines) + f"\n\n{result['rounds']} rounds, {_where(result)}\n"


def _where(result: dict[str, Any]) -> str:
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{threads}, {result['machine']}, torch {result['torch']}, {result['date']}."


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def main() -> None:
    nets = [table(_read(f"step-{net}")) for net in NETS if (RESULTS / f"step-{net}.json").exists()]
    print(HEAD + "".join(nets) + KERNELS + "\n" + counts(_read("coincidences")), end="")


if __name__ == "__main__":
    main()
