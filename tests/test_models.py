"""Networks by name: shapes, sizes, and no layer that is silent at the start."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from onchip import encoding as encode
from onchip import models, nn
from onchip.data import load
from onchip.diagnostics import activity
from onchip.errors import RequestError, UnsupportedError
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons.base import Neuron
from onchip.nn.signals import Signal, Static
from onchip.training import registry

Make = Callable[..., nn.Sequential]
VGGS = [models.vgg7, models.vgg11, models.conv5, models.conv9, models.conv9_narrow]
RESNETS = [models.resnet8, models.resnet18, models.resnet34]
NETWORKS = [made for name in models.__all__ if (made := getattr(models, name)) not in VGGS + RESNETS]

MADE = [
    (make, neuron)
    for make in NETWORKS + VGGS
    for neuron in (nn.LIF, nn.TTFS)
    if (make, neuron) != (models.recurrent, nn.TTFS)
]


def signal_of(neuron: type[Neuron], images: torch.Tensor) -> Signal:
    return encode.Latency()(images) if neuron is nn.TTFS else Static(images, steps=6)


@pytest.mark.parametrize(("make", "neuron"), MADE)
def test_output_has_a_column_a_class(make: Make, neuron: type[Neuron]) -> None:
    images = torch.rand(2, 3, 8, 8)
    out = make((3, 8, 8), 7, neuron=neuron)(signal_of(neuron, images))
    assert out.shape == ((2, 7) if neuron is nn.TTFS else (6, 2, 7))


@pytest.mark.parametrize(
    ("make", "weights"),
    [
        # by hand, for images of 3x32x32 and 10 classes, without biases
        (models.conv_dense, 27 * 16 + 144 * 32 + 32 * 64 * 128 + 1280),
        (models.vgg7, 27 * 64 + 576 * 128 + 1152 * 256 + 2304 * 256 + 2304 * 512 + 4608 * 512 + 8192 * 10),
        (
            models.vgg11,
            27 * 128 + 2 * 1152 * 128 + 1152 * 256 + 2 * 2304 * 256 + 2304 * 512 + 3 * 4608 * 512 + 8192 * 10,
        ),
    ],
)
def test_weights_count_as_in_the_papers(make: Make, weights: int) -> None:
    assert sum(p.numel() for p in make((3, 32, 32), 10, neuron=nn.TTFS).parameters()) == weights
    assert sum(p.numel() for p in make((3, 32, 32), 10).parameters() if p.dim() > 1) == weights


@pytest.mark.parametrize(("make", "neuron"), MADE)
def test_no_layer_is_silent_at_the_start(make: Make, neuron: type[Neuron]) -> None:
    images = load("digits").train.samples[:16].float().div_(255)
    for seed in range(1 if make in VGGS else 3):
        torch.manual_seed(seed)
        model = make((1, 8, 8), 10, neuron=neuron)
        rates = [layer.rate for layer in activity(model, [signal_of(neuron, images)]).values()]
        # The last layers of a VGG see images of 2x2 here, mostly padding.
        assert min(rates) > (0.02 if neuron is nn.LIF else 0.2), rates
        assert max(rates) < 0.7, rates


@pytest.mark.parametrize(("make", "layers"), [(models.resnet8, 9), (models.resnet18, 20), (models.resnet34, 36)])
def test_residual_networks_are_awake_and_of_their_size(make: Make, layers: int) -> None:
    torch.manual_seed(0)
    model = make((1, 8, 8), 10)
    images = load("digits").train.samples[:4].float().div_(255)
    rates = [layer.rate for layer in activity(model, [Static(images, 6)]).values()]
    assert len(rates) == layers, "7, 17 or 33 in the chain, and 2 or 3 in shortcuts"
    assert min(rates) > 0.02, rates
    assert max(rates) < 0.7, rates
    assert model(Static(images, 2)).shape == (2, 4, 10)
    with pytest.raises(RequestError, match="expected LIF or IF"):
        make((1, 8, 8), 10, neuron=nn.TTFS)


@pytest.mark.parametrize("make", [models.vgg7, models.vgg11, models.conv5])
def test_images_smaller_than_the_pools_are_refused(make: Make) -> None:
    with pytest.raises(RequestError, match="images of 7x9 pixels; its pools need at least 8x8"):
        make((3, 7, 9), 10)


@pytest.mark.parametrize("neuron", [nn.LIF, nn.TTFS, nn.Stochastic])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("conv-small", "16C3-P2-32C3-P2"),
        ("conv-dense", "16c3-p2-32c3-p2-f128-10"),
        ("mlp", "F256-F256"),
        ("mlp-tapered", "F200-F100-10"),
        ("conv9-narrow", str(models.conv9_narrow)),
    ],
)
def test_a_spelled_network_is_the_named_one(name: str, text: str, neuron: type[Neuron]) -> None:
    built = []
    for each in (name, text):
        torch.manual_seed(1)
        built.append(registry.network(each)((1, 8, 8), 10, neuron=neuron))
    named, spelled = built
    assert str(named) == str(spelled)
    assert named.state_dict().keys() == spelled.state_dict().keys()
    assert all(map(torch.equal, named.state_dict().values(), spelled.state_dict().values()))


@pytest.mark.parametrize(("neuron", "norm"), [(nn.LIF, 5.0), (nn.IF, 5.0), (nn.TTFS, 2.0**0.5)])
def test_standardized_weights_have_a_norm_that_suits_the_neurons(neuron: type[Neuron], norm: float) -> None:
    model = registry.network("4C3WS-P2-6C3WS")((2, 8, 8), 3, neuron=neuron)
    for layer in build_graph(model).layers[:-1]:
        rows = layer.weight.detach().flatten(1)
        torch.testing.assert_close(rows.sum(1), torch.zeros(len(rows)), atol=1e-5, rtol=0.0)
        torch.testing.assert_close(rows.norm(dim=1), torch.full((len(rows),), norm), atol=1e-3, rtol=1e-3)
        assert (layer.bias is None) == (neuron is nn.TTFS)


def test_kernels_and_pools_of_other_sides() -> None:
    model = registry.network("4C5-P3-6C1-F7-3")((2, 10, 11), 3)
    shapes = [tuple(weight.shape) for weight in model.parameters() if weight.dim() > 1]
    assert shapes == [(4, 2, 5, 5), (6, 4, 1, 1), (7, 6 * 3 * 3), (3, 7)]
    assert model(Static(torch.rand(5, 2, 10, 11), 2)).shape == (2, 5, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("16C3-Q2", "got 'Q2' as layer 2; expected a convolution such as 16C3"),
        ("16C3--P2", "got '' as layer 2"),
        ("0C3", "got '0C3' as layer 1"),
        ("16C4", "kernel of 4x4; expected odd"),
        ("16C3-P9", "images of 8x8 pixels; its pools need at least 9x9"),
        ("F20-16C3", "16C3 on input of shape .20,.; expected images"),
        ("F20-11", "ends in 11 classes; expected 10"),
        ("10-F20", "F20 after the number of classes"),
        ("conv-smal", "did you mean 'conv-small'"),
        ("20", "unknown network '20'"),
    ],
)
def test_a_wrong_network_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        registry.network(text)((1, 8, 8), 10)
    assert "\n" not in str(caught.value)


def test_spike_times_do_not_recur() -> None:
    with pytest.raises(UnsupportedError, match=r"Recurrent got TTFS as neurons; expected neurons with a membrane"):
        models.recurrent((12,), 9, neuron=nn.TTFS)
