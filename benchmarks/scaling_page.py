"""Writes docs/scaling.md from the kept results.

python benchmarks/scaling_page.py > docs/scaling.md
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from imagenet import CLASSES, EPOCHS, GPU, IMAGES, worked_out
from onchip.report.markdown import markdown_table

RESULTS = Path(__file__).parent / "results"
MOST = 1.1
"""The largest exponent that a step may have where 1 is possible."""
NETS = {"convolutions": "Convolutions", "recurrent": "A recurrent layer"}
VALUES = {
    "convolutions": "`16C3-P2-32C3-P2-10` on frames of 28x28, T = 6, B = 16; the width is that of the first\n"
    "layer, and the depth is the number of layers of 32 maps on 14x14",
    "recurrent": "`R256-10` on 128 inputs, T = 64, B = 32; the depth is the number of recurrent layers of 256",
}

HEAD = """# Scaling

How does the time of a training step grow, and what would ImageNet take?

## Exponents

`python benchmarks/scaling.py` changes one number at a time, fits a straight line to the logarithms of the seconds in
each round, and gives the median and the quartiles of its slope: 1 means twice the time for twice the work. The abscissa
of width and depth is the number of products, which grows with the square of the width. What grows less makes the
exponent smaller than 1: the scans grow with the width itself, Python's part of a step not at all.
"""

WITHIN = """
No exponent is above {most}.
"""
ABOVE = """
Above {most}: {which}.
"""

RANKS = """
Processes (`python benchmarks/ranks.py`): `{net}`, batch {batch} and one thread for each. With N processes a step has N
times the samples, so 0 would be ideal; the efficiency is the samples/s of two over twice those of one.

{table}

{about}.
"""

IMAGENET = """
## What ImageNet would take

**Nothing in this section ran on a GPU, and nobody has trained ImageNet with this package.** Counts are exact, the times
on the CPU are measured, and the times on GPUs are estimates. `python benchmarks/imagenet.py` makes all of them.

The network is ResNet-34 (He et al. 2016) with LIF neurons, T = {steps}, standardized weights, images of
3x{side}x{side} and {classes:,} classes. Its stem is that of the paper's networks for ImageNet (7x7, stride 2, a pool);
`--net resnet34` has the stem for small images, with which such images would take some 16 times as many products.

Counted by the ledger for one image and all its time steps, as `onchip cost` does (products in units of 10^9, zeros
included; numbers in millions; stored activity in a stream where the rule can learn in one):

"""

MEASURED = """
The time is that of a step on one image on one CPU thread, with 10 classes
({about}).
The memory is that of a step on {batch} images, in float32 by `sgd`, as `onchip cost --memory` predicts it.

With so many classes, direct errors are hardly cheaper than those of `bp`: each neuron has a row of {classes:,}
numbers in its feedback matrix, {memory:.0f} GB in float32 for all of them. A coarse grid (`grid=1`: one number per map
and class) avoids both. It has to be no finer than the smallest maps, which here is one number, that of the last pool.
(`dkp` forms the update of its feedback on all pixels and only then on the grid, which suits few classes.)

## Estimates for GPUs

Days for {epochs} epochs of {images:,} images, {batch} per GPU and step, by the formula in the script:

    t(image) = 2 products / (flops utilization) + moved neuron_updates bytes / (bandwidth bandwidth_share)
    t(step)  = batch t(image) + 4 (parameters + feedback) / (bandwidth bandwidth_share)
               + 2 (N - 1) / N 4 reduced / (link link_share)

"""

ASSUMED = """
What is reduced are gradients, and the feedback of rules that learn it from a batch (`dkp`, `opzo`, `local-learning`),
which would limit these on many GPUs. In the last column is the share of the time on 64 GPUs that the reduction takes.
`fbp` refreshes its copy of the weights on each GPU by itself, so nothing is sent between GPUs for it; what it saves is
transport on a chip. Assumed, and to be replaced by numbers that you have measured:

"""

OWN = """
```sh
echo '{"name": "ours", "flops": 8e14, "utilization": 0.25, "batch": 64}' > gpu.json
python benchmarks/imagenet.py --counts benchmarks/results/imagenet.json --gpu gpu.json
```

The data sheet's peaks are of dense products. Convolutions reach a share of them that depends on sizes and layouts; the
utilization of 0.3 is a guess, to which the estimates are nearly proportional. Loading and augmenting images, evaluation
and the optimizer are left out, and so is what overlapping the reduction with products would gain.
"""


def exponents(net: dict[str, Any]) -> str:
    """The exponents of one network: a row per rule, a column per axis."""
    names = list(dict.fromkeys(name for axis in net.values() for name in axis))
    header = ["rule", *(f"{axis} {_range(rows)}" for axis, rows in net.items())]
    body = [(f"`{name}`", *(_exponent(rows[name]) if name in rows else "-" for rows in net.values())) for name in names]
    return markdown_table(header, body)


def ranks(result: dict[str, Any]) -> str:
    """The exponents of a step's time in the number of processes, from one and two."""
    rows = []
    for name, row in result["rows"].items():
        middle, low, high = (row[key] for key in ("efficiency", "efficiency_quartile_low", "efficiency_quartile_high"))
        exponent, least, most = (-math.log2(share) for share in (middle, high, low))
        rows.append((f"`{name}`", f"{exponent:.2f} ({least:.2f} to {most:.2f})", f"{middle:.2f}"))
    return markdown_table(("rule", "processes 1 to 2", "efficiency"), rows)


def above(nets: dict[str, Any]) -> list[str]:
    """What grows faster than it may."""
    return [
        f"`{name}` in {axis} ({net}, {row['exponent']:.2f})"
        for net, axes in nets.items()
        for axis, rows in axes.items()
        for name, row in rows.items()
        if row["exponent"] > MOST
    ]


def counted(rows: dict[str, dict[str, float]]) -> str:
    """What a step on one image takes, by rule."""
    header = ("rule", "forward", "error", "update", "neuron updates, M", "stored activity, M", "feedback, M", "CPU, s")
    header += ("memory, GB",)
    body = [
        (
            f"`{name}`",
            *(f"{row[part] / 1e9:.1f}" for part in ("forward", "error", "update")),
            *(f"{row[part] / 1e6:,.1f}" for part in ("neuron_updates", "stored_activity", "feedback_memory")),
            f"{row['cpu_seconds_per_image']:.2f}",
            f"{row['memory'] / 1e9:.1f}",
        )
        for name, row in rows.items()
    ]
    return markdown_table(header, body)


def estimated(rows: dict[str, dict[str, float]], gpu: GPU) -> str:
    """Days on GPUs, by rule."""
    estimates = worked_out(rows, gpu)
    numbers = list(next(iter(estimates.values())))
    header = "rule", *(f"{number} GPU{'' if number == '1' else 's'}, days" for number in numbers), "MB reduced", "share"
    body = []
    for name, by_number in estimates.items():
        last = by_number[numbers[-1]]
        share = last["reduction"] / last["days"]
        days = [f"{taken['days']:.3f}" for taken in by_number.values()]
        body.append((f"`{name}`", *days, f"{4 * rows[name]['reduced'] / 1e6:,.0f}", f"{share:.0%}"))
    return markdown_table(header, body)


def assumptions(gpu: GPU) -> str:
    """The fields of the GPU, with what each is."""
    documented = (GPU.__doc__ or "").partition("Args:\n")[2].strip().splitlines()
    described = dict(line.strip().split(": ", 1) for line in documented)
    rows = [(f"`{name}`", _number(getattr(gpu, name)), about.rstrip(".")) for name, about in described.items()]
    return markdown_table(("field", "value", "what"), rows)


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _range(rows: dict[str, Any]) -> str:
    values = next(iter(rows.values()))["values"]
    return f"{values[0]} to {values[-1]}"


def _exponent(row: dict[str, Any]) -> str:
    return f"{row['exponent']:.2f} ({row['quartile_low']:.2f} to {row['quartile_high']:.2f})"


def _described(result: dict[str, Any]) -> str:
    return f"{result['rounds']} rounds, 1 thread, {result['machine']}, torch {result['torch']}, {result['date']}"


def _read(name: str) -> dict[str, Any]:
    return dict(json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")))


def main() -> None:
    scaling, large = _read("scaling"), _read("imagenet")
    parts = [HEAD]
    for net, axes in scaling["nets"].items():
        parts.append(f"\n{NETS[net]}: {VALUES[net]}.\n\n{exponents(axes)}\n")
    parts.append(f"\n{_described(scaling)}.\n")
    fast = above(scaling["nets"])
    parts.append(ABOVE.format(most=MOST, which="; ".join(fast)) if fast else WITHIN.format(most=MOST))
    if (RESULTS / "ranks.json").exists():
        both = _read("ranks")
        parts.append(RANKS.format(net=both["net"], batch=both["batch"], table=ranks(both), about=_described(both)))
    rows, gpu = large["rows"], GPU()
    memory = 4 * max(row["feedback_memory"] for row in rows.values()) / 1e9
    parts += [IMAGENET.format(steps=large["steps"], side=large["side"], classes=CLASSES), counted(rows) + "\n"]
    parts.append(
        MEASURED.format(
            about=_described(large), classes=CLASSES, memory=memory, epochs=EPOCHS, images=IMAGES, batch=gpu.batch
        )
    )
    parts += [estimated(rows, gpu) + "\n", ASSUMED, assumptions(gpu) + "\n", OWN]
    print("".join(parts), end="")


if __name__ == "__main__":
    main()
