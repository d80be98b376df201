import torch
from hypothesis import given
from hypothesis import strategies as st

from onchip.data.stratify import hold_out, stratified_order

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=120).map(torch.tensor)


@given(LABELS, st.integers(0, 2**63 - 1))
def test_the_order_is_a_permutation_and_repeats(labels: torch.Tensor, seed: int) -> None:
    order = stratified_order(labels, seed)
    assert order.sort().values.tolist() == list(range(len(labels)))
    assert torch.equal(order, stratified_order(labels, seed))


@given(LABELS, st.integers(0, 9), st.data())
def test_every_prefix_keeps_the_share_of_every_class(labels: torch.Tensor, seed: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(labels)))
    drawn = labels[stratified_order(labels, seed)[:size]].bincount(minlength=6)
    share = labels.bincount(minlength=6) / len(labels)
    # Webster's method rounds every class at one common threshold; six roundings of a half, and ties.
    assert ((drawn - size * share).abs() <= 1.5 + 3 * share).all()


def test_even_classes_are_drawn_evenly() -> None:
    labels = torch.arange(10).repeat(50)
    for size in (10, 100, 370):
        assert labels[stratified_order(labels, 3)[:size]].bincount().tolist() == [size // 10] * 10


def test_a_small_class_comes_in_the_middle_of_its_shares() -> None:
    """Of 4 and 90 images the 4 have the places 1/8, 3/8, 5/8 and 7/8; below them lie 11, 34, 56 and 79 of the 90."""
    labels = torch.tensor([1] * 4 + [0] * 90)
    order = labels[stratified_order(labels, seed=0)]
    assert order.nonzero().flatten().tolist() == [11, 34 + 1, 56 + 2, 79 + 3]


def test_another_seed_draws_other_images_of_a_class() -> None:
    labels = torch.zeros(100, dtype=torch.int64)
    assert not torch.equal(stratified_order(labels, 0), stratified_order(labels, 1))


@given(LABELS, st.floats(0.01, 0.9))
def test_kept_and_held_out_share_nothing(labels: torch.Tensor, fraction: float) -> None:
    kept, held = hold_out(labels, fraction, seed=0)
    assert sorted(kept.tolist() + held.tolist()) == list(range(len(labels)))
    assert len(held) == max(1, round(fraction * len(labels)))
