"""Learning rates shared among layers."""

from __future__ import annotations

import pytest
import torch

from onchip import models, nn
from onchip.errors import OnchipError
from onchip.learning.lr_scaling import groups


def test_equal_rates_are_one_group() -> None:
    (group,) = groups(models.conv_dense((1, 28, 28), 10).parameters(), "equal")
    assert group["scale"] == 1.0
    assert len(group["params"]) == 8


def test_fan_slows_the_layers_of_many_inputs_and_no_bias() -> None:
    model = models.conv_dense((1, 28, 28), 10)
    fast, slow = groups(model.parameters(), "fan")
    assert [tuple(parameter.shape) for parameter in slow["params"]] == [(128, 1568)]
    assert slow["scale"] == 256 / 1568
    assert len(fast["params"]) == 7
    assert fast["scale"] == 1.0


def test_adam_moves_a_slowed_layer_by_its_share() -> None:
    layer = nn.Linear(1024, 2, bias=False)
    (group,) = groups(layer.parameters(), "fan")
    before = layer.weight.detach().clone()
    optimizer = torch.optim.Adam([group])
    optimizer.param_groups[0]["lr"] = group["scale"] * 1e-3
    layer.weight.grad = torch.ones_like(layer.weight)
    optimizer.step()
    torch.testing.assert_close(before - layer.weight.detach(), torch.full((2, 1024), 2.5e-4), rtol=1e-3, atol=0)


def test_unknown_rates_are_refused() -> None:
    with pytest.raises(OnchipError, match="equal"):
        groups([], "fast")  # type: ignore[arg-type]
