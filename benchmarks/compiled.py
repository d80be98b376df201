"""Does torch.compile make our networks faster?

    python benchmarks/compiled.py [--rounds 9] [--json FILE]

Inference by `model(signal)`, and a training step by plain autograd, as it is and compiled by torch's own compiler,
which makes each network of LIF neurons one graph; and a step of `bp`, which has no use for it. One thread, frames.
All take a turn in each round; seconds are the processor's. The first call compiles.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from onchip import kernels
from peers import Step
from step import BATCH, STEPS, images, network, ours, seconds, signal_of

NETS = ("conv_wide", "mlp_wide")


def inference(net: str, model: Callable[..., Any]) -> Step:
    signal = signal_of(net, "frames")

    @torch.no_grad()
    def step() -> None:
        model(signal)

    return step


def by_autograd(net: str, model: Callable[..., Any], parameters: list[torch.nn.Parameter]) -> Step:
    """A training step whose gradients are plain autograd's."""
    signal, labels = signal_of(net, "frames"), images(net)[1]
    optimizer = torch.optim.SGD(parameters, lr=1e-3)

    def step() -> None:
        F.cross_entropy(model(signal).flatten(0, 1), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def contenders(net: str) -> dict[str, Step]:
    plain, seen = network(net), network(net)
    compiled = torch.compile(seen, fullgraph=True)
    return {
        "inference": inference(net, plain),
        "inference, compiled": inference(net, compiled),
        "autograd": by_autograd(net, plain, list(plain.parameters())),
        "autograd, compiled": by_autograd(net, compiled, list(seen.parameters())),
        "bp": ours(net, "bp", "frames"),
    }


def measure(net: str, rounds: int) -> dict[str, dict[str, float]]:
    steps = contenders(net)
    first = {}
    for name, step in steps.items():
        begin = time.perf_counter()
        step()
        first[name] = time.perf_counter() - begin
    spent = {name: [] for name in steps}  # type: dict[str, list[float]]
    for _ in range(rounds):
        for name, step in steps.items():
            spent[name].append(seconds(step))
    rows = {}
    for name, own in spent.items():
        base = spent["bp" if name.startswith("autograd") or name == "bp" else "inference"]
        ratios = [ours / theirs for ours, theirs in zip(base, own, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "milliseconds": statistics.median(own) * 1e3,
            "times_as_fast": middle,
            "quartile_low": low,
            "quartile_high": high,
            "first_seconds": first[name],
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="at least 2; more give steadier quartiles")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if options.rounds < 2:
        parser.error(f"got --rounds {options.rounds}; expected at least 2")
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "steps": STEPS,
        "batch": BATCH,
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": 1,
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "kernels": kernels.active(),
        "nets": {net: measure(net, options.rounds) for net in NETS},
    }
    for net, rows in result["nets"].items():
        for name, row in rows.items():
            print(f"{net:10} {name:22} {row['milliseconds']:7.1f} ms, {row['times_as_fast']:.2f} times as fast")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
