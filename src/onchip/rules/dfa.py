"""Direct feedback alignment."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from onchip.credit import Direct, Observer, Temporal
from onchip.errors import RequestError
from onchip.parts import Online
from onchip.plan import Stage
from onchip.rule import Rule

__all__ = ["dfa"]


def dfa(model: nn.Module, *, temporal: Temporal | None = None) -> Rule:
    """Direct feedback alignment: each layer gets the output's error through fixed random weights of its own.

        g_l = F_l e,   F_l ~ U(-1/√n_l, 1/√n_l), of shape (n_l, classes)

    No error passes from layer to layer, so there is no spatial backward pass.

    Limit: with `Online()` equal to `ottt` in the last hidden layer, if F were that layer's read-out weights.
    Cost: no weight is ever transported; n_l · classes feedback weights a layer; all layers learn at once.

    Args:
        model: a network of `onchip.nn`.
        temporal: what of the past counts; `Online()` by default, or `ThroughTime()`.

    Reference: Nøkland 2016 (NeurIPS); over time as in Xiao et al. 2024 (OPZO, arXiv 2407.12516).
    """
    return Rule("dfa", model, feedback=RandomDirect(), temporal=temporal or Online())


class RandomDirect(Direct):
    """Fixed uniform feedback from the output to what each stage receives."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[Stage, ...] = ()

    def attach(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def tell_initial(self, observer: Observer) -> None:
        """No weight was copied."""

    def project(self, error: Tensor, index: int, activity: Tensor) -> Tensor:
        weights = self._weights(error, index, activity)
        projected = error @ weights.t()  # (..., classes) -> (..., n)
        self.tell_products(self._stages[index], "project", projected.numel() * error.shape[-1])
        features = activity.shape[error.dim() - 1 :]
        if len(features) < 3:
            return projected.view(activity.shape)
        # Rows are kept in (H, W, C) order, the order in which convolutional stages hold their activity.
        channels, height, width = features
        maps = projected.unflatten(-1, (height, width, channels))
        return maps.movedim(-1, -3)

    def learn(self) -> None:
        """No optimizer trains random feedback."""

    def step(self) -> None:
        """Random feedback stays as it is."""

    def _weights(self, error: Tensor, index: int, activity: Tensor) -> Tensor:
        """F (n, classes) of one stage; drawn at the first call, which is the first to know n."""
        name = f"direct_{index}"
        units, classes = math.prod(activity.shape[error.dim() - 1 :]), error.shape[-1]
        if name not in self._buffers:
            bound = 1.0 / math.sqrt(units)
            self.register_buffer(name, error.new_empty(units, classes).uniform_(-bound, bound))
        weights = self.get_buffer(name)
        if weights.shape != (units, classes):
            raise RequestError(
                f"dfa has feedback weights {tuple(weights.shape)} for layer {self._stages[index].name!r}, which "
                f"needs {(units, classes)}; the loaded state or the image size is another network's"
            )
        return weights

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # torch's hook for buffers whose shape a fresh module cannot know
        for key, value in state_dict.items():
            if key.startswith(f"{prefix}direct_"):
                self.register_buffer(key.removeprefix(prefix), torch.empty_like(value))
        super()._load_from_state_dict(state_dict, prefix, *args)
