"""Each scheme of weight transport: what it changes, and what it books for that."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip.errors import RequestError
from onchip.runs.grammar import convert
from onchip.transport import Cyclic, Full, LowRank, Random, Sign, Threshold, Top, Transport, Transported
from onchip.transport.base import index_bits, planned_bits

SHAPES = [(5, 7), (4, 3, 3, 3), (1, 1), (6, 1)]
FRACTIONS = st.floats(0.01, 1.0)
LAYERS = st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3)


def pairs(shapes: Sequence[tuple[int, ...]], seed: int = 0) -> tuple[list[Tensor], list[Tensor]]:
    """B and W of each layer, in float64, all different."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [[torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes] for _ in "BW"]
    return drawn[0], drawn[1]


def sent(scheme: Transport, before: list[Tensor], weights: list[Tensor], event: int = 0) -> list[Tensor]:
    """B after one event."""
    feedback = [copy.clone() for copy in before]
    scheme(feedback, weights, event)
    return feedback


def apart(feedback: list[Tensor], weights: list[Tensor]) -> Tensor:
    """W - B of all layers, flat."""
    return torch.cat([(w - b).flatten() for b, w in zip(feedback, weights, strict=True)])


@given(shapes=LAYERS, seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_full_copies_all(shapes: list[tuple[int, ...]], seed: int) -> None:
    before, weights = pairs(shapes, seed)
    after = [copy.clone() for copy in before]
    moved = Full()(after, weights, 0)
    assert not apart(after, weights).any()
    assert moved == [Transported(w.numel(), 64 * w.numel()) for w in weights]


@pytest.mark.parametrize("kind", [Top, Random, Cyclic])
@given(shapes=LAYERS, fraction=FRACTIONS, per_layer=st.booleans(), event=st.integers(0, 50))
@settings(max_examples=30, deadline=None)
def test_a_share_is_copied_exactly_and_the_rest_left(
    kind: type[Top | Random | Cyclic], shapes: list[tuple[int, ...]], fraction: float, per_layer: bool, event: int
) -> None:
    before, weights = pairs(shapes)
    after = [copy.clone() for copy in before]
    moved = kind(fraction, per_layer)(after, weights, event)
    sizes = [w.numel() for w in weights]
    for layer, (b0, b1, w) in enumerate(zip(before, after, weights, strict=True)):
        copied = b1 == w
        assert torch.equal(b1[~copied], b0[~copied])
        assert moved[layer].scalars == copied.sum()
        assert moved[layer].value_bits == 64 * moved[layer].scalars
        assert moved[layer].compares == (sizes[layer] if kind is Top else 0)
    budgets = sizes if per_layer else [sum(sizes)]
    counts = [max(1, round(fraction * size)) for size in budgets]
    assert sum(layer.scalars for layer in moved) == sum(counts)
    if per_layer:
        assert [layer.scalars for layer in moved] == counts
    named = 0
    for count, size in zip(counts, budgets, strict=True):
        if count < size and kind is not Cyclic:
            named += min(count * math.ceil(math.log2(size)), size)
    assert sum(layer.index_bits for layer in moved) == named


@given(shapes=LAYERS, fraction=FRACTIONS, per_layer=st.booleans())
@settings(max_examples=30, deadline=None)
def test_top_leaves_no_larger_difference_than_it_sent(
    shapes: list[tuple[int, ...]], fraction: float, per_layer: bool
) -> None:
    before, weights = pairs(shapes)
    after = sent(Top(fraction, per_layer), before, weights)
    layers = [[i] for i in range(len(shapes))] if per_layer else [list(range(len(shapes)))]
    for group in layers:
        first = apart([before[i] for i in group], [weights[i] for i in group]).abs()
        left = apart([after[i] for i in group], [weights[i] for i in group]).abs()
        assert left.max() <= first[left == 0].min()


@given(shapes=LAYERS, fraction=FRACTIONS, per_layer=st.booleans(), start=st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_cyclic_has_sent_everything_after_one_round_from_any_event(
    shapes: list[tuple[int, ...]], fraction: float, per_layer: bool, start: int
) -> None:
    feedback, weights = pairs(shapes)
    scheme = Cyclic(fraction, per_layer)
    sizes = [w.numel() for w in weights] if per_layer else [sum(w.numel() for w in weights)]
    rounds = max(math.ceil(size / max(1, round(fraction * size))) for size in sizes)
    for event in range(start, start + rounds):
        scheme(feedback, weights, event)
    assert not apart(feedback, weights).any()


def test_random_draws_new_weights_at_each_event_and_from_the_global_generator() -> None:
    before, weights = pairs([(20, 20)])
    torch.manual_seed(3)
    first, second = (sent(Random(0.1), before, weights)[0] for _ in range(2))
    torch.manual_seed(3)
    again = sent(Random(0.1), before, weights)[0]
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_random_of_a_shared_seed_sends_no_index() -> None:
    before, weights = pairs([(20, 20)])
    assert Random(0.1, shared=True)(before, weights, 0) == [Transported(40, 64 * 40, draws=40)]


@given(threshold=st.floats(1e-3, 3.0), relative=st.booleans(), seed=st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_threshold_copies_what_is_further_apart(threshold: float, relative: bool, seed: int) -> None:
    before, weights = pairs([(5, 7), (4, 3, 3, 3)], seed)
    after = [copy.clone() for copy in before]
    moved = Threshold(threshold, relative)(after, weights, 0)
    for b0, b1, w, layer in zip(before, after, weights, moved, strict=True):
        far = (w - b0).abs()
        far = far > threshold * (far.mean() if relative else 1.0)
        assert torch.equal(b1, torch.where(far, w, b0))
        count, size = int(far.sum()), w.numel()
        assert layer == Transported(count, 64 * count, min(count * math.ceil(math.log2(size)), size), size)


def test_a_weight_exactly_at_the_threshold_is_not_copied() -> None:
    weights = torch.tensor([[0.25, 0.5, -0.5, 0.75]])
    for scheme in (Threshold(0.5), Threshold(1.0, relative=True)):  # whose mean is 0.5
        feedback = torch.zeros(1, 4)
        (moved,) = scheme([feedback], [weights], 0)
        assert feedback.tolist() == [[0.0, 0.0, 0.0, 0.75]]
        assert moved.scalars == 1


def test_relative_threshold_follows_the_scale_of_the_updates() -> None:
    before, weights = pairs([(9, 9)])
    near = [b + 1e-4 * (w - b) for b, w in zip(before, weights, strict=True)]
    far, close = (Threshold(1.5, relative=True)([before[0].clone()], w, 0)[0] for w in (weights, near))
    assert far == close


def test_sign_moves_each_weight_by_the_mean_difference() -> None:
    before, weights = pairs([(5, 7)])
    after = [before[0].clone()]
    moved = Sign()(after, weights, 0)
    difference = weights[0] - before[0]
    step = difference.abs().sum() / 35
    torch.testing.assert_close(after[0], before[0] + step * difference.sign())
    assert moved == [Transported(36, 35 + 64, compares=35, coded=35, writes=35)]


def test_sign_has_no_third_value() -> None:
    feedback = [torch.tensor([[0.0, 0.0]])]
    Sign()(feedback, [torch.tensor([[2.0, 0.0]])], 0)
    assert feedback[0].tolist() == [[1.0, 1.0]]


@given(shapes=LAYERS, seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_sign_takes_exactly_n_s_squared_off_the_error_at_every_event(shapes: list[tuple[int, ...]], seed: int) -> None:
    feedback, weights = pairs(shapes, seed)
    for event in range(4):
        gaps = [w - b for b, w in zip(feedback, weights, strict=True)]
        left = [gap.square().sum() - gap.numel() * gap.abs().mean() ** 2 for gap in gaps]
        Sign()(feedback, weights, event)
        for b, w, expected in zip(feedback, weights, left, strict=True):
            torch.testing.assert_close((w - b).square().sum(), expected, atol=1e-12, rtol=1e-9)


@given(shapes=LAYERS, rank=st.integers(1, 3), bits=st.integers(2, 16), seed=st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_low_rank_never_makes_the_error_larger_and_books_its_factors(
    shapes: list[tuple[int, ...]], rank: int, bits: int, seed: int
) -> None:
    feedback, weights = pairs(shapes, seed)
    for event in range(3):
        before = [(w - b).norm() for b, w in zip(feedback, weights, strict=True)]
        moved = LowRank(rank, bits)(feedback, weights, event)
        for b, w, error, layer in zip(feedback, weights, before, moved, strict=True):
            assert (w - b).norm() <= error * (1 + 1e-12)
            out, rest = w.shape[0], w.numel() // w.shape[0]
            pairs_sent = min(rank, out, rest)
            assert layer.scalars == pairs_sent * (out + rest + 1)
            assert layer.value_bits == pairs_sent * (bits * (out + rest) + 64)
            assert (layer.index_bits, layer.compares) == (0, 0)
            assert layer.products == (1 + pairs_sent * 7) * w.numel()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_low_rank_factors_fit_their_bits(bits: int) -> None:
    feedback, weights = [torch.zeros(6, 40, dtype=torch.float64)], pairs([(6, 40)])[1]
    LowRank(1, bits)(feedback, weights, 0)
    # an outer product of whole numbers: some row is the largest whole number times v, so dividing finds v
    row = feedback[0][feedback[0].abs().sum(1).argmax()]
    levels = 2 ** (bits - 1) - 1
    whole = row / row.abs().max() * levels
    torch.testing.assert_close(whole, whole.round(), atol=1e-9, rtol=0)
    assert torch.linalg.matrix_rank(feedback[0]) == 1


def test_low_rank_recovers_a_low_rank_difference() -> None:
    u, v = pairs([(8, 2), (2, 30)])[1]
    feedback = [torch.zeros(8, 30, dtype=torch.float64)]
    LowRank(2, 16)(feedback, [u @ v], 0)
    assert (u @ v - feedback[0]).square().sum() < 1e-4 * (u @ v).square().sum()


def test_low_rank_catches_nearly_what_singular_values_promise() -> None:
    generator = torch.Generator().manual_seed(1)
    left, right = (torch.linalg.qr(torch.randn(n, 20, generator=generator))[0] for n in (32, 144))
    values = 0.8 ** torch.arange(20.0)
    difference = left @ torch.diag(values) @ right.t()
    feedback = [torch.zeros(32, 144)]
    LowRank(1, 8)(feedback, [difference], 0)
    caught = difference.square().sum() - (difference - feedback[0]).square().sum()
    assert caught >= 0.85 * values[0] ** 2


@pytest.mark.parametrize("scheme", [Full(), Top(0.3), Threshold(0.1), Random(0.3), Cyclic(0.3), Sign(), LowRank(2, 8)])
@pytest.mark.parametrize("same", [True, False])
def test_every_scheme_keeps_layouts_and_leaves_an_exact_copy_finite(scheme: Transport, same: bool) -> None:
    before, weights = pairs([(4, 3, 3, 3)])
    feedback = [(weights if same else before)[0].clone()]
    strided = [feedback[0].contiguous(memory_format=torch.channels_last)]
    for given_feedback in (feedback, strided):
        torch.manual_seed(0)
        scheme(given_feedback, weights, 0)
        if same:
            assert torch.equal(given_feedback[0], weights[0])
    torch.testing.assert_close(strided[0], feedback[0])


@pytest.mark.parametrize("scheme", [Top(0.2), Random(0.2), Cyclic(0.2), Sign(), LowRank(2, 6), LowRank(1, 2)])
def test_repeated_events_bring_the_copy_to_weights_that_stand_still(scheme: Transport) -> None:
    feedback, weights = pairs([(6, 12)])
    begin = apart(feedback, weights).norm()
    torch.manual_seed(0)
    for event in range(60):
        scheme(feedback, weights, event)
    assert apart(feedback, weights).norm() < 0.02 * begin


@given(count=st.integers(1, 200), extra=st.integers(0, 10_000))
def test_index_bits_are_those_of_a_list_or_a_bitmap(count: int, extra: int) -> None:
    among = count + extra
    width = len(bin(among - 1)[2:]) if among > 1 else 0
    assert index_bits(count, among) == min(count * width, among)


@pytest.mark.parametrize("kind", [Top, Random, Cyclic])
@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, math.nan])
def test_fraction_out_of_range_is_refused(kind: type[Top | Random | Cyclic], fraction: float) -> None:
    with pytest.raises(RequestError, match=rf"{kind.__name__} got fraction={fraction}; expected .*\(0, 1\].*never"):
        kind(fraction)


@pytest.mark.parametrize("threshold", [0.0, -1.0, math.inf, math.nan])
def test_threshold_that_is_not_positive_is_refused(threshold: float) -> None:
    with pytest.raises(RequestError, match=rf"threshold={threshold}; expected a positive number.*never"):
        Threshold(threshold)


@pytest.mark.parametrize(("options", "message"), [((0, 4), "rank=0"), ((1, 1), "bits=1.*Sign"), ((1, 17), "bits=17")])
def test_low_rank_options_out_of_range_are_refused(options: tuple[int, int], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        LowRank(*options)


@pytest.mark.parametrize("scheme", [Full(), Top(0.2), Random(0.2), Cyclic(0.2), Sign(), LowRank(2, 6), LowRank(1, 2)])
def test_messages_have_the_size_that_was_planned(scheme: Transport) -> None:
    feedback, weights = pairs(SHAPES)
    for event in range(3):
        moved = scheme(feedback, weights, event)
        assert [layer.value_bits + layer.index_bits for layer in moved] == planned_bits(scheme, weights)


@pytest.mark.parametrize("scheme", [Threshold(0.1), Top(0.2, per_layer=False)])
def test_messages_of_no_fixed_size_cannot_be_planned(scheme: Transport) -> None:
    with pytest.raises(RequestError, match="size is not known in advance"):
        planned_bits(scheme, pairs(SHAPES)[1])


def test_options_are_given_on_the_command_line() -> None:
    assert convert("lowrank:2:8", Transport, "transport") == LowRank(2, 8)
    assert convert("random:0.2:shared=true", Transport, "transport") == Random(0.2, shared=True)
