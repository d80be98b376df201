"""How learning rates are shared among layers."""

import math
from collections.abc import Iterable
from typing import Any, Literal, get_args

from torch import Tensor, nn

from onchip.errors import unknown_name

LRScaling = Literal["equal", "fan"]
"""`equal`: one rate for all. `fan`: layers of many inputs learn more slowly, by min(1, 256 / fan-in)."""

FAN = 256
"""Fan-in above which `fan` slows a layer. Measured by us on 16C3-P2-32C3-P2-F128-10 at Adam's 1e-3: units of the
dense layer (1,568 inputs) that pass no gradient fell from 74 of 128 (BP) and 94 (fBP) to between 34 and 42."""


def groups(parameters: Iterable[nn.Parameter], scaling: LRScaling) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimizer, each with its factor on the learning rate as `scale`.

    Adam moves every weight by about the learning rate, so one step moves a drive in proportion to the fan-in, and
    wide layers then lose units for good. The optimizer does not use `scale`. Either set `group["lr"]` to
    `group["scale"]` times the learning rate at every step, or pass `torch.optim.lr_scheduler.LambdaLR` a function
    that returns the learning rate itself: `initial_lr`, which it multiplies by that, is the scale.

    Args:
        parameters: what the optimizer trains, such as `rule.parameters()`.
        scaling: which factors.

    Returns:
        One group for each factor, the largest factor first; for `equal`, one group of factor 1.

    Raises:
        RequestError: there is no such scaling.

    Example:
        >>> layers = nn.Sequential(nn.Linear(1024, 10), nn.Linear(10, 2))
        >>> [(group["scale"], len(group["params"])) for group in groups(layers.parameters(), "fan")]
        [(1.0, 3), (0.25, 1)]
    """
    if scaling not in get_args(LRScaling):
        raise unknown_name("lr_scaling", scaling, get_args(LRScaling))
    shared: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        scale = 1.0 if scaling == "equal" else min(1.0, FAN / fan_in(parameter))
        shared.setdefault(scale, []).append(parameter)
    return [{"params": shared[scale], "scale": scale, "initial_lr": scale} for scale in sorted(shared, reverse=True)]


def fan_in(parameter: Tensor) -> int:
    """Inputs of a unit that this parameter drives: all but the first axis of a weight; 1 for a bias.

    Example:
        >>> fan_in(nn.Conv2d(16, 32, 3).weight)
        144
    """
    return math.prod(parameter.shape[1:])
