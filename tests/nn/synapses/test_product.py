"""Operations of an event-driven chip: counted one by one, at borders, strides and groups."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from onchip.nn.synapses.base import Conv2dSynapse, Synapse, synapse_of
from onchip.nn.synapses.product import OpCount, SynapticProduct
from tests.nn.synapses.test_synapses import LAYERS


def sparse(*shape: int) -> Tensor:
    """Real values of which two thirds are zero."""
    return torch.randn(*shape) * (torch.rand(*shape) < 0.33)


def brute(synapse: Synapse, pre: Tensor, post: Tensor) -> int:
    """Synapses at which a non-zero entry of `pre` meets one of `post`, found one at a time."""
    if not isinstance(synapse, Conv2dSynapse):
        return sum(int((a != 0).sum()) * int((b != 0).sum()) for a, b in zip(pre, post, strict=True))
    count = 0
    out, within, height, width = synapse.shape
    for n, o, i, r, c in itertools.product(range(len(pre)), range(out), range(within), range(height), range(width)):
        channel = o // (out // synapse.groups) * within + i
        for y, x in itertools.product(range(post.shape[2]), range(post.shape[3])):
            row = y * synapse.stride[0] + r * synapse.dilation[0] - synapse.padding[0]
            column = x * synapse.stride[1] + c * synapse.dilation[1] - synapse.padding[1]
            if 0 <= row < pre.shape[2] and 0 <= column < pre.shape[3]:
                count += bool(pre[n, channel, row, column] != 0) and bool(post[n, o, y, x] != 0)
    return count


@pytest.mark.parametrize("kind", LAYERS)
def test_operations_are_those_counted_one_by_one(kind: str) -> None:
    build, shape = LAYERS[kind]
    layer = build()
    synapse = synapse_of("here", layer)
    pre = sparse(5, *shape)
    post = sparse(*layer(pre).shape)
    forward = SynapticProduct(synapse, pre.shape, post.shape, pre=pre).count()
    error = SynapticProduct(synapse, pre.shape, post.shape, post=post).count()
    update = SynapticProduct(synapse, pre.shape, post.shape, pre, post).count()
    assert forward.multiplied == brute(synapse, pre, torch.ones_like(post)) > 0
    assert error.multiplied == brute(synapse, torch.ones_like(pre), post) > 0
    assert update.multiplied == brute(synapse, pre, post) > 0
    assert forward.accumulated == error.accumulated == update.accumulated == 0
    assert (error.values, error.active) == (post.numel(), int((post != 0).sum()))
    assert forward.multiplied <= SynapticProduct(synapse, pre.shape, post.shape, pre=pre).products


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


def test_planes_are_judged_apart() -> None:
    """Spike times: that a neuron fired is an addition, when it did a multiplication."""
    planes = torch.tensor([[1.0, 0.0, 1.0], [0.3, 0.0, 0.7]])
    size = torch.Size([2, 2])
    synapse = synapse_of("here", nn.Linear(3, 2))
    assert SynapticProduct(synapse, planes.shape, size, pre=planes, planes=2).count() == OpCount(4, 4, 0, 0)
    assert SynapticProduct(synapse, planes.shape, size, pre=planes).count() == OpCount(8, 0, 0, 0)
