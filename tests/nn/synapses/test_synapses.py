"""The bilinear map: its three products against each other, against autograd, and through strange weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
from onchip.nn.synapses.base import Synapse, is_synapse, synapse_of

LAYERS: dict[str, tuple[Callable[[], nn.Linear | nn.Conv2d], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), (5,)),
    "conv": (lambda: nn.Conv2d(2, 4, 3), (2, 7, 6)),
    "stride": (lambda: nn.Conv2d(2, 4, 3, stride=2), (2, 8, 7)),
    "strides": (lambda: nn.Conv2d(2, 4, (3, 2), stride=(2, 3), padding=(1, 0)), (2, 8, 7)),
    "padding": (lambda: nn.Conv2d(2, 4, 3, padding=(2, 1)), (2, 5, 6)),
    "dilation": (lambda: nn.Conv2d(2, 4, 3, dilation=(2, 1)), (2, 7, 6)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 6, 5)),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4, padding=1), (4, 6, 5)),
    "pointwise": (lambda: nn.Conv2d(4, 3, 1), (4, 6, 5)),
    "same": (lambda: nn.Conv2d(2, 4, (3, 5), padding="same", dilation=(2, 1)), (2, 7, 6)),
    "valid": (lambda: nn.Conv2d(2, 4, 3, padding="valid"), (2, 7, 6)),
    "one-channel": (lambda: nn.Conv2d(1, 1, 3), (1, 5, 5)),
}
each = pytest.mark.parametrize("kind", LAYERS)


def made(kind: str) -> tuple[nn.Linear | nn.Conv2d, Synapse, Tensor]:
    build, shape = LAYERS[kind]
    layer = build().double()
    return layer, synapse_of("here", layer), torch.randn(4, *shape, dtype=torch.float64)


@each
def test_apply_is_the_layer(kind: str) -> None:
    layer, synapse, x = made(kind)
    torch.testing.assert_close(synapse.apply(x, layer.weight, layer.bias), layer(x))
    torch.testing.assert_close(synapse.apply(x, layer.weight, None), layer(x) - layer(torch.zeros_like(x)))


@each
def test_pull_and_outer_are_its_derivatives(kind: str) -> None:
    layer, synapse, x = made(kind)
    assert layer.bias is not None
    drive = layer(x.requires_grad_())
    delta = torch.randn_like(drive)
    of_x, of_weight, of_bias = torch.autograd.grad(drive, [x, layer.weight, layer.bias], delta)
    torch.testing.assert_close(synapse.backward_input(delta, layer.weight, x.shape), of_x)
    torch.testing.assert_close(synapse.weight_grad(x.detach(), delta), of_weight)
    torch.testing.assert_close(synapse.bias_update(delta), of_bias)


@each
def test_the_three_products_are_one_trilinear_form(kind: str) -> None:
    """<apply(x, B), δ> = <x, pull(δ, B)> = <outer(x, δ), B> for *any* weights B."""
    layer, synapse, x = made(kind)
    strange = torch.randn_like(layer.weight)
    drive = synapse.apply(x, strange, None)
    delta = torch.randn_like(drive)
    form = (drive * delta).sum()
    torch.testing.assert_close((x * synapse.backward_input(delta, strange, x.shape)).sum(), form)
    torch.testing.assert_close((synapse.weight_grad(x, delta) * strange).sum(), form)


@each
def test_products_are_counted_one_by_one(kind: str) -> None:
    """Each unit multiplies each weight of its receptive field once, padding included."""
    layer, synapse, x = made(kind)
    drive = layer(x)
    fan_in = layer.weight[0].numel()
    assert synapse.products(drive.shape) == drive.numel() * fan_in


@each
def test_shapes_that_fit_pass_the_check(kind: str) -> None:
    _, synapse, x = made(kind)
    synapse.check("here", x.shape)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (nn.Linear(5, 3), (4, 6), r"Linear 'here' got features of shape \(6,\); expected \(5,\)\. Put nn\.Flatten"),
        (nn.Linear(5, 3), (4, 1, 5), r"Linear 'here' got features of shape \(1, 5\); expected \(5,\)"),
        (nn.Conv2d(2, 3, 3), (4, 3, 8, 8), r"Conv2d 'here' got features of shape \(3, 8, 8\); expected \(2, height"),
        (nn.Conv2d(4, 4, 3, groups=2), (4, 2, 8, 8), r"expected \(4, height, width\)"),
        (nn.Conv2d(2, 3, 3), (4, 2, 8), r"Conv2d 'here' got features of shape \(2, 8\)"),
        (nn.Conv2d(2, 3, 3), (4, 2, 8, 2), r"Conv2d 'here' got an image of 8x2, smaller than its kernel's reach of 3"),
        (nn.Conv2d(2, 3, 3, dilation=3, padding=1), (4, 2, 4, 8), r"got an image of 4x8, .* reach of 7"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer: nn.Module, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        synapse_of("here", layer).check("here", torch.Size(shape))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(2, 3, 3, padding_mode="reflect", padding=1), r"Conv2d 'here' pads with 'reflect'.*zeros"),
        (nn.Conv2d(2, 3, 2, padding="same"), r"Conv2d 'here' has padding='same' with an even kernel.*odd"),
        (nn.Conv1d(2, 3, 3), r"Conv1d 'here' is no synapse; expected Linear or Conv2d"),
    ],
)
def test_layers_it_cannot_treat_are_refused(layer: nn.Module, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        synapse_of("here", layer)


def test_an_even_kernel_with_an_even_reach_may_pad_the_same() -> None:
    layer = nn.Conv2d(2, 3, 2, padding="same", dilation=2).double()
    x = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(synapse_of("here", layer).apply(x, layer.weight, layer.bias), layer(x))


def test_only_plain_layers_are_synapses() -> None:
    class Mine(nn.Linear):
        pass

    assert is_synapse(nn.Linear(2, 2))
    assert is_synapse(nn.Conv2d(1, 1, 1))
    assert not is_synapse(Mine(2, 2)), "a subclass may compute something else"
    assert not is_synapse(nn.ConvTranspose2d(1, 1, 1))
