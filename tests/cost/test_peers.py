"""Synaptic operations against the counts of NeuroBench and sinabs, where they define the same thing.

Both packages are optional: `pip install onchip[peers]`. Where they differ from us:

- NeuroBench makes no operation at a weight of exactly 0; we count synapses, whatever their weight.
- sinabs adds up the numbers that arrive, so that it takes activity for counts of spikes: right for spikes, and for
  averages of spikes only after its own correction for pools before the layer. We count what meets a synapse.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onchip.nn.synapses import synapse_of
from onchip.nn.synapses.product import OpCount, SynapticProduct

LAYERS: dict[str, tuple[Callable[[], nn.Linear | nn.Conv2d], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), (5,)),
    "conv": (lambda: nn.Conv2d(2, 4, 3), (2, 7, 6)),
    "stride": (lambda: nn.Conv2d(2, 4, 3, stride=2), (2, 8, 7)),
    "strides": (lambda: nn.Conv2d(2, 4, (3, 2), stride=(2, 3), padding=(1, 0)), (2, 8, 7)),
    "padding": (lambda: nn.Conv2d(2, 4, 3, padding=(2, 1)), (2, 5, 6)),
    "dilation": (lambda: nn.Conv2d(2, 4, 3, dilation=(2, 1)), (2, 7, 6)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 6, 5)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 6, 5)),
    "pointwise": (lambda: nn.Conv2d(4, 3, 1), (4, 6, 5)),
    "same": (lambda: nn.Conv2d(2, 4, (3, 5), padding="same", dilation=(2, 1)), (2, 7, 6)),
    "valid": (lambda: nn.Conv2d(2, 4, 3, padding="valid"), (2, 7, 6)),
    "one-channel": (lambda: nn.Conv2d(1, 1, 3), (1, 5, 5)),
}
each = pytest.mark.parametrize("kind", LAYERS)


def peer(name: str) -> Any:
    """A package that need not be there; what it warns of is its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


def ours(layer: nn.Linear | nn.Conv2d, x: Tensor) -> OpCount:
    return SynapticProduct(synapse_of("here", layer), x.shape, layer(x).shape, pre=x).count()


def spiking(kind: str) -> tuple[nn.Linear | nn.Conv2d, Tensor]:
    build, shape = LAYERS[kind]
    return build(), (torch.rand(7, *shape) < 0.3).float()


def summed_by_sinabs(layer: nn.Linear | nn.Conv2d, x: Tensor) -> float:
    hooks = peer("sinabs.hooks")
    hook = hooks.linear_layer_synops_hook if isinstance(layer, nn.Linear) else hooks.conv_layer_synops_hook
    hook(layer, (x,), layer(x))
    return float(hooks.get_hook_data_dict(layer)["layer_synops_per_timestep"]) * len(x)


@each
def test_spikes_cost_what_neurobench_says(kind: str) -> None:
    layers = peer("neurobench.metrics.utils.layers")
    layer, x = spiking(kind)
    operations, spikes = layers.single_layer_MACs(x, layer)
    counted = ours(layer, x)
    assert spikes
    assert counted.accumulated == round(float(operations)) > 0
    assert counted.multiplied == 0


@each
def test_real_activity_costs_what_neurobench_says(kind: str) -> None:
    layers = peer("neurobench.metrics.utils.layers")
    layer, x = spiking(kind)
    x = x * torch.rand_like(x)
    operations, spikes = layers.single_layer_MACs(x, layer)
    assert not spikes
    assert ours(layer, x).multiplied == round(float(operations)) > 0


@each
def test_spikes_cost_what_sinabs_says(kind: str) -> None:
    layer, x = spiking(kind)
    if isinstance(layer, nn.Conv2d) and isinstance(layer.padding, str):
        pytest.skip("sinabs takes padding as numbers alone")
    assert summed_by_sinabs(layer, x) == pytest.approx(ours(layer, x).accumulated)


def test_where_they_differ() -> None:
    layer, quarter = nn.Linear(4, 3), torch.full((1, 4), 0.25)
    assert ours(layer, quarter).accumulated == 12
    assert summed_by_sinabs(layer, quarter) == pytest.approx(12 / 4)
    with torch.no_grad():
        layer.weight[0].zero_()
    operations, _ = peer("neurobench.metrics.utils.layers").single_layer_MACs(torch.ones(1, 4), layer)
    assert ours(layer, torch.ones(1, 4)).accumulated == 12
    assert float(operations) == 8
