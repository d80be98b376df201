"""Does the memory of a stream grow with the number of time steps?

    python benchmarks/stream.py [--net conv_wide] [--batch 32] [--json FILE]

One training step of `opzo` (causal) and `ottt` on sequences of T = 6, 24 and 96 steps: once as a stream, which computes
forward pass, error, trace and gradient at each time step, and once as a whole sequence. Each measurement is the rise of
resident memory to its peak in a new process (Linux only); the input is in memory before and is not counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from datetime import date
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F

from _measure import machine
from onchip import models, rules
from onchip.learning.centering import Causal
from onchip.learning.rule import Rule
from watched import peak_growth

LENGTHS = (6, 24, 96)
SHAPE, CLASSES = (1, 28, 28), 10
FORMS = ("stream", "whole")
RULES = ("ottt", "opzo")


def rule_of(name: str, net: str) -> Rule:
    model = getattr(models, net)(SHAPE, CLASSES)
    return rules.opzo(model, centering=Causal()) if name == "opzo" else rules.ottt(model)


def growth(name: str, form: str, length: int, net: str, batch: int) -> float:
    """The peak rise of resident memory in one training step, in MiB, after a step on a short sequence."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    frames = (torch.rand(length, batch, *SHAPE) < 0.3).float()
    labels = torch.randint(0, CLASSES, (batch,))
    rule = rule_of(name, net)
    step(rule, form, frames[:2], labels)  # allocates kernels, buffers and feedback
    return peak_growth(partial(step, rule, form, frames, labels), steps=1)


def step(rule: Rule, form: str, frames: torch.Tensor, labels: torch.Tensor) -> None:
    if form == "stream":
        for out in rule.stream(frames):
            rule.backward(F.cross_entropy(out[0], labels))
    else:
        out = rule.forward(frames)
        rule.backward(F.cross_entropy(out.flatten(0, 1), labels.repeat(len(frames))))
    rule.step()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--net", default="conv_wide", help="a function of onchip.models")
    arguments.add_argument("--batch", type=int, default=32, help="samples per step")
    arguments.add_argument("--json", type=Path, help="also write the result to this file")
    options = arguments.parse_args()
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
        about = {"net": options.net, "batch": options.batch, "date": date.today().isoformat(), "machine": machine()}
        options.json.write_text(json.dumps({**about, "peak_growth_mib": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
