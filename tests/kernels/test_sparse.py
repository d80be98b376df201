"""Products that skip zeros, against those that do not."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import kernels
from onchip.kernels import sparse
from onchip.nn.synapses import LinearSynapse

pytestmark = pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")


def sown(rows: int, columns: int, rate: float) -> Tensor:
    """Normal numbers at some places, zeros elsewhere."""
    return torch.randn(rows, columns) * (torch.rand(rows, columns) < rate)


def close(found: Tensor | None, wanted: Tensor, terms: int) -> bool:
    """Whether sums of so many terms agree as float32 does, whatever the order of summation."""
    assert found is not None
    return bool((found - wanted).abs().max() <= 1e-6 * terms)


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 70),
    inner=st.one_of(st.integers(1, 20), st.integers(90, 230)),
    columns=st.integers(64, 150),
    rate=st.sampled_from([0.0, 0.05, 0.3]),
    options=st.tuples(*[st.booleans()] * 4),
)
def test_equals_the_dense_product(
    rows: int, inner: int, columns: int, rate: float, options: tuple[bool, bool, bool, bool]
) -> None:
    """In every order of every operand, with panels and depths that are not full."""
    x_turned, m_turned, biased, turned = options
    x = sown(inner, rows, rate).t() if x_turned else sown(rows, inner, rate)
    m = torch.randn(columns, inner).t() if m_turned else torch.randn(inner, columns)
    bias = torch.randn(columns) if biased else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sparse, "SMALL", 0)
        patch.setattr(sparse, "FULL", 1.0)
        found = sparse.product(x, m, bias, transposed=turned)
    wanted = x.double() @ m.double() + (0.0 if bias is None else bias.double())
    assert close(found, wanted.float(), inner)
    assert found is not None
    assert (found.t() if turned else found).is_contiguous()


def test_is_left_to_the_dense_product_where_that_is_faster() -> None:
    x, m = sown(600, 300, 0.1), torch.randn(300, 100)
    assert sparse.product(x, m) is not None
    assert sparse.product(torch.randn(600, 300), m) is None, "no zeros"
    assert sparse.product(x[:50], m) is None, "too small"
    assert sparse.product(x, m[:, :50]) is None, "too narrow"


def test_is_left_to_torch_where_torch_must_follow_or_convert() -> None:
    x, m = sown(600, 300, 0.1), torch.randn(300, 100)
    assert sparse.product(x.double(), m.double()) is None
    assert sparse.product(x, m.clone().requires_grad_()) is None
    assert sparse.product(sown(600, 600, 0.1)[:, ::2], m) is None, "with gaps"
    with torch.autocast("cpu"):
        assert sparse.product(x, m) is None
    with kernels.forced("torch"):
        assert sparse.product(x, m) is None


def test_nan_comes_through() -> None:
    x, m = sown(600, 300, 0.1), torch.randn(300, 100)
    x[7, 11] = float("nan")
    found = sparse.product(x, m)
    assert found is not None
    assert found[7].isnan().all()
    assert not found[8].isnan().any()


def test_all_products_of_a_layer_equal_those_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, weight, bias = LinearSynapse(300, 200), torch.randn(200, 300), torch.randn(200)
    x, delta = sown(500, 300, 0.2), sown(500, 200, 0.2)

    def products() -> tuple[Tensor, Tensor, Tensor]:
        return layer.apply(x, weight, bias), layer.backward_input(delta, weight, x.shape), layer.weight_grad(x, delta)

    with kernels.forced("torch"):
        wanted = products()
    made: list[Tensor | None] = []
    product = sparse.product

    def recorded(*operands: Any, **options: Any) -> Tensor | None:
        made.append(product(*operands, **options))
        return made[-1]

    monkeypatch.setattr(sparse, "product", recorded)
    assert all(map(close, products(), wanted, (300, 200, 500)))
    assert len(made) == 3
    assert all(one is not None for one in made), "torch computed one"


def test_the_number_of_threads_changes_nothing() -> None:
    x, m, threads = sown(600, 300, 0.1), torch.randn(300, 200), torch.get_num_threads()
    alone = sparse.product(x, m)
    torch.set_num_threads(2)
    try:
        together = sparse.product(x, m)
    finally:
        torch.set_num_threads(threads)
    assert alone is not None
    assert together is not None
    assert torch.equal(alone, together)
