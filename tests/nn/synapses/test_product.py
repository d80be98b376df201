"""Operations of an event-driven chip: counted one by one, at borders, strides and groups."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from onchip.nn.synapses import synapse_of
from onchip.nn.synapses.product import OpCount, SynapticProduct


def test_a_corner_pixel_reaches_fewer_outputs() -> None:
    synapse = synapse_of("here", nn.Conv2d(1, 5, 3, padding=1))
    corner, middle = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    corner[..., 0, 0] = middle[..., 1, 1] = 1.0
    size = torch.Size([1, 5, 4, 4])
    assert SynapticProduct(synapse, corner.shape, size, pre=corner).count().accumulated == 4 * 5
    assert SynapticProduct(synapse, middle.shape, size, pre=middle).count().accumulated == 9 * 5


@pytest.mark.parametrize(
    ("pre", "post", "multiplies"),
    [
        ([1.0, 0.0, 1.0], None, False),
        ([0.5, 0.0, 1.0], None, True),
        (None, [-0.1, 0.1], False),
        (None, [-0.1, 0.2], True),
        ([1.0, 0.0, 1.0], [-0.1, 0.2], False),
        ([0.5, 0.0, 1.0], [-0.1, 0.1], False),
        ([0.5, 0.0, 1.0], [-0.1, 0.2], True),
        ([0.0, 0.0, 0.0], None, False),
    ],
)
def test_one_operand_of_one_size_saves_the_multiplication(
    pre: list[float] | None, post: list[float] | None, multiplies: bool
) -> None:
    before, after = (None if operand is None else torch.tensor([operand]) for operand in (pre, post))
    synapse = synapse_of("here", nn.Linear(3, 2))
    counted = SynapticProduct(synapse, torch.Size([1, 3]), torch.Size([1, 2]), before, after).count()
    assert bool(counted.multiplied) == multiplies
    assert counted.multiplied == 0 or counted.accumulated == 0


def test_late_reals_are_not_overlooked() -> None:
    spikes = torch.ones(3000, 1)
    spikes[-1] = 0.5
    synapse, size = synapse_of("here", nn.Linear(1, 1)), spikes.shape
    assert SynapticProduct(synapse, size, size, pre=spikes).count() == OpCount(3000, 0, 0, 0)


def test_parts_are_counted_apart() -> None:
    """Spike times: that a neuron fired is an addition, when it did a multiplication."""
    parts = torch.tensor([[1.0, 0.0, 1.0], [0.3, 0.0, 0.7]])
    size = torch.Size([2, 2])
    synapse = synapse_of("here", nn.Linear(3, 2))
    assert SynapticProduct(synapse, parts.shape, size, pre=parts, parts=2).count() == OpCount(4, 4, 0, 0)
    assert SynapticProduct(synapse, parts.shape, size, pre=parts).count() == OpCount(8, 0, 0, 0)
