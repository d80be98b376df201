"""Stratified draws: each class has its own share."""

import torch
from torch import Tensor


def stratified_order(labels: Tensor, seed: int) -> Tensor:
    """A shuffle in which *every* prefix has the classes in their own shares.

    The r-th image drawn of a class with n images gets the place (r + 1/2) / n; sorting by place mixes the
    classes evenly (ties fall at random). So the first 1,000 are stratified, and are among the first 2,000.

    Args:
        labels: (N,) int64, on the CPU.
        seed: which shuffle.

    Returns:
        (N,) int64, a permutation of 0..N-1.

    Reference: the places are those of Webster's method of apportionment (Balinski and Young, Fair
        Representation, 1982), which grows each class by whole images and never takes one back.
    """
    shuffle = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    drawn = labels[shuffle]
    by_class = torch.argsort(drawn, stable=True)
    size = torch.bincount(drawn)  # (classes,)
    start = size.cumsum(0) - size
    rank = torch.empty_like(drawn)
    rank[by_class] = torch.arange(len(drawn)) - start[drawn[by_class]]
    place = (rank.double() + 0.5) / size[drawn]
    return shuffle[torch.argsort(place, stable=True)]


def hold_out(labels: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the remaining images and of those set aside, stratified.

    Args:
        labels: (N,) int64, on the CPU.
        fraction: share to set aside, in (0, 1); rounded to whole images, at least one.
        seed: which draw.

    Returns:
        (remaining, set aside), each ascending int64; together 0..N-1.
    """
    order = stratified_order(labels, seed)
    size = max(1, round(fraction * len(labels)))
    return order[size:].sort().values, order[:size].sort().values
