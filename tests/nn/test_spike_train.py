"""How numbers become spike trains."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from onchip.nn.spike_train import BernoulliTrain, RandomPhaseTrain, SpikeTrain, winner_take_all

TRAINS: list[SpikeTrain] = [BernoulliTrain(), RandomPhaseTrain()]


@pytest.mark.parametrize("train", TRAINS)
@given(number=st.floats(-1.0, 1.0, width=32), steps=st.integers(1, 40), seed=st.integers(0, 1000))
def test_spikes_have_the_numbers_sign_and_nothing_else(train: SpikeTrain, number: float, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    spikes, _ = train(torch.full((steps, 5), number))
    assert set((spikes * math.copysign(1.0, number)).unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("train", TRAINS)
@pytest.mark.parametrize("number", [-1.0, -0.3, 0.0, 0.05, 0.77, 1.0])
def test_each_step_alone_has_the_numbers_mean(train: SpikeTrain, number: float) -> None:
    torch.manual_seed(0)
    samples = 40_000
    spikes, _ = train(torch.full((6, samples), number))
    error = math.sqrt(abs(number) * (1 - abs(number)) / samples)
    torch.testing.assert_close(spikes.mean(1), torch.full((6,), number), rtol=0.0, atol=5 * error)


@given(number=st.floats(-1.0, 1.0, width=32), steps=st.integers(1, 64), seed=st.integers(0, 1000))
def test_a_random_phase_rounds_the_count(number: float, steps: int, seed: int) -> None:
    torch.manual_seed(seed)
    spikes, _ = RandomPhaseTrain()(torch.full((steps, 20), number, dtype=torch.float64))
    assert ((spikes.sum(0) - number * steps).abs() < 1.0 + 1e-9).all()


@pytest.mark.parametrize("train", TRAINS)
def test_a_train_cut_in_two_goes_on(train: SpikeTrain) -> None:
    numbers = torch.rand(9, 50, dtype=torch.float64) * 2 - 1
    torch.manual_seed(3)
    whole, _ = train(numbers.clone())
    torch.manual_seed(3)
    first, kept = train(numbers[:4].clone())
    second, _ = train(numbers[4:].clone(), kept)
    assert torch.equal(torch.cat([first, second]), whole)
    assert (kept is not None) == train.remembers


@pytest.mark.parametrize("train", TRAINS)
def test_counts_have_mean_and_variance_of_summed_trains(train: SpikeTrain) -> None:
    torch.manual_seed(0)
    steps, samples = 16, 50_000
    for number in (-0.6, 0.1, 0.37):
        summed = train(torch.full((steps, samples), number))[0].sum(0)
        counted = train.count(torch.full((samples,), number), steps)
        spread = max(summed.std().item(), 0.1)
        assert abs(counted.mean() - summed.mean()) < 6 * spread * math.sqrt(2 / samples)
        assert counted.var().item() == pytest.approx(summed.var().item(), rel=0.06, abs=1e-3)
    assert torch.equal(train.count(torch.ones(3), steps), torch.full((3,), 16.0))


def test_a_random_phase_counts_with_less_noise_than_independent_spikes() -> None:
    torch.manual_seed(0)
    numbers = torch.full((16, 20_000), 0.4)
    by_phase, _ = RandomPhaseTrain()(numbers.clone())
    independent, _ = BernoulliTrain()(numbers.clone())
    fraction = 16 * 0.4 % 1
    assert by_phase.sum(0).var().item() == pytest.approx(fraction * (1 - fraction), rel=0.05)
    assert independent.sum(0).var().item() == pytest.approx(16 * 0.4 * 0.6, rel=0.05)


def test_winners_are_drawn_by_the_softmax() -> None:
    torch.manual_seed(0)
    potential = torch.tensor([1.0, 0.0, -2.0, 0.5])
    won = winner_take_all(potential.expand(60_000, 4))
    assert torch.equal(won.sum(1), torch.ones(60_000))
    torch.testing.assert_close(won.mean(0), potential.softmax(0), rtol=0.0, atol=5 * math.sqrt(0.25 / 60_000))
