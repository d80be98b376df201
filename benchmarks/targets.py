"""What the steps of benchmarks/step.py are asked to reach, and whether they do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["TARGETS", "Target", "checked"]

Rows = dict[str, dict[str, float]]
NAN = float("nan")

BPTT = ("spikingjelly BPTT", "snnTorch BPTT", "Norse BPTT")
"""Steps of other libraries that train as `bp` does."""


@dataclass(frozen=True)
class Target:
    """A step of ours beside another of the same run.

    Args:
        net: of the run.
        own: our step.
        others: the steps to compare with, of which the best counts.
        asked: how many times as fast it is to be; or, of memory, at most what share of theirs.
        memory: compare peaks of memory in place of speed.
    """

    net: str
    own: str
    others: tuple[str, ...]
    asked: float
    memory: bool = False

    def measured(self, rows: Rows) -> float:
        """The number asked for; NaN where a step was not measured."""
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
        results: of each net, with the allocator as it is.
        kept: the same with memory kept, of some nets.
    """
    lines = ["| net | step | beside | asked | measured | memory kept |", "| --- | --- | --- | --- | --- | --- |"]
    for target in TARGETS:
        found = [target.measured(runs[target.net]["rows"]) if target.net in runs else NAN for runs in (results, kept)]
        if all(map(math.isnan, found)):
            continue
        beside = "the best peer" if target.others is BPTT else target.others[0]
        kind, sign = ("memory", "at most") if target.memory else ("speed", "at least")
        cells = target.net, target.own, f"{beside}, {kind}", f"{sign} {target.asked:g}"
        lines.append(f"| {' | '.join((*cells, *(_cell(target, number) for number in found)))} |")
    return "\n".join(lines) + "\n"


def _cell(target: Target, found: float) -> str:
    if math.isnan(found):
        return ""
    reached = found <= target.asked if target.memory else found >= target.asked
    return f"{found:.2f}" if reached else f"{found:.2f}, not reached"
