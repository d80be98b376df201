"""A warning about layers that hardly fire, above which nothing learns."""

import warnings

from torch import Tensor

SILENT = 1e-3  # spikes per neuron and time step, below which nothing above the layer learns
CHECK_EVERY = 100  # training passes between two checks


class SilentLayers:
    """Warns once per silent layer, in the name of a rule."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._warned: set[str] = set()

    def check(self, layer: str, activity: Tensor) -> None:
        """Warns if the layer's activity (T, B, features...) has hardly any spikes; once per layer."""
        if layer in self._warned or not activity.numel():
            return
        rate = activity.count_nonzero().item() / activity.numel()
        if rate < SILENT:
            self._warned.add(layer)
            warnings.warn(
                f"{self._rule}: layer {layer!r} is silent, with {rate:.5f} spikes per neuron and step, so that "
                "hardly anything reaches the layers above; use larger first weights, nn.WeightStandardizedConv2d, a "
                "lower threshold or more time steps. onchip.diagnostics.activity reports all layers",
                stacklevel=4,
            )
