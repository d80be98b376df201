from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onchip import encoding as encode
from onchip import nn
from onchip.encoding import Constant, Encoder, Latency, Poisson, RandomPhase, Sequence
from onchip.errors import RequestError
from onchip.nn.signals import SPIKE_TRAINS, Static

ENCODERS: list[Encoder] = [Constant(3), Latency(), Poisson(3), RandomPhase(3)]


def images(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_every_export_is_tried() -> None:
    others = ["Frames", "Sequence"]  # tested with n-mnist, and below
    assert [type(encoder).__name__ for encoder in ENCODERS] == [n for n in encode.__all__ if n not in others]


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4, 4), (0, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_signal_has_the_shape_of_its_kind(encoder: Encoder, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    signal = encoder(images(*shape).to(dtype))
    tensor = signal.expand() if isinstance(signal, Static) else signal
    assert tensor.shape == (shape if nn.SPIKE_TIMES in encoder.signals else (3, *shape))
    assert tensor.dtype == dtype


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
@pytest.mark.parametrize(
    ("pixel", "said"), [(1.5, r"\[0.5, 1.5\]"), (-0.1, r"\[-0.1, 0.5\]"), (torch.nan, "nan"), (torch.inf, "inf")]
)
def test_images_outside_0_to_1_are_refused(encoder: Encoder, pixel: float, said: str) -> None:
    with pytest.raises(RequestError, match=rf"{type(encoder).__name__} got images in .*{said}.*Scale"):
        encoder(torch.tensor([[0.5, pixel]]))


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_bytes_are_refused(encoder: Encoder) -> None:
    with pytest.raises(RequestError, match=r"torch.uint8; expected floats .*Divide bytes by 255"):
        encoder(torch.zeros(2, 3, dtype=torch.uint8))


@pytest.mark.parametrize("make", [Constant, Poisson])
@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_fewer_than_one_step_is_refused(make: Any, steps: Any) -> None:
    with pytest.raises(RequestError, match=rf"got steps={steps}; expected (int|.* at least 1)"):
        make(steps)


def test_constant_is_the_image_at_every_step() -> None:
    signal = Constant(4)(images(2, 3))
    assert isinstance(signal, Static)
    assert signal.steps == 4
    assert torch.equal(signal.image, images(2, 3))


@given(st.floats(0, 1, width=32), st.integers(0, 2**32))
def test_poisson_spikes_are_0_or_1_and_unbiased(pixel: float, seed: int) -> None:
    n = 4000
    spikes = Poisson(n, torch.Generator().manual_seed(seed))(torch.tensor([[pixel]]))
    assert isinstance(spikes, torch.Tensor)
    assert set(spikes.unique().tolist()) <= {0.0, 1.0}
    spread = (pixel * (1 - pixel) / n) ** 0.5
    assert abs(float(spikes.mean()) - pixel) <= 6 * spread + 3 / n  # 3 spikes, for rare ones are not normal


def test_poisson_never_fires_at_black_and_always_at_white() -> None:
    spikes = Poisson(1000)(torch.tensor([[0.0, 1.0]]))
    assert isinstance(spikes, torch.Tensor)
    assert spikes.mean(0).tolist() == [[0.0, 1.0]]


def test_poisson_repeats_with_its_generator_and_else_with_the_global_one() -> None:
    def draw(generator: torch.Generator | None) -> torch.Tensor:
        spikes = Poisson(5, generator)(images(2, 50))
        assert isinstance(spikes, torch.Tensor)
        return spikes

    assert torch.equal(draw(torch.Generator().manual_seed(1)), draw(torch.Generator().manual_seed(1)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        assert torch.equal(draw(None), draw(torch.Generator().manual_seed(1)))
    generator = torch.Generator().manual_seed(1)
    assert not torch.equal(draw(generator), draw(generator))


def test_poisson_draws_are_fresh_in_time_and_space() -> None:
    spikes = Poisson(200, torch.Generator().manual_seed(0))(torch.full((1, 200), 0.5))
    assert isinstance(spikes, torch.Tensor)
    correlation = torch.corrcoef(spikes[:, 0]) - torch.eye(200)
    assert correlation.abs().max() < 6 / 200**0.5


def test_poisson_refuses_a_generator_of_another_device() -> None:
    with pytest.raises(RequestError, match=r"generator on cpu and images on meta; expected one device"):
        Poisson(2, torch.Generator())(torch.empty(0, 3, device="meta"))


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20))
def test_latency_is_one_minus_the_pixel_and_black_is_silent(pixels: list[float]) -> None:
    image = torch.tensor([pixels])
    times = Latency()(image)
    assert isinstance(times, torch.Tensor)
    assert torch.equal(times.isinf(), image == 0)
    assert torch.equal(times[image > 0], 1 - image[image > 0])


@pytest.mark.parametrize("features", [(12,), (2, 3), (1, 4, 4)])
def test_a_sequence_is_as_it_is_with_time_first(features: tuple[int, ...]) -> None:
    sequences = images(2, 7, *features) - 3.0
    signal = Sequence()(sequences)
    assert signal.is_contiguous()
    assert all(torch.equal(signal[step, sample], sequences[sample, step]) for step in range(7) for sample in range(2))


def test_sequences_for_spiking_signals_are_spikes_at_every_step() -> None:
    spikes = torch.zeros(2, 7, 3)
    spikes[1, 4] = 1.0
    encode_spikes = Sequence(SPIKE_TRAINS)
    assert torch.equal(encode_spikes(spikes), spikes.transpose(0, 1))
    spikes[1, 4, 2] = 2.0
    assert torch.equal(Sequence()(spikes), spikes.transpose(0, 1)), "numbers for other neurons"
    with pytest.raises(RequestError, match=r"got a spike of 2; expected 0 or 1 .*LIF for real numbers and counts"):
        encode_spikes(spikes)


@pytest.mark.parametrize("wrong", [torch.zeros(2, 12), torch.zeros(2, 7, 12, dtype=torch.uint8)])
def test_what_is_no_sequence_is_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(RequestError, match=r"Sequence got .*expected floats \(B, T, features...\)"):
        Sequence()(wrong)
