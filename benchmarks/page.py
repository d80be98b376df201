"""Writes docs/speed.md from the results that are kept with the code.

python benchmarks/page.py > docs/speed.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from targets import checked

RESULTS = Path(__file__).parent / "results"
NETS = {  # those without results are left out
    "conv_wide": "32C3-P2-64C3-P2-10 on 28x28 (`conv_wide`)",
    "mlp_wide": "F800-F800-10 on 784 pixels (`mlp_wide`)",
    "conv_rgb": "64C3-P2-128C3-P2-256C3-P2-10 on 3x32x32",
    "vgg7": "VGG-7 of neurons with spike times on 3x32x32 (`vgg7`)",
}

HEAD = """# Speed

How fast a training step is beside the same network without neurons: ReLU in place of spikes, plain torch, the same
T·B images, float32. Above 1, a spiking step costs less than its dense products in torch's default layout do.

`python benchmarks/step.py --net NAME --threads 1` measures it, other libraries included where they are installed. Each
has a process of its own; all take a step in each round, in turn, and ratios are taken inside a round: their median, and
quartiles. On one thread seconds are the processor's. `static` is one image held for T steps, which the first layer
multiplies once; `frames` are T images, as event data come; spike times come once. The other libraries get frames.
`torch` is without compiled kernels, `in chunks` a batch in four parts. Peak memory is the highest rise over the first
steps, code that is loaded then included; faults are pages that the system hands out in a step. The last column says
where the time goes: products, scans over time, all else (torch's profiler, in steps of their own). *Memory kept* means
that all contenders keep the memory that they free, as the command line of `onchip` does; see below. The machine had two
cores, and other programs at work on them.
"""

ASKED = """
## Asked and reached

"""

BESIDE = """
What is not reached, and why:

- Beside the floor with memory kept: the floor gains most from it, a third of its time. Most of a step of `bp` or `opzo`
  is products that run as fast as the floor's own. Pure torch misses its aim by as little as runs differ.
- `mlp_wide` on frames: of five large products three are dense, the two of the images and the one that takes errors
  down. Those that meet spikes skip zeros. These images have no empty pixels; most data sets have, and skip more.
- With the allocator as it is, runs differ: in one an hour before, `bp` static was 3.28 times the best peer, and `opzo`
  1.13 times `bp`. With memory kept, two runs agreed to a hundredth or two.
- Memory of `ottt` in one piece, not in chunks; and of `mlp_wide`, whose activity is but 7 of the 30 MiB.
- `vgg7` of neurons with spike times has no target. It needs five products, of which three go with spike times and two
  with whether there was a spike, where its floor needs three.
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

Large fully connected layers multiply only what is not zero, where less than four places in ten are taken: spikes, the
pixels of most images, errors of neurons with spike times. The sums are in another order than those of the dense
product, and so differ by rounding. Convolutions stay dense.
"""

MEMORY = """
## Memory

Linux's allocator hands large blocks back to the system as soon as they are free, and a new one costs a fault for each
page, as counted above. The command line tells it to keep them (`onchip.allocator`). Importing the library does not;
`allocator.keep()` does.

A first layer under a static image keeps its drive, one step, in place of T steps of potentials: they are made anew when
the errors come back, and the errors are summed over time where they arise. `--chunk 16` takes a batch 16 samples at a
time (`onchip.training.gradients`): the same gradients to rounding, but for rules that estimate from a batch, such as
`opzo`.

Left out: activity kept as bytes or bits. Products want floats, so that what is saved between two layers is needed
again at once; and chunks give more. Recomputing what other layers keep would cost a product a layer.
"""

COMPILING = """
## torch.compile

`torch.compile(model)` takes all networks: those of LIF neurons as one graph (`fullgraph=True`), others in parts. Rules
do not use it: their gradients are not autograd's. `python benchmarks/compiled.py`, on frames; inference beside
inference, training beside `bp`:
"""

COUNTING = """
## Coincidences

The update of SSNN-BP counts spikes that meet. Packed 64 to a word it is AND and a count of bits, and exact
(`onchip.kernels.popcount`). 784-200, T = 128, batch 100, from bytes, pulses up and pulses down
(`python benchmarks/coincidences.py`):
"""


def table(result: dict[str, Any]) -> str:
    """The rows of one network."""
    layout = result["rows"]["floor, channels_last"]["ratio"]
    steps = f"T = {result['steps']}" if result["steps"] > 1 else "No time steps"
    lines = [
        f"\n## {NETS[result['net']]}{', memory kept' if result['keeps'] else ''}\n",
        f"{steps}, batch {result['batch']}, {result['rounds']} rounds, {_where(result)}\n",
        "| step | samples/s | against the floor | against channels_last | peak MiB | faults | products, scans, rest |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in result["rows"].items():
        spread = f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})"
        cells = name, f"{row['samples_per_second']:.0f}", spread, f"{row['ratio'] / layout:.2f}"
        shares = ", ".join(f"{row[part]:.0%}" for part in ("products", "scans", "rest"))
        memory = f"{row['peak_growth_mib']:.0f} | {row['page_faults']:,.0f}"
        lines.append(f"| {' | '.join(cells)} | {memory} | {shares} |")
    return "\n".join(lines) + "\n"


def counts(result: dict[str, Any]) -> str:
    """The rows of the count of coincidences."""
    lines = ["| way | ms | times as fast |", "| --- | --- | --- |"]
    for name, row in result["rows"].items():
        spread = f"{row['times_as_fast']:.1f} ({row['quartile_low']:.1f} to {row['quartile_high']:.1f})"
        lines.append(f"| {name} | {row['milliseconds']:.1f} | {spread} |")
    return "\n".join(lines) + f"\n\n{result['rounds']} rounds, {_where(result)}\n"


def compiled(result: dict[str, Any]) -> str:
    """The rows of torch.compile, by network."""
    lines = ["| net | what | ms | times as fast | first call, s |", "| --- | --- | --- | --- | --- |"]
    for net, rows in result["nets"].items():
        for name, row in rows.items():
            spread = f"{row['times_as_fast']:.2f} ({row['quartile_low']:.2f} to {row['quartile_high']:.2f})"
            cells = net, name, f"{row['milliseconds']:.1f}", spread, f"{row['first_seconds']:.1f}"
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + f"\n\nT = {result['steps']}, {result['rounds']} rounds, {_where(result)}\n"


def _where(result: dict[str, Any]) -> str:
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{threads}, {result['machine']}, torch {result['torch']}, {result['date']}."


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def main() -> None:
    results = {net: _read(f"step-{net}") for net in NETS if (RESULTS / f"step-{net}.json").exists()}
    kept = {net: _read(f"step-{net}-keep") for net in NETS if (RESULTS / f"step-{net}-keep.json").exists()}
    nets = "".join(table(result) + (table(kept[net]) if net in kept else "") for net, result in results.items())
    asked = ASKED + checked(results, kept) + BESIDE
    compiling = COMPILING + "\n" + compiled(_read("compiled"))
    counting = COUNTING + "\n" + counts(_read("coincidences"))
    print(HEAD + nets + asked + KERNELS + MEMORY + compiling + counting, end="")


if __name__ == "__main__":
    main()
