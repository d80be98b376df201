"""Operands of one product, from which the operations of an event-driven chip can be counted.

Such a chip skips zeros: an operation takes place where an activity or an error other than zero reaches a synapse; in
an update, where both do.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.nn.synapses.base import Synapse

GLANCE = 1024  # entries that are examined first
PIECE = 2**18  # entries that are counted at a time: what is marked on the way takes several times their memory


@dataclass(frozen=True)
class OpCount:
    """Operations of one product, exactly, and how sparse the error was.

    Args:
        multiplied: operations that need a multiplication (MAC): all operands are real numbers.
        accumulated: operations that only add (AC): an operand is 0 or one size, with or without a sign.
        values: entries of an error that was sent; 0 for other products.
        active: of these, the ones that are not zero.
    """

    multiplied: int
    accumulated: int
    values: int
    active: int


@dataclass(frozen=True)
class SynapticProduct:
    """Operands of one product at a layer's synapses, time and batch folded into the leading axis N.

    Args:
        synapse: the map that was used.
        inputs: shape (N, in...) of the presynaptic side.
        outputs: shape (N, out...) of the postsynaptic side.
        pre: presynaptic operand (N, in...), or None where the product had none.
        post: postsynaptic operand (N, out...), or None. With both, the product was an update.
        parts: equal parts of N with different content, such as spikes and their times.
        per_synapse: whether a state of each synapse takes part, which is a real number whatever the operands are.
    """

    synapse: Synapse
    inputs: torch.Size
    outputs: torch.Size
    pre: Tensor | None = None
    post: Tensor | None = None
    parts: int = 1
    per_synapse: bool = False

    @property
    def products(self) -> int:
        """Scalar multiplications of the dense product, zeros and padding included."""
        return self.synapse.products(self.outputs)

    @property
    def synapses(self) -> int:
        """Weights of the map."""
        return self.synapse.products(torch.Size((1, *self.outputs[1:2], *[1] * len(self.outputs[2:]))))

    def count(self) -> OpCount:
        """Operations of an event-driven chip, counted from the operands' values.

        Example:
            >>> from onchip.nn.synapses.linear import LinearSynapse
            >>> spikes = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
            >>> SynapticProduct(LinearSynapse(3, 5), spikes.shape, torch.Size([2, 5]), pre=spikes).count()
            OpCount(multiplied=0, accumulated=15, values=0, active=0)
        """
        multiplied = accumulated = values = active = 0
        for part in range(self.parts):
            pre, post = (None if one is None else one.chunk(self.parts)[part] for one in (self.pre, self.post))
            operations = sum(self._operations(*piece) for piece in _pieces(pre, post))
            one_size = any(operand is not None and _one_size(operand) for operand in (pre, post))
            if one_size and not self.per_synapse:
                accumulated += operations
            else:
                multiplied += operations
            if pre is None and post is not None:
                values += post.numel()
                active += int(torch.count_nonzero(post))
        return OpCount(multiplied, accumulated, values, active)

    def _operations(self, pre: Tensor | None, post: Tensor | None) -> int:
        if pre is not None and post is not None:
            return self.synapse.pairs(pre != 0, post != 0)
        if pre is not None:
            return _reached(pre, self.synapse.fan_out(self.inputs))
        assert post is not None, "a product has an operand"
        return _reached(post, self.synapse.fan_in(self.inputs))


def _reached(operand: Tensor, fan: Tensor) -> int:
    """Synapses that the non-zero entries (N, features...) reach; `fan` of one entry each, () or (positions...)."""
    if fan.dim() == 0:
        return int(torch.count_nonzero(operand)) * int(fan)
    nonzero = (operand != 0).sum((0, 1))  # (N, channels, positions...) -> (positions...)
    return int((nonzero * fan.to(nonzero.device)).sum())


def _one_size(operand: Tensor) -> bool:
    """Whether all entries that are not zero have one absolute value, as spikes and signed spikes have."""
    flat = operand.as_strided((operand.numel(),), (1,)) if _dense(operand) else operand.reshape(-1)
    # A few entries spread over the tensor almost always show that real values differ in size.
    glance = flat[:: 1 + len(flat) // GLANCE]
    return not len(flat) or (_same(glance, _largest(glance)) and _same(flat, _largest(flat)))


def _largest(values: Tensor) -> Tensor:
    least, most = torch.aminmax(values)
    return torch.maximum(-least, most)


def _same(values: Tensor, largest: Tensor) -> bool:
    pieces = (piece.abs() for piece in values.split(PIECE))
    return all(bool(((sizes == 0) | (sizes == largest)).all()) for sizes in pieces)


def _pieces(pre: Tensor | None, post: Tensor | None) -> Iterator[tuple[Tensor | None, Tensor | None]]:
    """The operands, a few rows at a time."""
    sizes = [math.prod(operand.shape[1:]) for operand in (pre, post) if operand is not None]
    rows = max(1, PIECE // max(1, *sizes))
    for start in range(0, next(len(operand) for operand in (pre, post) if operand is not None), rows):
        yield tuple(None if one is None else one[start : start + rows] for one in (pre, post))  # type: ignore[misc]


def _dense(operand: Tensor) -> bool:
    """Whether the entries lie one after another in memory, in whatever order."""
    return operand.is_contiguous() or (operand.dim() == 4 and operand.is_contiguous(memory_format=torch.channels_last))
