"""Products in bfloat16: off by its rounding and no more, and exact for spikes."""

from __future__ import annotations

import platform
import warnings

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.nn.signals import Static
from onchip.nn.synapses import bfloat16, synapse_of
from onchip.nn.synapses.bfloat16 import BFloat16Synapse, has_bfloat16, warn_if_emulated

EPS = torch.finfo(torch.bfloat16).eps
"""The distance of neighbours at 1; a number is rounded by half of it at most."""
LAYERS = [torch.nn.Linear(24, 10), torch.nn.Conv2d(4, 6, 3, padding=1), torch.nn.Conv2d(4, 6, 3, stride=2, bias=False)]


def operands(layer: torch.nn.Module) -> tuple[Tensor, Tensor, Tensor | None]:
    """Spikes (N, in...), and the layer's weight and bias."""
    shape = (32, 24) if isinstance(layer, torch.nn.Linear) else (32, 4, 9, 9)
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    return (torch.rand(shape) < 0.3).float(), weight.detach(), bias.detach() if isinstance(bias, Tensor) else None


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_products_are_off_by_rounding(layer: torch.nn.Module) -> None:
    exact, (spikes, weight, bias) = synapse_of("layer", layer), operands(layer)
    rounded = BFloat16Synapse(exact)
    drive, wanted = rounded.apply(spikes, weight, bias), exact.apply(spikes, weight, bias)
    delta = torch.randn_like(wanted)
    pairs = [
        (drive, wanted, exact.apply(spikes, weight.abs(), None if bias is None else bias.abs())),
        (
            rounded.backward_input(delta, weight, spikes.shape),
            exact.backward_input(delta, weight, spikes.shape),
            exact.backward_input(delta.abs(), weight.abs(), spikes.shape),
        ),
        (rounded.weight_grad(spikes, delta), exact.weight_grad(spikes, delta), exact.weight_grad(spikes, delta.abs())),
    ]
    assert [got.dtype for got, _, _ in pairs] == [torch.bfloat16, torch.bfloat16, torch.float32]
    for got, expected, size in pairs:
        assert got.stride() == expected.stride()
        # Both operands and the result are rounded: three halves, of the sum of the terms' sizes.
        assert bool(((got - expected).abs() <= 1.5 * EPS * size + 1e-6).all())
        assert not torch.equal(got, expected)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_products_in_float32_differ_by_the_order_of_sums(
    layer: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor without products in bfloat16 has the results of one with them, but for the last bit of a few."""
    (spikes, weight, bias), inner = operands(layer), synapse_of("layer", layer)
    synapse, delta = BFloat16Synapse(inner), torch.randn_like(inner.apply(spikes, weight, bias))

    def products() -> list[Tensor]:
        drive, error = synapse.apply(spikes, weight, bias), synapse.backward_input(delta, weight, spikes.shape)
        return [drive, error, synapse.weight_grad(spikes, delta)]

    monkeypatch.setattr(bfloat16, "has_bfloat16", lambda _: True)
    there = products()
    monkeypatch.setattr(bfloat16, "has_bfloat16", lambda _: False)
    for here, wanted in zip(products(), there, strict=True):
        assert here.dtype == wanted.dtype
        assert here.stride() == wanted.stride()
        assert bool(((here - wanted).abs() <= EPS * wanted.abs() + 1e-6).all())
        assert (here != wanted).float().mean() < 0.02


@pytest.mark.parametrize("layer", LAYERS[:2], ids=str)
def test_spikes_are_exact(layer: torch.nn.Module) -> None:
    """With weights, biases and sums that bfloat16 has, nothing is lost, whichever type the spikes are of."""
    exact, (spikes, weight, bias) = synapse_of("layer", layer), operands(layer)
    assert bias is not None
    weight, bias = (weight * 8).round() / 8, (bias * 16).round() / 16
    expected = exact.apply(spikes, weight, bias)
    for given in (spikes, spikes.bfloat16()):
        assert torch.equal(BFloat16Synapse(exact).apply(given, weight, bias).float(), expected)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_sums_over_many_rows_are_rounded_once(layer: torch.nn.Module) -> None:
    """The update of a bias adds up thousands of numbers, of which one rounded sum would lose the small ones."""
    synapse = BFloat16Synapse(synapse_of("layer", layer))
    delta = (torch.rand(3000, 5, *[4] * synapse.spatial_axes) + 0.5).bfloat16()
    got, expected = synapse.bias_update(delta), delta.double().sum((0, *range(2, delta.dim())))
    assert got.dtype == torch.float32
    assert bool(((got - expected).abs() <= 0.51 * EPS * expected).all())


@pytest.mark.parametrize("name", ["bp", "ottt", "fbp", "dfa", "opzo"])
def test_gradients_of_a_rule_agree(name: str) -> None:
    def gradients(rounded: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 10)
        )
        rule = getattr(rules, name)(model)
        if rounded:
            assert rule.in_bfloat16() is rule
        out = rule.forward(Static(torch.rand(64, 1, 8, 8) * 2, 4))
        assert out.dtype == torch.float32
        rule.backward((out.mean(0) - torch.eye(10)[torch.arange(64) % 10]).square().mean())
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    for got, expected in zip(gradients(True), gradients(False), strict=True):
        assert got.dtype == torch.float32
        cosine = torch.nn.functional.cosine_similarity(got.flatten(), expected.flatten(), dim=0)
        assert cosine > 0.99
        assert not torch.equal(got, expected)


def test_the_bare_model_stays_float32() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.LIF(), nn.Linear(16, 3))
    signal = torch.rand(4, 5, 8)
    before = model(signal)
    rules.bp(model).in_bfloat16()
    assert torch.equal(model(signal), before)


@pytest.mark.parametrize(("amx", "avx"), [(False, False), (True, False), (False, True)])
def test_who_has_to_emulate_it_is_told_once(monkeypatch: pytest.MonkeyPatch, amx: bool, avx: bool) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx)
    has_bfloat16.cache_clear()
    warn_if_emulated.cache_clear()
    model = nn.Sequential(nn.Linear(8, 16), nn.LIF(), nn.Linear(16, 3))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        rules.bp(model).in_bfloat16().in_bfloat16()
        warn_if_emulated(torch.device("cuda"))
    has_bfloat16.cache_clear()
    warn_if_emulated.cache_clear()
    assert ["no products in bfloat16" in str(one.message) for one in told] == ([] if amx or avx else [True])
