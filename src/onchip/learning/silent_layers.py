"""A warning about layers that hardly fire: nothing above such a layer learns."""

from __future__ import annotations

import warnings

from torch import Tensor

__all__ = ["CHECK_EVERY", "SilentLayers"]

SILENT = 1e-3
"""Firing rate, in spikes per neuron and time step, below which nothing above the layer learns."""
CHECK_EVERY = 100
"""Training passes from one check for silent layers to the next."""


class SilentLayers:
    """Checks layers for silence, and warns once per layer.

    Args:
        rule: Name of the rule, for messages.
    """

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._known: set[str] = set()

    def check(self, layer: str, activity: Tensor) -> None:
        """Warns, once per layer, if activity (T, B, features...) has hardly any spikes."""
        if layer in self._known:
            return
        rate = activity.count_nonzero().item() / activity.numel()
        if rate < SILENT:
            self._known.add(layer)
            warnings.warn(
                f"{self._rule}: layer {layer!r} is silent, with {rate:.5f} spikes per neuron and step, so that "
                "hardly anything reaches the layers above; use larger first weights, nn.StandardisedConv2d, a lower "
                "threshold or more time steps. onchip.diagnostics.activity reports all layers",
                stacklevel=4,
            )
