"""How fast is a training step, and how much memory does it take, beside the same network without neurons?

    python benchmarks/step.py [--net conv_wide] [--rounds 15] [--json FILE]

The floor is the network with ReLU in place of neurons, trained by plain torch on the same T·B images, in
torch's default memory layout. Every contender takes one step in each round, in turn, so that a noisy machine
disturbs all alike; a ratio is taken inside each round. Peak memory is the highest rise of resident
memory over a few steps in a process of its own (Linux only).

Two kinds of input: `static`, one image held for T steps, which the first layer multiplies once; and `frames`,
the same images written out over time, as event data would come.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, models, rules
from onchip.errors import UnsupportedError
from onchip.neurons import LIF

STEPS = 6
CLASSES = 10
SHAPES: dict[str, tuple[int, int, int]] = {"conv_wide": (1, 28, 28), "mlp_wide": (1, 28, 28)}
BATCH = {"conv_wide": 64, "mlp_wide": 128}
WARM_UP = 2
MEMORY_STEPS = 4

Step = Callable[[], None]


def images(net: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(BATCH[net], *SHAPES[net]), torch.randint(0, CLASSES, (BATCH[net],)).repeat(STEPS)


def floor(net: str, memory_format: torch.memory_format) -> Step:
    """The network without neurons on T·B images, all in plain torch."""
    batch, labels = images(net)
    frames = batch.repeat(STEPS, 1, 1, 1).contiguous(memory_format=memory_format)
    spiking = getattr(models, net)(SHAPES[net], CLASSES)
    layers = [torch.nn.ReLU() if isinstance(layer, LIF) else layer for layer in spiking]
    model = torch.nn.Sequential(*layers).to(memory_format=memory_format)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        F.cross_entropy(model(frames), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def ours(net: str, name: str, *, static: bool) -> Step:
    """The spiking network under one rule."""
    batch, labels = images(net)
    signal = Static(batch, STEPS) if static else Static(batch, STEPS).expand().contiguous()
    rule = getattr(rules, name)(getattr(models, net)(SHAPES[net], CLASSES))
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        rule.forward(signal)
        losses = [F.cross_entropy(out.flatten(0, 1), labels) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def contenders(net: str) -> dict[str, Callable[[], Step]]:
    """Every step to measure, the floors first."""
    made: dict[str, Callable[[], Step]] = {
        "floor": lambda: floor(net, torch.contiguous_format),
        "floor, channels_last": lambda: floor(net, torch.channels_last),
    }
    for name in rules.__all__:
        for kind in ("static", "frames"):
            made[f"{name}, {kind}"] = lambda name=name, kind=kind: ours(net, name, static=kind == "static")
    return made


def seconds(step: Step) -> float:
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def peak_growth(net: str, name: str) -> float:
    """MiB by which resident memory rose at most during a few steps; NaN where the system is not Linux."""
    step = contenders(net)[name]()
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        return float("nan")
    before = _kib(status, "VmRSS")
    reset.write_text("5")  # forgets the peak so far, that of importing torch
    for _ in range(MEMORY_STEPS):
        step()
    return (_kib(status, "VmHWM") - before) / 2**10


def _kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def measure(net: str, rounds: int) -> dict[str, dict[str, float]]:
    steps = {}
    for name, make in contenders(net).items():
        try:
            steps[name] = make()
        except UnsupportedError as refusal:
            print(f"left out: {refusal}", file=sys.stderr)
    for step in steps.values():
        for _ in range(WARM_UP):
            step()
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(seconds(step))
    fresh = multiprocessing.get_context("spawn")
    rows = {}
    for name in steps:
        with fresh.Pool(1) as pool:
            memory = pool.apply(peak_growth, (net, name))
        ratios = [base / own for base, own in zip(times["floor"], times[name], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "samples_per_second": BATCH[net] / statistics.median(times[name]),
            "ratio": middle,
            "ratio_quartile_low": low,
            "ratio_quartile_high": high,
            "peak_growth_mib": memory,
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=sorted(SHAPES), default="conv_wide")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2; more give steadier quartiles")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error(f"got --rounds {options.rounds}; expected at least 2")
    rows = measure(options.net, options.rounds)
    result = {
        "net": options.net,
        "steps": STEPS,
        "batch": BATCH[options.net],
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "rows": rows,
    }
    head = {key: value for key, value in result.items() if key != "rows"}
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    print(f"{'step':24} {'samples/s':>10} {'against the floor (quartiles)':>32} {'peak MiB':>9}")
    for name, row in rows.items():
        spread = f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})"
        print(f"{name:24} {row['samples_per_second']:10.0f} {spread:>32} {row['peak_growth_mib']:9.0f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
