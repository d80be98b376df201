"""A warning of layers that hardly fire: nothing above such a layer learns."""

from __future__ import annotations

import warnings

from torch import Tensor

__all__ = ["LOOKS", "Silence"]

SILENT = 1e-3
"""Firing rate, in spikes a neuron and step, below which a layer passes so little on that nothing above it learns."""
LOOKS = 100
"""Training passes from one look for silent layers to the next."""


class Silence:
    """Remembers which layers it has warned of.

    Args:
        rule: the rule's name, for messages.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._known: set[str] = set()

    def look(self, layer: str, activity: Tensor) -> None:
        """Warns, once a layer, if activity (T, B, features...) has hardly any spikes."""
        if layer in self._known:
            return
        rate = activity.count_nonzero().item() / activity.numel()
        if rate < SILENT:
            self._known.add(layer)
            warnings.warn(
                f"{self._rule}: layer {layer!r} is silent, with {rate:.5f} spikes a neuron and step, so that "
                "hardly anything reaches the layers above; use larger first weights, nn.StandardisedConv2d, a lower "
                "threshold or more time steps. onchip.diagnostics.activity reports all layers",
                stacklevel=4,
            )
