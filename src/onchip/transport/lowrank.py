"""Transport of a low-rank approximation of the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.transport.base import Transport, Transported, value_bits

__all__ = ["LowRank"]

ITERATIONS = 3
"""Power iterations. On a conv net they catch what an SVD would after 12 Adam steps, and 92% of it or more
after 100, when the difference has no leading pair (digits, conv_small, TTFS, learning rate 1e-3)."""


@dataclass(frozen=True)
class LowRank(Transport):
    """Moves the feedback weights by the leading singular pairs of the difference, in few bits.

        B += sum_r s_r u_r v_r^T ≈ W - B,   seen as matrices (out, rest)

    u and v are found by power iteration of all pairs at once, begun at the rows that differ most, and rounded
    to whole numbers of `bits` bits; s is the factor that fits best in least squares. So an event never makes
    ||W - B|| larger, and the loop is closed: the next pair, and the next event, see what this one got wrong.
    No index is sent and no weight compared; the products of the power iteration are booked.

    Args:
        rank: pairs sent at each event, at least 1; a layer that has fewer sends what it has.
        bits: precision of each number in u and v, sign included, from 2 to 16.

    Raises:
        RequestError: a rank or a precision out of range.

    Reference: ours, after low-rank compression of gradients (Vogels et al. 2019, PowerSGD, NeurIPS).
    """

    rank: int = 1
    bits: int = 4

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise RequestError(f"LowRank got rank={self.rank}; expected at least 1 pair of vectors")
        if not 2 <= self.bits <= 16:
            raise RequestError(
                f"LowRank got bits={self.bits}; expected 2 to 16 bits a number. For 1 bit a weight use Sign()"
            )

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        return [self._send(copy, weight) for copy, weight in zip(feedback, weights, strict=True)]

    def message_bits(self, weight: Tensor) -> int:
        rank, numbers = self._size(weight)
        return rank * (self.bits * numbers + value_bits(weight, 1))

    def _size(self, weight: Tensor) -> tuple[int, int]:
        """Pairs sent of a layer with these weights, and the numbers in a pair."""
        out, rest = weight.shape[0], weight.shape[1:].numel()
        return min(self.rank, out, rest), out + rest

    def _send(self, feedback: Tensor, weight: Tensor) -> Transported:
        apart = (weight - feedback).flatten(1)  # (out, rest)
        rank, numbers = self._size(weight)
        right = self._rounded(_leading(apart, rank))  # (rest, rank)
        left = apart @ right  # (out, rank); fitted to v as rounded, so that u makes good what v lost
        overlaps = right.t() @ right
        for pair in range(rank):
            # What the pairs before this one have left of the difference, seen along v.
            back = left[:, pair] - left[:, :pair] @ overlaps[:pair, pair]
            u = self._rounded(back)
            left[:, pair] = u * (u @ back / (u.square().sum() * overlaps[pair, pair]).clamp_min(1.0))
        feedback.add_((left @ right.t()).view(weight.shape))
        return Transported(
            rank * (numbers + 1),
            self.message_bits(weight),
            # Squares to find the first rows, two passes an iteration for each pair, one more for u.
            products=weight.numel() * (1 + rank * (2 * ITERATIONS + 1)),
            coded=rank * numbers,
            writes=weight.numel(),
        )

    def _rounded(self, vectors: Tensor) -> Tensor:
        """Each column in whole numbers, its largest at the end of the range; all zero stays zero."""
        levels = 2 ** (self.bits - 1) - 1
        largest = vectors.abs().amax(0).clamp_min(torch.finfo(vectors.dtype).tiny)
        return torch.round(vectors / largest * levels)


def _leading(matrix: Tensor, rank: int) -> Tensor:
    """The right singular vectors (rest, rank) of the largest singular values, by orthogonal iteration."""
    right = matrix[matrix.square().sum(1).topk(rank).indices].t()
    for _ in range(ITERATIONS):
        left, _ = torch.linalg.qr(matrix @ right)
        right, _ = torch.linalg.qr(matrix.t() @ left)
    return right
