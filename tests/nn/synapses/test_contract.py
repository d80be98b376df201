"""What every registered synapse owes to the engine: one suite over the export list, on generated geometries.

Three products against torch's autograd, counts against torch's own and against counting one by one, and refusals.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from onchip import rules
from onchip.errors import RequestError, UnsupportedError
from onchip.nn import LIF, Sequential, WeightStandardizedConv2d, synapses
from onchip.nn.synapses import LinearSynapse, Synapse, is_synapse, register, synapse_of
from onchip.nn.synapses.bfloat16 import BFloat16Synapse
from onchip.nn.synapses.product import SynapticProduct
from tests.cases import agree, gradients, loss_of

SYNAPSES: list[type[Synapse]] = [
    exported
    for name in synapses.__all__
    if isinstance(exported := getattr(synapses, name), type) and exported is not Synapse
]
LAYERS = [module for synapse in SYNAPSES for module in synapse.modules]
each = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
examples = settings(max_examples=25, deadline=None, derandomize=True)


@dataclass(frozen=True)
class Drawn:
    """A layer in float64, its synapse, and activity (N, in...) of which two thirds are zero."""

    layer: Any
    synapse: Synapse
    x: Tensor

    @property
    def weight(self) -> Tensor:
        return self.synapse.weight_of(self.layer)


def _linear(data: st.DataObject) -> tuple[dict[str, Any], tuple[int, ...]]:
    inputs = data.draw(st.integers(1, 6))
    return {"in_features": inputs, "out_features": data.draw(st.integers(1, 6))}, (inputs,)


def _convolution(data: st.DataObject, axes: int) -> tuple[dict[str, Any], tuple[int, ...]]:
    def numbers(least: int, most: int) -> tuple[int, ...]:
        return data.draw(st.tuples(*[st.integers(least, most)] * axes))

    groups, kernel, dilation = data.draw(st.integers(1, 3)), numbers(1, 3), numbers(1, 2)
    inputs, outputs = groups * data.draw(st.integers(1, 2)), groups * data.draw(st.integers(1, 2))
    options = {"in_channels": inputs, "out_channels": outputs, "groups": groups, "kernel_size": kernel}
    odd = all(d * (k - 1) % 2 == 0 for d, k in zip(dilation, kernel, strict=True))
    padding = data.draw(st.sampled_from(["valid", *(["same"] if odd else []), numbers(0, 2)]))
    stride = numbers(1, 1 if padding == "same" else 3)
    positions = [data.draw(st.integers(d * (k - 1) + 1, 6)) for d, k in zip(dilation, kernel, strict=True)]
    return {**options, "dilation": dilation, "padding": padding, "stride": stride}, (inputs, *positions)


def _standardized(data: st.DataObject) -> tuple[dict[str, Any], tuple[int, ...]]:
    channels, kernel, size = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), data.draw(st.integers(3, 6))
    options = {"stride": data.draw(st.integers(1, 2)), "padding": data.draw(st.integers(0, 2))}
    return {"channels": channels, "maps": data.draw(st.integers(1, 4)), "kernel_size": kernel, **options}, (
        channels,
        size,
        size,
    )


GEOMETRIES = {
    nn.Linear: _linear,
    nn.Conv1d: lambda data: _convolution(data, 1),
    nn.Conv2d: lambda data: _convolution(data, 2),
    WeightStandardizedConv2d: _standardized,
}


def drawn(layer: type[nn.Module], data: st.DataObject) -> Drawn:
    options, features = GEOMETRIES[layer](data)
    torch.manual_seed(data.draw(st.integers(0, 99)))
    module = layer(**options).double()
    x = torch.randn(data.draw(st.integers(1, 3)), *features, dtype=torch.float64)
    return Drawn(module, synapse_of("here", module), x * (torch.rand_like(x) < 0.33))


def connections(case: Drawn) -> Tensor:
    """Whether there is a synapse, (inputs, outputs): which outputs an input reaches if all weights are 1."""
    ones = torch.eye(case.x[0].numel(), dtype=torch.float64).view(-1, *case.x.shape[1:])
    reached = case.synapse.apply(ones, torch.ones_like(case.weight), None)
    assert set(reached.unique().tolist()) <= {0.0, 1.0}
    return reached.flatten(1) != 0


def brute_force(case: Drawn, pre: Tensor, post: Tensor) -> int:
    """Synapses between a non-zero entry of `pre` and one of `post`, counted one at a time."""
    table, count = connections(case), 0
    for before, after in zip(pre.flatten(1) != 0, post.flatten(1) != 0, strict=True):
        count += sum(bool(table[i, j]) for i, j in itertools.product(before.nonzero(), after.nonzero()))
    return count


def counted_operations(case: Drawn, pre: Tensor | None, post: Tensor | None) -> int:
    """Operations of an event-driven chip, by `SynapticProduct`."""
    outputs = case.layer(case.x).shape
    product = SynapticProduct(case.synapse, case.x.shape, outputs, pre, post)
    count = product.count()
    assert not (count.multiplied and count.accumulated)
    if post is not None and pre is None:
        assert (count.values, count.active) == (post.numel(), int((post != 0).sum()))
    assert pre is None or post is not None or count.multiplied + count.accumulated <= product.products
    return count.multiplied + count.accumulated


def test_every_synapse_has_a_geometry_here() -> None:
    assert set(LAYERS) == set(GEOMETRIES)


@each
@examples
@given(data=st.data())
def test_the_products_are_torchs(layer: type[nn.Module], data: st.DataObject) -> None:
    case = drawn(layer, data)
    weight, x, bias = case.weight.detach().requires_grad_(), case.x.requires_grad_(), case.layer.bias
    drive = case.layer(x)
    torch.testing.assert_close(case.synapse.apply(x, weight, bias), drive, rtol=1e-12, atol=1e-12)
    without_bias = case.synapse.apply(x, weight, None)
    torch.testing.assert_close(without_bias, drive - case.layer(torch.zeros_like(x)), rtol=1e-12, atol=1e-12)
    delta = torch.randn_like(drive)
    of_x, of_bias = torch.autograd.grad(drive, [x, bias], delta)
    (of_weight,) = torch.autograd.grad(without_bias, [weight], delta)
    got = [
        case.synapse.backward_input(delta, weight.detach(), x.shape),
        case.synapse.bias_update(delta),
        case.synapse.weight_grad(x.detach(), delta),
    ]
    torch.testing.assert_close(got, [of_x, of_bias, of_weight], rtol=1e-12, atol=1e-12)


@each
@examples
@given(data=st.data())
def test_the_three_products_are_one_trilinear_form(layer: type[nn.Module], data: st.DataObject) -> None:
    """<apply(x, B), δ> = <x, backward_input(δ, B)> = <weight_grad(x, δ), B> for *any* weights B."""
    case = drawn(layer, data)
    strange = torch.randn_like(case.weight)
    drive = case.synapse.apply(case.x, strange, None)
    delta = torch.randn_like(drive)
    form = (drive * delta).sum()
    torch.testing.assert_close((case.x * case.synapse.backward_input(delta, strange, case.x.shape)).sum(), form)
    torch.testing.assert_close((case.synapse.weight_grad(case.x, delta) * strange).sum(), form)


@each
@examples
@given(data=st.data())
def test_products_are_half_of_torchs_flops(layer: type[nn.Module], data: st.DataObject) -> None:
    case = drawn(layer, data)
    with FlopCounterMode(display=False) as counter:
        drive = case.synapse.apply(case.x, case.weight.detach(), None)
    assert 2 * case.synapse.products(drive.shape) == counter.get_total_flops() > 0
    assert case.synapse.products(drive.shape) == drive.numel() * case.weight[0].numel(), "padding included"


@each
@examples
@given(data=st.data())
def test_operations_are_those_counted_one_by_one(layer: type[nn.Module], data: st.DataObject) -> None:
    case = drawn(layer, data)
    drive = case.layer(case.x)
    post = torch.randn_like(drive) * (torch.rand_like(drive) < 0.5)
    table = connections(case)
    for fan, counted, shape in (
        (case.synapse.fan_out(case.x.shape), table.sum(1), case.x.shape[1:]),
        (case.synapse.fan_in(case.x.shape), table.sum(0), drive.shape[1:]),
    ):
        assert torch.equal(fan.expand(shape), counted.view(shape))
    operations = brute_force(case, case.x, post)
    assert case.synapse.pairs(case.x != 0, post != 0) == operations
    assert counted_operations(case, case.x, post) == operations
    assert counted_operations(case, case.x, None) == brute_force(case, case.x, torch.ones_like(post))
    assert counted_operations(case, None, post) == brute_force(case, torch.ones_like(case.x), post)


@each
@examples
@given(data=st.data())
def test_smaller_maps_of_the_same_weights(layer: type[nn.Module], data: st.DataObject) -> None:
    case = drawn(layer, data)
    field, features = case.synapse.field()
    x = torch.randn(2, *features, dtype=torch.float64)
    outputs = field.apply(x, case.weight.detach(), None)
    assert outputs.shape[1] * math.prod(outputs.shape[2:]) == len(case.weight)
    one, groups = case.synapse.one_output(), case.synapse.groups
    delta = torch.ones_like(case.layer(case.x))
    whole = case.synapse.weight_grad(case.x, delta)[:: len(case.weight) // groups]
    torch.testing.assert_close(one.weight_grad(case.x, delta[:, :groups]), whole)


@each
@examples
@given(data=st.data())
def test_shapes_that_do_not_fit_are_refused_by_name(layer: type[nn.Module], data: st.DataObject) -> None:
    case = drawn(layer, data)
    case.synapse.check("here", case.x.shape)
    assert case.synapse.spatial_axes == case.x.dim() - 2
    for shape in ((2, case.x.shape[1] + 1, *case.x.shape[2:]), (2, 1, *case.x.shape[1:]), (2,)):
        with pytest.raises(RequestError, match=rf"{layer.__name__} 'here' got features of shape \(.*; expected \("):
            case.synapse.check("here", torch.Size(shape))


@each
def test_a_subclass_may_compute_something_else(layer: type[nn.Module]) -> None:
    derived: Any = type("Mine", (layer,), {})
    assert is_synapse(layer.__new__(layer))
    assert not is_synapse(derived.__new__(derived))


@each
def test_wrappers_have_the_wrapped_geometry(layer: type[nn.Module]) -> None:
    options: dict[Any, tuple[Any, ...]] = {nn.Linear: (2, 3)}
    inner = synapse_of("here", layer(*options.get(layer, (2, 3, 1))))
    wrapper = BFloat16Synapse(inner)
    assert (wrapper.spatial_axes, wrapper.groups, wrapper.bare()) == (inner.spatial_axes, inner.groups, inner)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (nn.Linear(5, 3), (4, 6), r"Linear 'here' got features of shape \(6,\); expected \(5,\)\. Put nn\.Flatten"),
        (nn.Linear(5, 3), (4, 1, 5), r"Linear 'here' got features of shape \(1, 5\); expected \(5,\)"),
        (nn.Conv2d(2, 3, 3), (4, 3, 8, 8), r"Conv2d 'here' got features of shape \(3, 8, 8\); expected \(2, height"),
        (nn.Conv2d(4, 4, 3, groups=2), (4, 2, 8, 8), r"expected \(4, height, width\)"),
        (nn.Conv2d(2, 3, 3), (4, 2, 8), r"Conv2d 'here' got features of shape \(2, 8\)"),
        (nn.Conv2d(2, 3, 3), (4, 2, 8, 2), r"Conv2d 'here' got a map of width 2, smaller than its kernel's reach of 3"),
        (nn.Conv2d(2, 3, 3, dilation=3, padding=1), (4, 2, 4, 8), r"got a map of height 4, .* reach of 7"),
        (nn.Conv1d(2, 3, 3), (4, 2, 8, 8), r"Conv1d 'here' got features of shape \(2, 8, 8\); expected \(2, length\)"),
        (nn.Conv1d(2, 3, 5, padding=1), (4, 2, 2), r"Conv1d 'here' got a map of length 2, .* reach of 5"),
    ],
)
def test_messages_say_what_is_expected(layer: nn.Module, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        synapse_of("here", layer).check("here", torch.Size(shape))


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(2, 3, 3, padding_mode="reflect", padding=1), r"Conv2d 'here' pads with 'reflect'.*zeros"),
        (nn.Conv1d(2, 3, 3, padding_mode="circular", padding=1), r"Conv1d 'here' pads with 'circular'.*zeros"),
        (nn.Conv2d(2, 3, 2, padding="same"), r"Conv2d 'here' has padding='same' with an even kernel.*odd"),
        (nn.Conv3d(2, 3, 3), r"Conv3d 'here' is no synapse; expected one of Linear, Conv1d, Conv2d, Weight"),
    ],
)
def test_layers_that_no_synapse_describes_are_refused(layer: nn.Module, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        synapse_of("here", layer)


class Doubled(nn.Linear):
    """A layer that counts each input twice."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(2 * input)


@pytest.fixture
def doubled() -> Iterator[None]:
    class DoubledSynapse(LinearSynapse):  # type: ignore[misc]
        modules = (Doubled,)

        def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
            return super().apply(2 * x, weight, bias)

        def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
            return super().backward_input(2 * delta, weight, shape)

        def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
            return super().weight_grad(2 * pre, delta)

    register(DoubledSynapse)
    yield
    synapses.lookup._registered.pop(Doubled)


def test_a_layer_of_ones_own_trains_under_a_rule(doubled: None) -> None:
    model = Sequential(Doubled(5, 7), LIF(), Doubled(7, 3)).double()
    signal = torch.rand(4, 2, 5, dtype=torch.float64)
    loss_of(model(signal)).backward()
    expected = gradients(model)
    model.zero_grad()
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), expected)


def test_a_layer_type_belongs_to_one_synapse() -> None:
    class Second(LinearSynapse):  # type: ignore[misc]
        pass

    class Nothing(LinearSynapse):  # type: ignore[misc]
        modules = ()

    with pytest.raises(RequestError, match=r"Second got Linear, which belongs to LinearSynapse"):
        register(Second)
    with pytest.raises(RequestError, match=r"Nothing has no `modules`"):
        register(Nothing)
