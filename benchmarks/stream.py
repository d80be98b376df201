"""Does the memory of a stream grow with the number of time steps?

    python benchmarks/stream.py [--net conv_wide] [--batch 32] [--json FILE]

One training step of `opzo` (causal) and `ottt` on sequences of T = 6, 24 and 96 steps: once as a stream, which
does forward, error, trace and gradient at each time step, and once as a whole sequence. Each measurement is the rise
of resident memory to its peak in a process of its own (Linux only), with the input, which is the caller's, already
there.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import platform
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F

from onchip import models, rules
from onchip.learning.centering import Causal
from onchip.learning.rule import Rule

LENGTHS = (6, 24, 96)
SHAPE, CLASSES = (1, 28, 28), 10
FORMS = ("stream", "whole")
RULES = ("ottt", "opzo")


def rule_of(name: str, net: str) -> Rule:
    model = getattr(models, net)(SHAPE, CLASSES)
    return rules.opzo(model, centering=Causal()) if name == "opzo" else rules.ottt(model)


def growth(name: str, form: str, length: int, net: str, batch: int) -> float:
    """MiB by which resident memory rises at most in one training step, after one on a short sequence."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    frames = (torch.rand(length, batch, *SHAPE) < 0.3).float()
    labels = torch.randint(0, CLASSES, (batch,))
    rule = rule_of(name, net)
    step(rule, form, frames[:2], labels)  # kernels, buffers and feedback are made here
    status = Path("/proc/self/status")
    before = _kib(status, "VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    step(rule, form, frames, labels)
    return (_kib(status, "VmHWM") - before) / 2**10


def step(rule: Rule, form: str, frames: torch.Tensor, labels: torch.Tensor) -> None:
    if form == "stream":
        for out in rule.stream(frames):
            rule.backward(F.cross_entropy(out[0], labels))
    else:
        out = rule.forward(frames)
        rule.backward(F.cross_entropy(out.flatten(0, 1), labels.repeat(len(frames))))
    rule.step()


def _kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--net", default="conv_wide", help="a function of onchip.models")
    parser.add_argument("--batch", type=int, default=32, help="samples")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()
    rows: dict[str, dict[int, float]] = {}
    for name in RULES:
        for form in FORMS:
            for length in LENGTHS:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    grown = pool.apply(growth, (name, form, length, options.net, options.batch))
                rows.setdefault(f"{name}, {form}", {})[length] = grown
            cells = " | ".join(f"{grown:8.1f}" for grown in rows[f"{name}, {form}"].values())
            print(f"{name + ', ' + form:>14} | {cells}   MiB at T = {', '.join(map(str, LENGTHS))}", flush=True)
    if options.json is not None:
        machine = f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
        about = {"net": options.net, "batch": options.batch, "date": date.today().isoformat(), "machine": machine}
        options.json.write_text(json.dumps({**about, "peak_growth_mib": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
