"""Large buffers: used again once they are free, never while they are not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from onchip.kernels import buffers


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Buffers of a kilobyte count as large, and none is left over."""
    monkeypatch.setattr(buffers, "LARGE", 1024)
    buffers.release()
    yield
    buffers.release()


def test_memory_comes_back_when_the_last_view_is_gone() -> None:
    first = buffers.empty((4, 100), (100, 1), torch.empty(0))
    address, view = first.data_ptr(), first[1:]
    del first
    second = buffers.empty((4, 100), (100, 1), torch.empty(0))
    assert second.data_ptr() != address, "a view is still in use"
    del view
    assert buffers.empty((400,), (1,), torch.empty(0)).data_ptr() == address


def test_what_autograd_saved_is_in_use() -> None:
    buffer = buffers.empty((400,), (1,), torch.empty(0)).fill_(3.0)
    leaf = torch.ones(400, requires_grad=True)
    product = (leaf * buffer).sum()
    del buffer
    buffers.empty((400,), (1,), torch.empty(0)).fill_(-1.0)
    product.backward()
    assert leaf.grad is not None
    assert leaf.grad.unique().tolist() == [3.0]


def test_a_buffer_of_another_size_takes_the_place_of_those_that_wait() -> None:
    waiting = buffers.empty((400,), (1,), torch.empty(0))
    del waiting
    assert len(buffers._free) == 1
    other = buffers.empty((500,), (1,), torch.empty(0))
    assert not buffers._free
    assert other.shape == (500,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_layout_and_type_are_those_of_the_example(dtype: torch.dtype) -> None:
    like = torch.rand(4, 8, 5, 6).to(dtype).contiguous(memory_format=torch.channels_last)
    made = buffers.empty_like(like)
    assert (made.shape, made.stride(), made.dtype) == (like.shape, like.stride(), like.dtype)
    made.copy_(like)
    assert torch.equal(made, like)


def test_small_ones_are_torchs_own() -> None:
    small = buffers.empty((10,), (1,), torch.empty(0))
    del small
    assert not buffers._free
