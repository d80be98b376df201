"""Feedback by a matrix from the output to what each stage receives."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from onchip.credit import Direct, Observer
from onchip.plan import Stage

__all__ = ["Matrices", "as_rows"]


class Matrices(Direct):
    """Direct feedback g = F e with a matrix F (n, classes) for each stage but the first."""

    stem: ClassVar[str]
    """What the names of the buffers that hold the matrices begin with."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[Stage, ...] = ()

    @abstractmethod
    def matrix(self, error: Tensor, index: int, activity: Tensor) -> Tensor:
        """F (n, classes) of one stage. The first call is the first to know n.

        Args:
            error: e at the output, (T, B, classes) or (B, classes).
            index: of the stage, from 1.
            activity: what the stage received, (T, B, features...) or (B, features...).
        """

    def attach(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def tell_initial(self, observer: Observer) -> None:
        """No weight was copied."""

    def project(self, error: Tensor, index: int, activity: Tensor) -> Tensor:
        projected = error @ self.matrix(error, index, activity).t()  # (..., classes) -> (..., n)
        self.tell_products(self._stages[index], "project", projected.numel() * error.shape[-1])
        features = activity.shape[error.dim() - 1 :]
        if len(features) < 3:
            return projected.view(activity.shape)
        channels, height, width = features
        return projected.unflatten(-1, (height, width, channels)).movedim(-1, -3)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # torch's hook for buffers whose shape a fresh module cannot know
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            if name.startswith(self.stem):
                self.register_buffer(name, torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def name_of(self, index: int) -> str:
        """Name of a stage, for messages."""
        return self._stages[index].name


def as_rows(activity: Tensor, leading: int) -> Tensor:
    """Activity (..., features...) as rows (N, n) with maps in (H, W, C) order, as convolutions hold them.

    Args:
        activity: with `leading` axes of time and batch.
        leading: 1 or 2.
    """
    if activity.dim() - leading == 3:
        activity = activity.movedim(-3, -1)
    return activity.reshape(math.prod(activity.shape[:leading]), -1)
