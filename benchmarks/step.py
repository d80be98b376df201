"""How fast is a training step, and how much memory does it take, beside the same network without neurons?

    python benchmarks/step.py [--net conv_wide] [--rules bp,dfa] [--rounds 15] [--threads 1] [--json FILE]

The floor is the network with ReLU in place of neurons, trained by plain torch on the same T·B images, in
torch's default memory layout. Every contender takes one step in each round, in turn, so that a noisy machine
disturbs all alike; a ratio is taken inside each round. On one thread the clock counts the processor's seconds,
which other programs lengthen less than the wall's. Each has a process of its own. Peak memory is the highest
rise of resident memory over its first steps (Linux only).

Two kinds of input: `static`, one image held for T steps, which the first layer multiplies once; and `frames`,
the same images written out over time, as event data would come. `torch` stands for kernels in plain torch, as
without a compiler. Other libraries take part where they are installed (peers.py).
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
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, kernels, models, nn, rules
from onchip.errors import UnsupportedError
from peers import Step, peers

STEPS = 6
CLASSES = 10
SHAPES: dict[str, tuple[int, int, int]] = {"conv_wide": (1, 28, 28), "mlp_wide": (1, 28, 28), "conv_rgb": (3, 32, 32)}
BATCH = {"conv_wide": 64, "mlp_wide": 128, "conv_rgb": 8}
WARM_UP = 3


def network(net: str) -> nn.Sequential:
    """The spiking network: one of `onchip.models`, or 64C3-P2-128C3-P2-256C3-P2-classes."""
    if net != "conv_rgb":
        return getattr(models, net)(SHAPES[net], CLASSES)
    layers: list[torch.nn.Module] = []
    for inputs, maps in ((3, 64), (64, 128), (128, 256)):
        layers += [nn.Conv2d(inputs, maps, 3, padding=1), nn.LIF(), nn.AvgPool2d(2)]
        with torch.no_grad():
            layers[-3].weight.mul_(models.DEEP_GAIN if maps > 64 else models.GAIN)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, CLASSES))


def images(net: str) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.rand(BATCH[net], *SHAPES[net]), torch.randint(0, CLASSES, (BATCH[net],)).repeat(STEPS)


def floor(net: str, memory_format: torch.memory_format) -> Step:
    """The network without neurons on T·B images, all in plain torch."""
    batch, labels = images(net)
    frames = batch.repeat(STEPS, 1, 1, 1).contiguous(memory_format=memory_format)
    layers = [torch.nn.ReLU() if isinstance(layer, nn.LIF) else layer for layer in network(net)]
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
    rule = getattr(rules, name)(network(net))
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        rule.forward(signal)
        losses = [F.cross_entropy(out.flatten(0, 1), labels) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def without_compiler(net: str, name: str, *, static: bool) -> Step:
    """As `ours`, by kernels in plain torch."""
    inner = ours(net, name, static=static)

    def step() -> None:
        with kernels.forced("torch"):
            inner()

    return step


def contenders(net: str, chosen: list[str]) -> dict[str, Callable[[], Step]]:
    """Every step to measure, the floors first."""
    made: dict[str, Callable[[], Step]] = {
        "floor": lambda: floor(net, torch.contiguous_format),
        "floor, channels_last": lambda: floor(net, torch.channels_last),
    }
    for name in chosen:
        for kind in ("static", "frames"):
            made[f"{name}, {kind}"] = partial(ours, net, name, static=kind == "static")
    for kind in ("static", "frames"):
        made[f"{chosen[0]}, {kind}, torch"] = partial(without_compiler, net, chosen[0], static=kind == "static")
    batch, labels = images(net)
    return made | peers(network(net), Static(batch, STEPS).expand().contiguous(), labels)


def seconds(step: Step) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    begin = clock()
    step()
    return clock() - begin


def contender(pipe: Connection, net: str, chosen: list[str], name: str, threads: int) -> None:
    """One way to make a step, in a process and with a heap of its own: its peak of memory, then a step at each call.

    In one process the heap that one contender leaves behind would spare the next its page faults.
    """
    torch.set_num_threads(threads)
    try:
        step = contenders(net, chosen)[name]()
    except UnsupportedError as refusal:
        pipe.send(refusal)
        return
    pipe.send(peak_growth(step))
    while pipe.recv():
        pipe.send(seconds(step))


def peak_growth(step: Step) -> float:
    """MiB by which resident memory rose at most during a few steps; NaN where the system is not Linux."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    before = _kib(status, "VmRSS") if reset.exists() else 0
    if reset.exists():
        reset.write_text("5")  # forgets the peak so far, that of importing torch
    for _ in range(WARM_UP):
        step()
    return (_kib(status, "VmHWM") - before) / 2**10 if reset.exists() else float("nan")


def _kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def measure(net: str, chosen: list[str], rounds: int) -> dict[str, dict[str, float]]:
    fresh = multiprocessing.get_context("spawn")
    pipes, memory = {}, {}
    for name in contenders(net, chosen):
        pipe, far = fresh.Pipe()
        fresh.Process(target=contender, args=(far, net, chosen, name, torch.get_num_threads()), daemon=True).start()
        memory[name], pipes[name] = pipe.recv(), pipe
    for name in [name for name, grown in memory.items() if isinstance(grown, UnsupportedError)]:
        print(f"left out: {memory[name]}", file=sys.stderr)
        del pipes[name]
    times: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    rows = {}
    for name, spent in times.items():
        ratios = [base / own for base, own in zip(times["floor"], spent, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "samples_per_second": BATCH[net] / statistics.median(spent),
            "ratio": middle,
            "ratio_quartile_low": low,
            "ratio_quartile_high": high,
            "peak_growth_mib": memory[name],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=sorted(SHAPES), default="conv_wide")
    parser.add_argument("--rules", default=",".join(rules.__all__), help="separated by commas; by default all")
    parser.add_argument("--threads", type=int, help="of torch; by default as many as it takes by itself")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2; more give steadier quartiles")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error(f"got --rounds {options.rounds}; expected at least 2")
    chosen = options.rules.split(",")
    unknown = set(chosen) - set(rules.__all__)
    if unknown:
        parser.error(f"got --rules {options.rules}; there are {', '.join(rules.__all__)}")
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options.net, chosen, options.rounds)
    result = {
        "net": options.net,
        "steps": STEPS,
        "batch": BATCH[options.net],
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "kernels": kernels.active(),
        "rows": rows,
    }
    head = {key: value for key, value in result.items() if key != "rows"}
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    print(f"{'step':26} {'samples/s':>10} {'against the floor (quartiles)':>32} {'peak MiB':>9}")
    for name, row in rows.items():
        spread = f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})"
        print(f"{name:26} {row['samples_per_second']:10.0f} {spread:>32} {row['peak_growth_mib']:9.0f}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
