"""Writes docs/speed.md from the committed results.

python benchmarks/page.py > docs/speed.md
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from onchip.report.markdown import markdown_table
from targets import checked

RESULTS = Path(__file__).parent / "results"
NETS = {  # networks without results are omitted
    "conv_wide": "32C3-P2-64C3-P2-10 on 28x28 (`conv_wide`)",
    "mlp_wide": "F800-F800-10 on 784 pixels (`mlp_wide`)",
    "conv_rgb": "64C3-P2-128C3-P2-256C3-P2-10 on 3x32x32",
    "vgg7": "VGG-7 of neurons with spike times on 3x32x32 (`vgg7`)",
}

HEAD = """# Speed

How fast is a training step, compared with the same network without neurons? That network, the *floor*, has ReLU in
place of neurons and is trained by plain torch on the same T·B images in float32. A ratio above 1 means that the spiking
step takes less time than the dense products of the floor in torch's default memory layout.

`python benchmarks/step.py --net NAME --threads 1` measures this, including other libraries where they are installed.
Every contender has its own process. All contenders take one step per round, in turn, and ratios are taken inside a
round; the tables give their median and quartiles. On one thread, seconds are processor time. `static` is one image that
is constant for T steps, which the first layer multiplies once; `frames` are T images, as event data arrive; spike times
have no time steps. The other libraries get frames. `torch` means without compiled kernels, `in chunks` means a batch in
four parts. Peak memory is the highest rise during the first steps, including code that is loaded then; faults are page
faults per step. The last column gives the shares of products, of scans over time, and of everything else, measured by
torch's profiler in separate steps. *Memory kept* means that all contenders keep the memory that they free, as the
command line of `onchip` does; see below. The machine had two cores, and other programs were running on it.
"""

TARGETS = """
## Targets

"""

NOT_REACHED = """
Targets that are not reached, and the reasons:

- Relative to the floor with memory kept: the floor gains most from kept memory, a third of its time. Most of a step of
  `bp` or `opzo` consists of products that run as fast as those of the floor. Pure torch misses its target by no more
  than the difference between two runs.
- `mlp_wide` on frames: three of the five large products are dense, the two of the images and the one that propagates
  errors. The products with spikes skip zeros. These images have no empty pixels; most data sets have, and skip more.
- With the system's default allocator, runs differ: in a run one hour earlier, `bp` static was 3.28 times as fast as the
  best peer, and `opzo` 1.13 times as fast as `bp`. With memory kept, two runs agreed to one or two hundredths.
- The memory of `ottt` in one piece instead of in chunks; and the memory of `mlp_wide`, whose activity takes only 7 of
  the 30 MiB.
- `vgg7` of neurons with spike times has no target. It needs five products, three with spike times and two with whether
  there was a spike, where its floor needs three.
"""

KERNELS = """
## Where the time goes

A whole sequence is one product per layer; the rest are scans over time. The scans are plain C, which the system's
compiler builds on first use (this takes some seconds, once) and which is stored in the user's cache folder. A block of
neurons runs through all steps while it is in the processor's cache, together with its pool; the potential overwrites
the drive, and the error overwrites the potential. Spikes, potentials and spike times equal those of torch's kernels bit
for bit; traces and errors are equal up to rounding. Buffers above 32 MiB are reused, because the allocator would return
them to the system, and the page faults of a new buffer took longer than the scan. `onchip.kernels.active()` says which
kernels run, and records store it (`versions`). Without a compiler, torch does the work, after one warning; setting the
environment variable `ONCHIP_KERNELS` to `torch` or `native` requires one of them.

Large fully connected layers multiply only values that are not zero, if fewer than four in ten values are not zero:
spikes, the pixels of most images, errors of neurons with spike times. The sums are in a different order than in the
dense product, so results differ by rounding. Convolutions are always dense.
"""

MEMORY = """
## Memory

Linux's allocator returns large blocks to the system as soon as they are freed, and a new block costs one fault per
page, as counted above. The command line tells the allocator to keep them (`onchip.allocator`). Importing the library
does not; `allocator.keep()` does.

A first layer under a static image stores its drive, which is one step, instead of T steps of potentials: the backward
pass recomputes the potentials and sums the errors over time as it computes them. `--chunk 16` splits a batch into parts
of 16 samples (`onchip.training.gradients`). The gradients are the same up to rounding, except for rules that estimate
from a batch, such as `opzo`. `--recompute` stores the inputs of layers alone, spikes as bits, at one more product per
layer; [Memory](memory.md) has both.
"""

RECURRENT = """
## Recurrent networks

64 inputs, 128 LIF neurons with an all-to-all recurrent connection, 10 outputs. The plain loop computes the products and
the gradients of `bp` in torch and autograd, step by step. The other libraries are used with their modules for recurrent
layers: `RLeaky`, `LIFRecurrentCell`, `LinearRecurrentContainer`. Of each library only the time is compared. All take
turns in one process (`python benchmarks/recurrent.py --keep`), which keeps the memory that it frees. The target is 3
times the speed of each library with `bp`, and at least that of the loop.

Without learned decays, LIF, ALIF and CubaLIF neurons with a dense recurrent connection run in compiled code, all steps
in one call: forward, the weights of neurons that fired are added; backward, a few samples at a time go through all
steps while their errors and the weights are in the cache. Other recurrent layers go step by step.
"""

COMPILING = """
## torch.compile

`torch.compile(model)` accepts all networks: networks of LIF neurons as one graph (`fullgraph=True`), others in parts.
Rules do not use it, because autograd does not compute their gradients. `python benchmarks/compiled.py` measures it on
frames; inference is compared with inference, and training with `bp`:
"""

COUNTING = """
## Coincidences

The update of SSNN-BP counts coincidences of spikes. With 64 spikes packed into a word, this is an AND and a population
count, and exact (`onchip.kernels.popcount`). 784-200, T = 128, batch 100, from bytes, pulses up and pulses down
(`python benchmarks/coincidences.py`):
"""


def table(result: dict[str, Any]) -> str:
    """The rows of one network."""
    layout = result["rows"]["floor, channels_last"]["ratio"]
    steps = f"T = {result['steps']}" if result["steps"] > 1 else "No time steps"
    header = "step", "samples/s", "relative to floor", "to channels_last", "peak MiB", "faults", "products, scans, rest"
    rows = [
        (
            name,
            f"{row['samples_per_second']:.0f}",
            f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})",
            f"{row['ratio'] / layout:.2f}",
            f"{row['peak_growth_mib']:.0f}",
            f"{row['page_faults']:,.0f}",
            ", ".join(f"{row[part]:.0%}" for part in ("products", "scans", "rest")),
        )
        for name, row in result["rows"].items()
    ]
    heading = f"\n## {NETS[result['net']]}{', memory kept' if result['keeps'] else ''}\n\n"
    return f"{heading}{steps}, batch {result['batch']}, {_described(result)}\n\n{markdown_table(header, rows)}\n"


def counts(result: dict[str, Any]) -> str:
    """The rows of the count of coincidences."""
    rows = [(name, f"{row['milliseconds']:.1f}", _speed(row, 1)) for name, row in result["rows"].items()]
    return markdown_table(("method", "ms", "times as fast"), rows) + f"\n\n{_described(result)}\n"


def compiled(result: dict[str, Any]) -> str:
    """The rows of torch.compile, by network."""
    rows = [
        (net, name, f"{row['milliseconds']:.1f}", _speed(row, 2), f"{row['first_seconds']:.1f}")
        for net, of_net in result["nets"].items()
        for name, row in of_net.items()
    ]
    header = "net", "step", "ms", "times as fast", "first call, s"
    return markdown_table(header, rows) + f"\n\nT = {result['steps']}, {_described(result)}\n"


def recurrent(result: dict[str, Any]) -> str:
    """The rows of recurrent networks: training steps, then forward passes."""
    rows = [
        (
            what,
            name,
            f"{row['samples_per_second']:,.0f}",
            _speed(row, 2),
            f"{row['first_is_times_as_fast']:.2f}",
        )
        for what in ("training", "forward")
        for name, row in result[what].items()
    ]
    header = "step", "by", "samples/s", "times the speed of the loop", "`bp`, or onchip's forward pass, is faster by"
    about = f"T = {result['steps']}, batch {result['batch']}, {result['spike_rate']:.0%} of the neurons fire in a step"
    return markdown_table(header, rows) + f"\n\n{about}, {_described(result)}\n"


def _speed(row: dict[str, float], digits: int) -> str:
    speed, low, high = (f"{row[key]:.{digits}f}" for key in ("times_as_fast", "quartile_low", "quartile_high"))
    return f"{speed} ({low} to {high})"


def _described(result: dict[str, Any]) -> str:
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    return f"{result['rounds']} rounds, {threads}, {result['machine']}, torch {result['torch']}, {result['date']}."


def _read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def main() -> None:
    results = {net: _read(f"step-{net}") for net in NETS if (RESULTS / f"step-{net}.json").exists()}
    kept = {net: _read(f"step-{net}-keep") for net in NETS if (RESULTS / f"step-{net}-keep.json").exists()}
    nets = "".join(table(result) + (table(kept[net]) if net in kept else "") for net, result in results.items())
    targets = TARGETS + checked(results, kept) + NOT_REACHED
    compiling = COMPILING + "\n" + compiled(_read("compiled"))
    recurring = RECURRENT + "\n" + recurrent(_read("recurrent"))
    counting = COUNTING + "\n" + counts(_read("coincidences"))
    print(HEAD + nets + targets + KERNELS + MEMORY + recurring + compiling + counting, end="")


if __name__ == "__main__":
    main()
