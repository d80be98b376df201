"""Targets for the steps of benchmarks/step.py, and whether they are reached."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from onchip.report.markdown import markdown_table

__all__ = ["TARGETS", "Target", "checked"]

Rows = dict[str, dict[str, float]]
NAN = float("nan")

BPTT = ("spikingjelly BPTT", "snnTorch BPTT", "Norse BPTT")
"""Steps of other libraries that compute the same gradients as `bp`."""


@dataclass(frozen=True)
class Target:
    """A target for one of our steps, relative to other steps of the same run.

    Args:
        net: The network of the run.
        own: The name of our step.
        others: The steps to compare with; the best of them counts.
        goal: How many times as fast as the others; for memory, the largest share of their memory.
        memory: Whether peak memory is compared instead of speed.
    """

    net: str
    own: str
    others: tuple[str, ...]
    goal: float
    memory: bool = False

    def measured(self, rows: Rows) -> float:
        """The speed or the memory relative to the others; NaN where a step was not measured."""
        known = [rows[other] for other in self.others if other in rows]
        if self.own not in rows or not known:
            return NAN
        if self.memory:
            return rows[self.own]["peak_growth_mib"] / min(row["peak_growth_mib"] for row in known)
        return rows[self.own]["ratio"] / max(row["ratio"] for row in known)


TARGETS = (
    Target("conv_wide", "bp, static", ("floor",), 2.0),
    Target("conv_wide", "bp, frames", ("floor",), 1.4),
    Target("conv_wide", "bp, frames", ("floor, channels_last",), 1.1),
    Target("conv_wide", "bp, static, torch", ("floor",), 1.4),
    Target("conv_wide", "bp, static", BPTT, 2.5),
    Target("conv_wide", "bp, frames", BPTT, 1.8),
    Target("conv_wide", "dfa, static", ("floor",), 2.4),
    Target("conv_wide", "opzo, static", ("floor",), 2.2),
    Target("conv_wide", "opzo, static", ("bp, static",), 1.15),
    Target("conv_wide", "bp, static", BPTT, 0.5, memory=True),
    Target("conv_wide", "bp, frames, in chunks", BPTT, 0.5, memory=True),
    Target("conv_wide", "ottt, static", ("spikingjelly OTTT",), 0.5, memory=True),
    Target("conv_wide", "bp, frames, in chunks", ("spikingjelly OTTT",), 0.5, memory=True),
    Target("mlp_wide", "bp, static", BPTT, 1.5),
    Target("mlp_wide", "bp, frames", BPTT, 1.5),
    Target("mlp_wide", "bp, static", BPTT, 0.5, memory=True),
    Target("conv_rgb", "ottt, static", ("spikingjelly OTTT",), 2.0),
    Target("conv_rgb", "ottt, frames", ("spikingjelly OTTT",), 2.0),
)


def checked(results: dict[str, dict[str, Any]], kept: dict[str, dict[str, Any]]) -> str:
    """A table of all targets whose steps were measured.

    Args:
        results: The result of each net with the system's default allocator.
        kept: The result of some nets with freed memory kept.
    """
    rows = []
    for target in TARGETS:
        numbers = [target.measured(runs[target.net]["rows"]) if target.net in runs else NAN for runs in (results, kept)]
        if all(map(math.isnan, numbers)):
            continue
        others = "the best peer" if target.others is BPTT else target.others[0]
        quantity, bound = ("memory", "at most") if target.memory else ("speed", "at least")
        cells = target.net, target.own, f"{others}, {quantity}", f"{bound} {target.goal:g}"
        rows.append((*cells, *(_cell(target, number) for number in numbers)))
    return markdown_table(("net", "step", "relative to", "target", "measured", "memory kept"), rows) + "\n"


def _cell(target: Target, number: float) -> str:
    if math.isnan(number):
        return ""
    reached = number <= target.goal if target.memory else number >= target.goal
    return f"{number:.2f}" if reached else f"{number:.2f}, not reached"
