"""How many images a second does a training step take on a GPU, under our rules and in spikingjelly?

    python benchmarks/gpu.py [--net conv_rgb] [--rules bp,ottt,dfa,opzo] [--batch 256] [--rounds 15] [--json FILE]

Networks and optimizer are those of step.py, and spikingjelly, where it is installed, is that of peers.py, which chooses
its kernels by itself: of the libraries there it has kernels for GPUs. We get one image held for T = 6 steps,
it gets the same frames. Ours take a turn in float32 and one with products in bfloat16. All take one step in each round,
in turn; ratios to spikingjelly's BPTT are taken inside a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from onchip import Static, kernels, rules
from peers import Step, peers
from step import CLASSES, SHAPES, STEPS, network

WARM_UP = 3


def ours(net: str, name: str, images: Tensor, labels: Tensor, *, rounded: bool) -> Step:
    """A step of a network under a rule."""
    rule = getattr(rules, name)(network(net).to(images.device))
    if rounded:
        rule.in_bfloat16()
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        rule.forward(Static(images, STEPS))
        losses = [F.cross_entropy(out.reshape(-1, CLASSES), labels) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def contenders(net: str, chosen: list[str], batch: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    torch.manual_seed(0)
    images = torch.rand(batch, *SHAPES[net], device=device)
    labels = torch.randint(0, CLASSES, (batch,), device=device).repeat(STEPS)
    made: dict[str, Callable[[], Step]] = {}
    for name in chosen:
        for rounded in (False, True):
            called = f"{name}, {'bfloat16' if rounded else 'float32'}"
            made[called] = partial(ours, net, name, images, labels, rounded=rounded)
    frames = Static(images, STEPS).expand().contiguous()
    others = peers(network(net).to(device), frames, labels)
    return made | {name: make for name, make in others.items() if name.startswith("spikingjelly")}


def seconds(step: Step, device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    begin = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


def measure(net: str, chosen: list[str], batch: int, rounds: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Images a second of each, and how many times those of spikingjelly's BPTT."""
    steps = {name: make() for name, make in contenders(net, chosen, batch, device).items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(WARM_UP + rounds):
        for name, step in steps.items():
            times[name].append(seconds(step, device))
    times = {name: spent[WARM_UP:] for name, spent in times.items()}
    first = next((name for name in times if "BPTT" in name), None)
    rows = {}
    for name, spent in times.items():
        rows[name] = {"images_per_second": batch / statistics.median(spent)}
        if first:
            ratios = [base / own for base, own in zip(times[first], spent, strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            rows[name] |= {"times_as_fast": middle, "quartile_low": low, "quartile_high": high}
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="conv_rgb", choices=[net for net in SHAPES if net != "vgg7"])
    parser.add_argument("--rules", default="bp,ottt,dfa,opzo")
    parser.add_argument("--batch", type=int, default=256, help="images a step")
    parser.add_argument("--rounds", type=int, default=15, help="at least 2; more give steadier quartiles")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if options.rounds < 2 or options.batch < 2:
        parser.error("--rounds and --batch are at least 2")
    device = torch.device(options.device)
    result: dict[str, Any] = {
        "net": options.net,
        "steps": STEPS,
        "batch": options.batch,
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "kernels": kernels.active(device),
    }
    print(", ".join(f"{key} {value}" for key, value in result.items()))
    result["rows"] = measure(options.net, options.rules.split(","), options.batch, options.rounds, device)
    for name, row in result["rows"].items():
        ratio = f"  {row['times_as_fast']:5.2f} times as fast" if "times_as_fast" in row else ""
        print(f"{name:24} {row['images_per_second']:9.0f} images/s{ratio}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
