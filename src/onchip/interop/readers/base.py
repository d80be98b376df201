"""What is known of a program that reads NIR files: its conventions, and which nodes it runs as they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from onchip.interop.verdict import Word

Support = tuple[Word, str]
"""A verdict and its reason."""

Gain = Literal["r", "leak", "unit"]
"""Factor on the input of a leaky node: R (1 - decay); 1 - decay whatever R is; or 1."""

FAITHFUL: Support = ("faithful", "")

CONNECTIONS = ("recurrent", "residual", "shortcut")
"""Connections that are no nodes: a cycle, an edge that passes by layers, and layers beside layers."""


@dataclass(frozen=True)
class Reader:
    """The conventions of one reader.

    Args:
        name: As on the command line.
        version: The version whose sources and behavior these facts were taken from.
        dt: Time step in seconds that it assumes where nobody names one.
        support: Verdict and reason by type of node, or by connection; what is not named is unsupported.
        strict: Whether a neuron fires above its threshold (v > θ), rather than at it, too (v >= θ).
        decay: What a time constant τ means: `euler`, a decay of 1 - dt/τ; `exponential`, of exp(-1/τ), τ in steps.
        lif_gain: Factor on the input of LIF.
        li_gain: Factor on the input of LI.
        if_gain: Factor on the input of IF: `dt`, R dt; `unit`, 1.
        resets: The reset of its neurons.
        uniform: Whether the neurons of a node must share their constants.
        scalar_threshold: Whether they must share their threshold at least.
        leaks: Whether IF has to be written as LIF with an endless time constant.
        least_decay: Whether a decay of 0 is one that it takes.
        bias: Whether a linear map needs a bias (Affine), 0 if there is none.
        recurrent_bias: Whether the bias of a recurrent connection counts at the first time step, as it does here.
        flatten_batch: Whether `Flatten` counts the batch as an axis, so that files for it take unbatched input.
        grouped: Whether it takes convolutions with groups.
        pads_sums: Whether it honors the padding of SumPool2d.
        averages: Whether it takes AvgPool2d, or needs a convolution that computes averages.
        maps: Whether neurons may have the shape of maps, (C, H, W).
        sums_at_output: Whether several edges may lead to the output.
        caveat: What is to be known of every file for it; empty for nothing.
    """

    name: str
    version: str
    dt: float
    support: Mapping[str, Support] = field(default_factory=dict)
    strict: bool = True
    decay: Literal["euler", "exponential"] = "euler"
    lif_gain: Gain = "r"
    li_gain: Gain = "r"
    if_gain: Literal["dt", "unit"] = "dt"
    resets: Literal["hard", "soft"] = "hard"
    uniform: bool = False
    scalar_threshold: bool = False
    leaks: bool = False
    least_decay: bool = True
    bias: bool = False
    recurrent_bias: bool = True
    flatten_batch: bool = False
    grouped: bool = True
    pads_sums: bool = True
    averages: Literal["pool", "convolution"] = "pool"
    maps: bool = True
    sums_at_output: bool = True
    caveat: str = ""

    def supports(self, kind: str) -> Support:
        """Verdict and reason for a type of node, or a connection."""
        return self.support.get(kind, ("unsupported", f"{self.name} {self.version} does not read {kind}"))
