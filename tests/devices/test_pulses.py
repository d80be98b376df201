"""Coincidences at a crossbar, counted one by one, and the chance that makes pulses of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from onchip.devices import pulses
from onchip.kernels import popcount
from onchip.nn.synapses import LinearSynapse, synapse_of

CELLS = 200_000


def _by_hand(pre: Tensor, spikes: Tensor) -> Tensor:
    """Up and down coincidences of a dense layer, spike by spike."""
    found = torch.zeros(2, spikes.shape[1], pre.shape[1])
    for row in range(len(pre)):
        for i in range(spikes.shape[1]):
            for j in range(pre.shape[1]):
                met = -float(spikes[row, i]) * float(pre[row, j])
                found[0 if met > 0 else 1, i, j] += abs(met)
    return found


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("most", [1, 3])
def test_coincidences_are_those_counted_by_hand(most: int, signed: bool) -> None:
    torch.manual_seed(0)
    pre = torch.randint(-most if signed else 0, most + 1, (7, 4)).float()
    spikes = torch.randint(-most, most + 1, (7, 3)).float()
    torch.testing.assert_close(
        pulses.coincidences(LinearSynapse(4, 3), pre, spikes), _by_hand(pre, spikes), rtol=0, atol=0
    )


def test_bits_and_floats_count_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    pre, spikes = (torch.rand(300, 40) < 0.3).float(), torch.randint(-1, 2, (300, 20)).float()
    by_bits, calls, real = pulses.coincidences(LinearSynapse(40, 20), pre, spikes), [], popcount.coincidences

    def counted(*packed: popcount.Packed) -> tuple[Tensor, Tensor]:
        calls.append(packed)
        return real(*packed)

    monkeypatch.setattr(popcount, "coincidences", counted)
    assert torch.equal(by_bits, pulses.coincidences(LinearSynapse(40, 20), pre, spikes))
    assert calls, "single spikes are counted as bits"
    calls.clear()
    doubled = pulses.coincidences(LinearSynapse(40, 20), 2 * pre, spikes)
    assert not calls, "what is no single spike is not"
    assert torch.equal(doubled, 2 * by_bits)


def test_a_convolution_counts_as_the_dense_layer_it_unrolls_to() -> None:
    torch.manual_seed(0)
    synapse = synapse_of("conv", nn.Conv2d(2, 3, 3))
    pre, spikes = (torch.rand(5, 2, 6, 6) < 0.5).float(), torch.randint(-1, 2, (5, 3, 4, 4)).float()
    columns = nn.functional.unfold(pre, 3).transpose(1, 2).flatten(0, 1)  # (N·places, in·taps)
    rows = spikes.flatten(2).transpose(1, 2).flatten(0, 1)  # (N·places, out)
    expected = _by_hand(columns, rows).unflatten(2, (2, 3, 3))
    torch.testing.assert_close(pulses.coincidences(synapse, pre, spikes), expected)
    assert torch.equal(pulses.bias_coincidences(synapse, spikes), _by_hand(torch.ones(len(rows), 1), rows).squeeze(2))


def test_error_spikes_are_whole_numbers() -> None:
    spikes = torch.randint(-5, 6, (30, 20)).float()
    for unit in (1 / 160, 1 / (20 * 7 * 3.7), 1e-6):
        assert torch.equal(pulses.error_spikes(spikes * unit, unit), spikes)


@pytest.mark.parametrize("count", [1.0, 6.0, 0.25, 3.6, 32.0, 33.0, 500.4])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.94, 1.0, 2.5])
@pytest.mark.parametrize("how", ["binomial", "poisson"])
def test_thinning_has_the_mean_and_variance_of_its_law(how: pulses.Thinning, rate: float, count: float) -> None:
    torch.manual_seed(0)
    drawn = pulses.draw_pulses(torch.full((CELLS,), count), rate, how).double()
    whole, rest = divmod(count, 1.0)
    sure, share = divmod(rate, 1.0)
    variance = whole * share * (1 - share)
    # A fraction of a coincidence is one by chance, and then of `sure` pulses or one more.
    variance += rest * (share * (sure + 1) ** 2 + (1 - share) * sure**2) - (rest * rate) ** 2
    if how == "poisson":
        variance = count * rate
    assert torch.equal(drawn, drawn.round())
    assert float(drawn.min()) >= 0
    # Five standard errors; the variance of a law of few whole numbers is known to a few percent of its size.
    assert abs(float(drawn.mean()) - count * rate) <= 5 * (variance / CELLS) ** 0.5
    assert float(drawn.var()) == pytest.approx(variance, rel=0.03, abs=1e-12)


def test_a_whole_number_of_pulses_needs_no_chance() -> None:
    counts = torch.randint(0, 9, (50, 40)).float()
    before = torch.get_rng_state()
    assert torch.equal(pulses.draw_pulses(counts, 3.0, "binomial"), 3 * counts)
    assert torch.equal(before, torch.get_rng_state())
