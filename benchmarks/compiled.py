"""Does torch.compile make our networks faster?

    python benchmarks/compiled.py [--rounds 9] [--json FILE]

Inference by `model(signal)` and a training step by plain autograd, each with and without torch's compiler, which turns
a network of LIF neurons into one graph; and a step of `bp`, which cannot use the compiler. One thread, frames. All take
one turn in each round; seconds are processor time. The first call compiles.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from _measure import about, in_turns, parser, save, speed
from onchip import kernels
from peers import Step
from step import BATCH, STEPS, images, network, ours, signal_of

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
    plain, original = network(net), network(net)
    compiled = torch.compile(original, fullgraph=True)
    return {
        "inference": inference(net, plain),
        "inference, compiled": inference(net, compiled),
        "autograd": by_autograd(net, plain, list(plain.parameters())),
        "autograd, compiled": by_autograd(net, compiled, list(original.parameters())),
        "bp": ours(net, "bp", "frames"),
    }


def measure(net: str, rounds: int) -> dict[str, dict[str, float]]:
    steps = contenders(net)
    first = {}
    for name, step in steps.items():
        begin = time.perf_counter()
        step()
        first[name] = time.perf_counter() - begin
    times, rows = in_turns(steps, rounds, warm_up=0), {}
    for name, spent in times.items():
        base = "bp" if name.startswith("autograd") or name == "bp" else "inference"
        rows[name] = speed(times[base], spent) | {"first_seconds": first[name]}
    return rows


def main() -> None:
    options = parser(__doc__, 9, threads=1).parse_args()
    torch.set_num_threads(options.threads)
    result = about(steps=STEPS, batch=BATCH, rounds=options.rounds)
    result |= {"kernels": kernels.active(), "nets": {net: measure(net, options.rounds) for net in NETS}}
    for net, rows in result["nets"].items():
        for name, row in rows.items():
            print(f"{net:10} {name:22} {row['milliseconds']:7.1f} ms, {row['times_as_fast']:.2f} times as fast")
    save(options.json, result)


if __name__ == "__main__":
    main()
