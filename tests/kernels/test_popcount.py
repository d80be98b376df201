"""Counts of coincidences: exact, whatever the sizes, and the same without a compiler."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import kernels
from onchip.errors import RequestError
from onchip.kernels import native
from onchip.kernels.popcount import Packed, coincidences, counts, pack

CHOICES: tuple[native.Choice, ...] = ("torch", "native") if kernels.active() == "native" else ("torch",)


def spikes(rows: int, neurons: int, rate: float) -> Tensor:
    return (torch.rand(rows, neurons) < rate).to(torch.uint8)


def product(post: Tensor, pre: Tensor) -> Tensor:
    return (post.double().t() @ pre.double()).int()


@pytest.mark.parametrize("choice", CHOICES)
@settings(max_examples=40, deadline=None)
@given(
    rows=st.one_of(st.integers(1, 300), st.integers(4000, 4400)),
    outs=st.integers(1, 20),
    ins=st.integers(1, 130),
    rate=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
)
def test_counts_equal_the_float_product(choice: native.Choice, rows: int, outs: int, ins: int, rate: float) -> None:
    up, down, pre = spikes(rows, outs, rate), spikes(rows, outs, 0.3), spikes(rows, ins, 0.5)
    with kernels.forced(choice):
        raised, lowered = coincidences(pack(up), pack(down), pack(pre))
        alone = counts(pack(pre))
    assert raised.dtype == lowered.dtype == alone.dtype == torch.int32
    assert torch.equal(raised, product(up, pre))
    assert torch.equal(lowered, product(down, pre))
    assert torch.equal(alone, pre.sum(0).int())


@pytest.mark.parametrize("choice", CHOICES)
def test_long_trains_overflow_nothing(choice: native.Choice) -> None:
    """Bytes count to 255 and a segment ends at 126,976 rows: all spikes on, past both."""
    with kernels.forced(choice):
        on = pack(torch.ones(300_001, 2, dtype=torch.bool))
        assert coincidences(on, on, on)[0].tolist() == [[300_001] * 2] * 2


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize("rows", [1, 511, 16 * 512 + 1, 300_001])
def test_counting_without_a_vector_instruction_for_it(tmp_path: Path, rows: int) -> None:
    """Most processors add bit by bit; where tests run on one with the instruction, that code would not be compiled."""
    source, built = Path(native.__file__).with_name("popcount.c"), tmp_path / "count.so"
    subprocess.run([native._compiler(), *native.FLAGS, "-U__AVX512VPOPCNTDQ__", "-o", built, source], check=True)
    counting = ctypes.CDLL(str(built)).onchip_coincidences
    counting.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] * 3
    post, pre = torch.ones(rows, 2, dtype=torch.uint8), spikes(rows, 3, 0.7)
    post[::7, 1] = 0
    packed = pack(post), pack(pre)
    number = torch.empty(2, 3, dtype=torch.int32)
    counting(*(one.data.data_ptr() for one in packed), number.data_ptr(), 2, 3, packed[0].data.shape[1])
    assert torch.equal(number, product(post, pre))
    counting(*(packed[0].data.data_ptr(),) * 2, number.data_ptr(), 2, 2, packed[0].data.shape[1])
    assert number.flatten()[0] == rows


@pytest.mark.parametrize("choice", CHOICES)
def test_views_and_booleans_are_taken(choice: native.Choice) -> None:
    pre, post = spikes(9, 70, 0.5).bool(), spikes(70, 9, 0.5).t()[:9, ::7]
    with kernels.forced(choice):
        assert torch.equal(coincidences(pack(post), pack(post), pack(pre))[0], product(post, pre))


def test_several_threads_count_alike() -> None:
    post, pre = spikes(1000, 60, 0.3), spikes(1000, 300, 0.3)
    torch.set_num_threads(2)
    try:
        got, _ = coincidences(pack(post), pack(post), pack(pre))
    finally:
        torch.set_num_threads(1)
    assert torch.equal(got, product(post, pre))


@pytest.mark.parametrize("choice", CHOICES)
def test_what_is_no_spike_is_refused(choice: native.Choice) -> None:
    with kernels.forced(choice):
        with pytest.raises(RequestError, match="numbers above 1"):
            pack(torch.tensor([[0, 1], [2, 0]], dtype=torch.uint8))
        with pytest.raises(RequestError, match=r"torch\.float32 and shape \(3, 2\)"):
            pack(torch.ones(3, 2))
        with pytest.raises(RequestError, match=r"shape \(3,\)"):
            pack(torch.ones(3, dtype=torch.uint8))
        with pytest.raises(RequestError, match="5 and 6 rows"):
            coincidences(pack(spikes(5, 2, 0.5)), pack(spikes(5, 2, 0.5)), pack(spikes(6, 2, 0.5)))


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
def test_spikes_packed_for_other_kernels_are_refused() -> None:
    words = pack(spikes(5, 2, 0.5))
    with kernels.forced("torch"):
        octets = pack(spikes(5, 2, 0.5))
        for pair in ((words, words), (words, octets)):
            with pytest.raises(RequestError, match="packed for other kernels"):
                coincidences(pair[0], pair[0], pair[1])
    assert isinstance(words, Packed)
    assert words.neurons == octets.neurons == 2
