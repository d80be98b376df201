"""Transport of a low-rank approximation of W - B."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip._types import checked
from onchip.errors import require
from onchip.transport.base import Transport, Transported, value_bits

ITERATIONS = 3
"""Power iterations. On a convolutional network they give what an SVD gives after 12 Adam steps, and 92% of it or more
after 100 steps, when no singular value dominates (digits, conv_small, TTFS, learning rate 1e-3)."""


@checked
@dataclass(frozen=True)
class LowRank(Transport):
    """Moves the feedback weights by the leading singular pairs of the difference, in few bits.

        B += sum_r s_r u_r v_r^T ≈ W - B,   as matrices (out, rest)

    Power iteration of all pairs at once, which starts from the rows that differ most, computes u and v; they are
    rounded to integers of `bits` bits, and s is the factor of least squares. Therefore an event never increases
    ||W - B||, and the next pair, and the next event, correct the rounding errors of this one. No index is sent and no
    weight is compared; the products of the power iteration are counted.

    Args:
        rank: Singular pairs sent per event, at least 1; a layer of smaller rank sends fewer.
        bits: Precision of each number in u and v, sign included, from 2 to 16.

    Raises:
        RequestError: a rank or a precision out of range.

    Reference: ours, after low-rank compression of gradients (Vogels et al. 2019, PowerSGD, NeurIPS).
    """

    rank: int = 1
    bits: int = 4

    def __post_init__(self) -> None:
        require(self.rank >= 1, self, "rank", self.rank, "at least 1 pair of vectors")
        expected = "2 to 16 bits per number. For 1 bit per weight use Sign()"
        require(2 <= self.bits <= 16, self, "bits", self.bits, expected)

    def __call__(self, feedback: Sequence[Tensor], weights: Sequence[Tensor], event: int) -> list[Transported]:
        return [self._send(copy, weight) for copy, weight in zip(feedback, weights, strict=True)]

    def message_bits(self, weight: Tensor) -> int:
        rank, numbers = self._size(weight)
        return rank * (self.bits * numbers + value_bits(weight, 1))

    def _size(self, weight: Tensor) -> tuple[int, int]:
        """Pairs sent for a layer with these weights, and numbers per pair."""
        out, rest = weight.shape[0], weight.shape[1:].numel()
        return min(self.rank, out, rest), out + rest

    def _send(self, feedback: Tensor, weight: Tensor) -> Transported:
        difference = (weight - feedback).flatten(1)  # (out, rest)
        rank, numbers = self._size(weight)
        right = self._rounded(_leading(difference, rank))  # (rest, rank)
        left = difference @ right  # (out, rank); fitted to the rounded v, so that u corrects its rounding errors
        overlaps = right.t() @ right
        for pair in range(rank):
            # The difference that the pairs before this one left, projected on v.
            remaining = left[:, pair] - left[:, :pair] @ overlaps[:pair, pair]
            u = self._rounded(remaining)
            left[:, pair] = u * (u @ remaining / (u.square().sum() * overlaps[pair, pair]).clamp_min(1.0))
        feedback.add_((left @ right.t()).view(weight.shape))
        return Transported(
            rank * (numbers + 1),
            self.message_bits(weight),
            # Squares to choose the first rows, two products per iteration and pair, and one more for u.
            products=weight.numel() * (1 + rank * (2 * ITERATIONS + 1)),
            coded=rank * numbers,
            writes=weight.numel(),
        )

    def _rounded(self, vectors: Tensor) -> Tensor:
        """Each column as integers, the largest at the end of the range; a column of zeros does not change."""
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
