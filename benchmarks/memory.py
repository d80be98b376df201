"""Is the memory that `onchip cost --memory` predicts the memory that a training step takes?

    python benchmarks/memory.py [--quick] [--kept] [--json FILE]      ends with the table of docs/memory.md
    python benchmarks/memory.py --recompute [--json FILE]

For a grid of networks, rules, time steps and batches: the predicted peak, and the rise of resident memory to its peak
in two training steps in a new process (Linux only), beyond what that process had with the library loaded and warm.
Glibc hands freed blocks back to the system at once there (MALLOC_MMAP_THRESHOLD_), so that resident memory is what is
allocated; `kept` is the same rise under the setting of the command line, which keeps freed memory for the next step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from datetime import date
from functools import partial
from pathlib import Path

import torch

from _measure import machine, seconds
from onchip import allocator
from onchip.data.samples import IMAGES
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.footprint import Footprint, TrainingSteps
from onchip.training.networks import example_network
from watched import peak_growth

SHAPE, CLASSES = (3, 32, 32), 10
NETS = ("conv-deep", "conv9-narrow", "resnet8", "mlp-wide")
RULES = ("bp", "ottt", "fa", "dfa", "opzo", "local-learning")
STEPS = (4, 8)
BATCHES = (64, 128)
EQUAL_LAYERS = "-".join(["32C3"] * 8) + "-P2-F64"
DEEP = (
    (EQUAL_LAYERS, "bp", 16, 16),
    ("conv9-narrow", "bp", 16, 32),
    ("resnet8", "bp", 16, 32),
    ("conv9-narrow", "ottt", 16, 32),
    ("conv9-narrow", "dfa", 16, 32),
)
QUICK = (("conv-deep", "bp", 4, 64), ("resnet8", "ottt", 4, 64), ("conv-deep", "opzo", 4, 64))
AT_ONCE = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
KEPT = {name: str(value) for name, (_, value) in allocator.SETTINGS.items()}
"""The settings of glibc's allocator: blocks handed back at once, and those of `onchip.allocator`."""


def footprint(net: str, steps: int, **settings: object) -> Footprint:
    """The request of `onchip cost --memory --data 3x32x32`."""
    config = RunConfig(net=net, steps=steps, **settings)  # type: ignore[arg-type]
    return Footprint(config, example_network(net, "lif", SHAPE, CLASSES), SHAPE, CLASSES, IMAGES)


def measured(net: str, rule: str, steps: int, batch: int, settings: dict[str, object]) -> tuple[float, float]:
    """The rise of resident memory in two training steps, in MiB, with the network, in this process; and seconds."""
    warnings.simplefilter("ignore")  # of silent layers
    torch.manual_seed(0)
    torch.set_num_threads(1)
    part = registry.part("rule", rule)
    small = footprint("8C3-P2-16C3-P2-F32", 2, **settings)
    for _ in range(2):
        TrainingSteps(small, part, hollow=False).take(4, 2)  # loads and compiles what is needed
    made: list[TrainingSteps] = []
    spent: list[float] = []

    def step() -> None:
        if not made:
            made.append(TrainingSteps(footprint(net, steps, **settings), part, hollow=False))
        take = partial(made[0].take, batch, steps, settings.get("chunk"))  # type: ignore[arg-type]
        spent.append(seconds(take))

    return peak_growth(step, steps=2), spent[-1]


def in_new_process(
    cell: tuple[str, str, int, int], settings: dict[str, object], environment: dict[str, str]
) -> list[float]:
    """`measured` in a process of its own."""
    command = [sys.executable, __file__, "--cell", json.dumps([*cell, settings])]
    ran = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True)
    return [float(number) for number in ran.stdout.split()]


def row(cell: tuple[str, str, int, int], settings: dict[str, object], *, kept: bool) -> dict[str, object]:
    """Predicted and measured memory of one cell of the grid, in MiB."""
    net, rule, steps, batch = cell
    begin = time.perf_counter()
    need = footprint(net, steps, **settings).need(registry.part("rule", rule))(batch)
    spent = time.perf_counter() - begin
    found = {
        "net": net, "rule": rule, "steps": steps, "batch": batch, **settings,
        "predicted_mib": need.total / 2**20,
        "measured_mib": in_new_process(cell, settings, AT_ONCE)[0],
        "seconds_to_predict": spent,
    }  # fmt: skip
    if kept:
        found["kept_mib"] = in_new_process(cell, settings, KEPT)[0]
    found["error"] = float(found["predicted_mib"]) / float(found["measured_mib"]) - 1.0  # type: ignore[arg-type]
    return found


def recomputed(cell: tuple[str, str, int, int]) -> dict[str, object]:
    """Memory and time of a step with recomputation, beside those without."""
    ways: dict[str, list[float]] = {}
    for name, settings in (("stored", {}), ("recomputed", {"recompute": True})):
        ways[name] = in_new_process(cell, settings, AT_ONCE)
    (stored, time_stored), (less, time_less) = ways.values()
    return {
        **dict(zip(("net", "rule", "steps", "batch"), cell, strict=True)),
        "stored_mib": stored, "recomputed_mib": less, "times_less_memory": stored / less,
        "times_as_long": time_less / time_stored,
    }  # fmt: skip


def page(rows: list[dict[str, object]]) -> str:
    """The table of docs/memory.md: for each network and rule the sizes of the largest step, and the errors of all."""
    cells = []
    for net, rule in dict.fromkeys((str(row["net"]), str(row["rule"])) for row in rows):
        own = [row for row in rows if (row["net"], row["rule"]) == (net, rule)]
        last, errors = own[-1], [100.0 * float(row["error"]) for row in own]  # type: ignore[arg-type]
        sizes = [f"{last[name]:,.0f}" for name in ("predicted_mib", "measured_mib", "kept_mib") if name in last]
        cells.append((f"`{net}`", f"`{rule}`", *sizes, f"{min(errors):+.1f} to {max(errors):+.1f}"))
    heads = ("network", "rule", "predicted", "measured", *(["kept"] if "kept_mib" in rows[0] else []), "errors, %")
    return markdown_table(heads, cells)


def save(path: Path | None, rows: list[dict[str, object]]) -> None:
    """Writes the rows so far."""
    if path is not None:
        about = {"date": date.today().isoformat(), "torch": torch.__version__, "machine": machine()}
        errors = [float(row["error"]) for row in rows if "error" in row]  # type: ignore[arg-type]
        largest = {"largest_error": max(errors, key=abs)} if errors else {}
        path.write_text(json.dumps({**about, **largest, "rows": rows}, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="three cells")
    arguments.add_argument("--kept", action="store_true", help="also measure with memory that is kept")
    arguments.add_argument("--recompute", action="store_true", help="what recomputation saves and takes, instead")
    arguments.add_argument("--settings", type=json.loads, default={}, help='such as {"chunk": 16}')
    arguments.add_argument("--json", type=Path, help="also write the result to this file")
    arguments.add_argument("--cell", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.cell:
        *cell, settings = json.loads(options.cell)
        print(*measured(*cell, settings))
        return
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    if options.recompute:
        for cell in DEEP:
            rows.append(recomputed(cell))
            print(json.dumps(rows[-1]), flush=True)
            save(options.json, rows)
        return
    grid = [(net, rule, steps, batch) for net in NETS for rule in RULES for steps in STEPS for batch in BATCHES]
    for cell in QUICK if options.quick else grid:
        rows.append(row(cell, options.settings, kept=options.kept))
        net, rule, steps, batch = cell
        last = rows[-1]
        kept = f", kept {last['kept_mib']:,.0f}" if options.kept else ""
        print(
            f"{net:>12} {rule:>14} T={steps} B={batch:>3}: predicted {last['predicted_mib']:7,.1f} MiB in "
            f"{last['seconds_to_predict']:.1f} s, measured {last['measured_mib']:7,.1f}{kept} ({last['error']:+.1%})",
            flush=True,
        )
        save(options.json, rows)
    print(page(rows))
    worst = max(rows, key=lambda each: abs(each["error"]))  # type: ignore[arg-type]
    print(f"largest relative error of {len(rows)}: {worst['error']:+.1%} ({worst['net']}, {worst['rule']})")


if __name__ == "__main__":
    main()
