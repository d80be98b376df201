"""How many images per second does a training step process on a GPU, under our rules and in spikingjelly?

    python benchmarks/gpu.py [--net conv_rgb] [--rules bp,ottt,dfa,opzo] [--batch 256] [--rounds 15] [--json FILE]

Networks and optimizer are those of step.py. spikingjelly, where it is installed, is used as in peers.py and chooses its
kernels itself; it is the library there that has kernels for GPUs. Our rules get one static image for T = 6 steps, in
float32 and with products in bfloat16; spikingjelly gets the same images as frames. All take one step per round, in
turn, and ratios to the BPTT of spikingjelly are taken inside a round.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from _measure import about, in_turns, parser, save, seconds, speed
from onchip import Static, kernels, rules
from peers import Step, peers
from step import CLASSES, SHAPES, STEPS, network

WARM_UP = 3


def ours(net: str, name: str, images: Tensor, labels: Tensor, *, rounded: bool) -> Step:
    """A training step of a network under a rule, in float32 or with products in bfloat16."""
    rule = getattr(rules, name)(network(net).to(images.device))
    if rounded:
        rule.in_bfloat16()
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        rule.forward(Static(images, STEPS))
        losses = [F.cross_entropy(out.reshape(-1, CLASSES), labels) for out in rule.outputs]
        targets = labels.view(STEPS, -1) if rule.by_target else None
        rule.backward(torch.stack(losses).sum(), targets=targets)
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def contenders(net: str, chosen: list[str], batch: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    torch.manual_seed(0)
    images = torch.rand(batch, *SHAPES[net], device=device)
    labels = torch.randint(0, CLASSES, (batch,), device=device).repeat(STEPS)
    steps: dict[str, Callable[[], Step]] = {}
    for name in chosen:
        for rounded in (False, True):
            label = f"{name}, {'bfloat16' if rounded else 'float32'}"
            steps[label] = partial(ours, net, name, images, labels, rounded=rounded)
    frames = Static(images, STEPS).expand().contiguous()
    others = peers(network(net).to(device), frames, labels)
    return steps | {name: make for name, make in others.items() if name.startswith("spikingjelly")}


def measure(net: str, chosen: list[str], batch: int, rounds: int, device: torch.device) -> dict[str, dict[str, Any]]:
    """Images per second of each contender, and how many times as fast as the BPTT of spikingjelly it is.

    What fails in its first step has its error in place of numbers, and the others are measured.
    """
    steps: dict[str, Step] = {}
    failed: dict[str, dict[str, str]] = {}
    for name, make in contenders(net, chosen, batch, device).items():
        try:
            (step := make())()
            steps[name] = step
        except Exception as error:
            failed[name] = {"error": f"{type(error).__name__}: {error}"[:500]}
    times = in_turns(steps, rounds, warm_up=WARM_UP, timer=partial(seconds, device=device))
    base = next((name for name in times if "BPTT" in name), None)
    rows: dict[str, dict[str, Any]] = {
        name: {"images_per_second": batch / statistics.median(spent)} | (speed(times[base], spent) if base else {})
        for name, spent in times.items()
    }
    return rows | failed


def main() -> None:
    arguments = parser(__doc__, 15)
    arguments.add_argument("--net", default="conv_rgb", choices=[net for net in SHAPES if net != "vgg7"])
    arguments.add_argument("--rules", default="bp,ottt,dfa,opzo")
    arguments.add_argument("--batch", type=int, default=256, help="images per step")
    arguments.add_argument("--device", default="cuda")
    options = arguments.parse_args()
    if options.batch < 2:
        arguments.error("--batch is at least 2")
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    result: dict[str, Any] = about(net=options.net, steps=STEPS, batch=options.batch, rounds=options.rounds)
    result["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    result["kernels"] = kernels.active(device)
    print(", ".join(f"{key} {value}" for key, value in result.items()))
    result["rows"] = measure(options.net, options.rules.split(","), options.batch, options.rounds, device)
    result["cudnn_tf32"] = torch.backends.cudnn.allow_tf32
    for name, row in result["rows"].items():
        if "error" in row:
            print(f"{name:24} failed: {row['error'].splitlines()[0]}")
            continue
        ratio = f"  {row['times_as_fast']:5.2f} times as fast" if "times_as_fast" in row else ""
        print(f"{name:24} {row['images_per_second']:9.0f} images/s{ratio}")
    save(options.json, result)
    if all("error" in row for row in result["rows"].values()):
        raise SystemExit("every step failed")


if __name__ == "__main__":
    main()
