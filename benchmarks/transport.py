"""What does a transport of weights cost, in time, beside a training step?

    python benchmarks/transport.py [--net vgg7] [--batch 32] [--rounds 5] [--threads N] [--json FILE]

Spike times on random images of 3x32x32. BP and frozen BP take one step each in every round, in turn, without a
transport; then every scheme makes one event on the same weights, which have moved for some steps of Adam since
the copy was made. Medians over the rounds; a share is that of a step of frozen BP in the same round, so that a
noisy machine disturbs both alike.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from onchip import encoding as encode
from onchip import models, rules
from onchip.learning.rule import Rule
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons import TTFS
from onchip.transport import Cyclic, Full, LowRank, Random, Sign, Threshold, Top, Transport

SHAPE, CLASSES = (3, 32, 32), 10
NEVER = 10**9
"""A period that no run reaches: a step is then free of transports."""
SCHEMES: tuple[Transport, ...] = (
    Full(),
    Top(0.1),
    Top(0.01),
    Threshold(2.0, relative=True),
    Random(0.1),
    Cyclic(0.1),
    Sign(),
    LowRank(),
    LowRank(8),  # what fbp's usual budget buys on VGG-7
)


def step_of(rule: Rule, batch: int) -> Callable[[], None]:
    """One training step on images that stay the same."""
    torch.manual_seed(0)
    signal, labels = encode.Latency()(torch.rand(batch, *SHAPE)), torch.randint(0, CLASSES, (batch,))
    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-4)

    def step() -> None:
        rule.backward(F.cross_entropy(rule.forward(signal), labels))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def measure(net: str, batch: int, rounds: int) -> dict[str, tuple[float, float]]:
    """A step under BP and frozen BP, and an event of each scheme: median seconds, and median share of a step."""
    steps, networks = {}, {}
    made: dict[str, dict[str, int]] = {"bp": {}, "fbp": {"period": NEVER}}
    for name, options in made.items():
        torch.manual_seed(0)
        networks[name] = getattr(models, net)(SHAPE, CLASSES, neuron=TTFS)
        steps[name] = step_of(getattr(rules, name)(networks[name], **options), batch)
    weights = [stage.weight.detach() for stage in build_graph(networks["fbp"]).layers[1:]]
    before = [weight.clone() for weight in weights]
    for step in steps.values():
        step()  # the first is slower
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, step in steps.items():
            times.setdefault(f"step, {name}", []).append(seconds(step))
        for scheme in SCHEMES:
            feedback = [copy.clone() for copy in before]
            spent = seconds(partial(scheme, feedback, weights, 0))
            times.setdefault(repr(scheme), []).append(spent)
    steps_of_fbp = times["step, fbp"]
    return {
        name: (statistics.median(values), statistics.median(v / s for v, s in zip(values, steps_of_fbp, strict=True)))
        for name, values in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", choices=[name for name in models.__all__ if name != "mlp_wide"], default="vgg7")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of torch; by default as many as it takes by itself")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if min(options.batch, options.rounds, options.threads or 1) < 1:
        parser.error("--batch, --rounds and --threads are at least 1")
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options.net, options.batch, options.rounds)
    result = {
        "net": options.net,
        "batch": options.batch,
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "rows": {name: {"seconds": spent, "share": share} for name, (spent, share) in rows.items()},
    }
    print(", ".join(f"{key} {value}" for key, value in result.items() if key != "rows"))
    for name, (spent, share) in rows.items():
        print(f"{name:45} {spent:8.4f} s {100 * share:7.2f} %")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
