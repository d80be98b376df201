"""How does the time of a training step grow with time steps, batch, width and depth?

    python benchmarks/scaling.py [--rules bp,dfa] [--axes T,B] [--rounds 11] [--json FILE]

Along each axis one number changes and all else stays: time steps T, samples B, the width of all hidden layers, and
their number. All points of an axis, under all rules, take one step per round, in turn, on one thread. In each round a
straight line is fitted to the logarithms; its slope is the exponent, of which the median and the quartiles over rounds
are given. A step that takes twice the time for twice the work has an exponent of 1. The abscissa of width and depth is
the number of products of a step: it grows with the square of the width, and the first layer has fewer than the others.
What does not grow, such as Python's own work and layers that stay as they are, makes an exponent smaller.

The feed-forward network gets frames, the recurrent one sequences of spikes. Memory that is freed is kept, as the
command line of `onchip` does (onchip.allocator).
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F

from _measure import Step, about, in_turns, parser, save
from onchip import allocator, kernels, nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import UnsupportedError
from onchip.learning.rule import Rule
from onchip.models.layout import Layout

CLASSES = 10
RATE = 0.1
"""Share of input spikes."""
RULES = "bp", "ottt", "fbp", "dfa", "opzo", "eprop"
IN_PRODUCTS = "width", "depth"
"""Axes whose abscissa is the number of products: a wider layer has more than its share, the first layer fewer."""


@dataclass(frozen=True)
class Point:
    """A network and an input.

    Args:
        layout: The network.
        shape: Its input at a time step.
        steps: T.
        batch: B.
        value: Its place on the axis; along width and depth, the number of products is fitted in its place.
    """

    layout: str
    shape: tuple[int, ...]
    steps: int
    batch: int
    value: int = 0


def _convolutions(maps: int, layers: int) -> str:
    return "-".join([f"{maps}C3"] * layers)


def _axis(base: Point, **values: Sequence[int]) -> list[Point]:
    ((name, numbers),) = values.items()
    return [replace(base, value=number, **{name: number}) for number in numbers]


CONV = Point("16C3-P2-32C3-P2", (1, 28, 28), 6, 16)
RECURRENT = Point("R256", (128,), 64, 32)
AXES: dict[str, dict[str, list[Point]]] = {
    "convolutions": {
        "T": _axis(CONV, steps=(8, 16, 32, 64)),
        "B": _axis(CONV, batch=(16, 32, 64, 128)),
        "width": [replace(CONV, layout=f"{k}C3-P2-{2 * k}C3-P2", value=k) for k in (16, 32, 48, 64)],
        "depth": [replace(CONV, layout=_convolutions(32, n), shape=(1, 14, 14), value=n) for n in (2, 4, 6, 8)],
    },
    "recurrent": {
        "T": _axis(RECURRENT, steps=(64, 128, 256, 512)),
        "B": _axis(RECURRENT, batch=(32, 64, 128, 256)),
        "width": [replace(RECURRENT, layout=f"R{k}", value=k) for k in (256, 384, 512, 768)],
        "depth": [replace(RECURRENT, layout="-".join(["R256"] * n), value=n) for n in (1, 2, 3, 4)],
    },
}


def attached(point: Point, name: str) -> Rule:
    """A rule on a new network.

    Raises:
        UnsupportedError: It cannot train this network.
    """
    torch.manual_seed(0)
    made: Rule = getattr(rules, name)(Layout(point.layout)(point.shape, CLASSES, neuron=nn.LIF))
    return made


def stepper(point: Point, name: str) -> Step:
    """A training step at a point, under a rule."""
    rule = attached(point, name)
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-4, fused=True)
    signal = (torch.rand(point.steps, point.batch, *point.shape) < RATE).float()
    labels = torch.randint(0, CLASSES, (point.batch,))
    repeated = labels.repeat(point.steps)

    def step() -> None:
        rule.forward(signal)
        losses = [F.cross_entropy(out.flatten(0, 1), repeated) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum(), targets=labels if rule.by_target else None)
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def products(point: Point, name: str) -> int:
    """Scalar products of a training step, zeros included."""
    rule = attached(replace(point, steps=2, batch=1), name)
    rule.observe(ledger := Ledger())
    out = rule.forward(torch.zeros(2, 1, *point.shape))
    losses = [F.cross_entropy(each.flatten(0, 1), torch.zeros(2, dtype=torch.int64)) for each in rule.outputs]
    targets = torch.zeros(1, dtype=torch.int64) if rule.by_target else None
    rule.backward(torch.stack(losses).sum() + 0 * out.sum(), targets=targets)
    counted = ledger.summary()
    of_two = sum(int(counted[f"products_{part}"]) for part in ("forward", "error", "update"))
    return of_two * point.steps * point.batch // 2


def exponents(abscissae: Sequence[float], times: Sequence[Sequence[float]]) -> list[float]:
    """The slope of log(time) over log(abscissa) in each round, by least squares.

    Args:
        abscissae: One per point.
        times: Of each point, one per round.
    """
    logs = [math.log(each) for each in abscissae]
    center = statistics.mean(logs)
    spread = sum((each - center) ** 2 for each in logs)
    return [
        sum((x - center) * math.log(spent) for x, spent in zip(logs, in_round, strict=True)) / spread
        for in_round in zip(*times, strict=True)
    ]


def measure(points: Sequence[Point], axis: str, chosen: Sequence[str], rounds: int) -> dict[str, dict[str, Any]]:
    """The exponent of each rule along an axis, with quartiles, and the milliseconds of its steps."""
    works: dict[tuple[str, int], Step] = {}
    for name in chosen:
        for point in points:
            works[name, point.value] = stepper(point, name)
    labelled = {f"{name} {value}": work for (name, value), work in works.items()}
    times = in_turns(labelled, rounds, warm_up=2)
    rows = {}
    for name in chosen:
        spent = [times[f"{name} {point.value}"] for point in points]
        places = [float(products(point, name) if axis in IN_PRODUCTS else point.value) for point in points]
        low, middle, high = statistics.quantiles(exponents(places, spent), n=4)
        rows[name] = {
            "exponent": middle,
            "quartile_low": low,
            "quartile_high": high,
            "values": [point.value for point in points],
            "abscissae": places,
            "milliseconds": [1e3 * statistics.median(each) for each in spent],
        }
    return rows


def trainable(points: Sequence[Point], chosen: Sequence[str]) -> list[str]:
    """The rules that can train these networks."""
    fitting = []
    for name in chosen:
        try:
            attached(points[0], name)
        except UnsupportedError as refusal:
            print(f"left out: {refusal}")
            continue
        fitting.append(name)
    return fitting


def main() -> None:
    arguments = parser(__doc__, 11, threads=1)
    arguments.add_argument("--rules", default=",".join(RULES), help="separated by commas")
    arguments.add_argument("--nets", default=",".join(AXES), help="separated by commas")
    arguments.add_argument("--axes", default="T,B,width,depth", help="separated by commas")
    options = arguments.parse_args()
    unknown = set(options.rules.split(",")) - set(rules.__all__)
    if unknown:
        arguments.error(f"got --rules {options.rules}; expected rules out of {', '.join(rules.__all__)}")
    for what, known in (("nets", AXES), ("axes", AXES["recurrent"])):
        if not set(getattr(options, what).split(",")) <= set(known):
            arguments.error(f"got --{what} {getattr(options, what)}; expected some of {', '.join(known)}")
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", ".*layer .* is silent")  # rates are of no account here
    result: dict[str, Any] = about(rounds=options.rounds, kept=allocator.keep(), kernels=kernels.active())
    result["nets"] = {}
    for net in options.nets.split(","):
        result["nets"][net] = measured = {}
        for axis in options.axes.split(","):
            points = AXES[net][axis]
            measured[axis] = measure(points, axis, trainable(points, options.rules.split(",")), options.rounds)
            for name, row in measured[axis].items():
                quartiles = f"({row['quartile_low']:.2f} to {row['quartile_high']:.2f})"
                taken = ", ".join(f"{each:.1f}" for each in row["milliseconds"])
                print(f"{net:13} {axis:6} {name:6} {row['exponent']:5.2f} {quartiles:16} {taken} ms", flush=True)
    save(options.json, result)


if __name__ == "__main__":
    main()
