"""Plain inference: as one stage where no derivative is wanted, layer by layer where somebody listens."""

import pytest
import torch
from torch import Tensor

from onchip import Static, nn


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 3)
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


@pytest.mark.parametrize("side", [6, 7], ids=["even", "ragged"])
def test_inference_is_the_same_with_and_without_derivatives(side: int) -> None:
    model, image = network(), torch.rand(2, 1, side, side, dtype=torch.float64)
    for signal in (Static(image, 5), torch.rand(5, *image.shape, dtype=torch.float64)):
        with torch.no_grad():
            plain = model(signal)
        torch.testing.assert_close(plain, model(signal).detach(), rtol=1e-12, atol=1e-12)


def test_hooks_are_called_in_inference() -> None:
    model, seen = network(), []

    def listen(module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append((type(module).__name__, tuple(output.shape)))

    model[1].register_forward_hook(listen)
    with torch.no_grad():
        model(Static(torch.rand(2, 1, 6, 6, dtype=torch.float64), 5))
    assert seen == [("LIF", (5, 2, 4, 6, 6))]
