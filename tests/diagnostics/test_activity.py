"""Counts of neurons that fire and that pass error."""

from __future__ import annotations

import pytest
import torch

from onchip import Static, models, nn, rules
from onchip.diagnostics import activity
from onchip.errors import RequestError
from onchip.nn.neurons.base import Neuron


def test_dead_units_have_no_gradient_and_only_they() -> None:
    torch.manual_seed(0)
    first = nn.Linear(6, 40, bias=False)
    model = nn.Sequential(first, nn.TTFS(), nn.Linear(40, 3, bias=False), nn.TTFSReadout())
    times = torch.rand(5, 6)
    times[torch.rand(5, 6) < 0.4] = torch.inf
    found = activity(model, [times])["0"]
    rule = rules.bp(model)
    rule.backward(rule.forward(times).square().sum())
    gradient = first.weight.grad
    assert gradient is not None
    assert found.dead == int((gradient.abs().amax(1) == 0).sum())
    assert 0 < found.dead < found.units == 40
    assert found.dead <= 40 * (1 - found.passing)


def test_batches_add_up() -> None:
    torch.manual_seed(0)
    model = models.conv_dense((1, 8, 8), 10, neuron=nn.TTFS)
    times = torch.rand(6, 1, 8, 8)
    assert activity(model, [times]) == activity(model, [times[:4], times[4:]])
    whole, first = activity(model, [times]), activity(model, [times[:4]])
    assert all(whole[name].dead <= first[name].dead for name in whole)


def test_rates_of_neurons_over_time_are_those_of_their_spikes() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    signal = Static(torch.rand(2, 1, 8, 8) * 3, steps=5)
    found = activity(model, [signal])
    assert list(found) == ["0"]
    spikes = model[1](Static(model[0](signal.image), 5))
    assert found["0"].rate == pytest.approx(spikes.mean().item())
    assert found["0"].silent == int((spikes.sum((0, 1)) == 0).sum())
    assert found["0"].passing == 1.0  # a smooth surrogate


def test_a_saturated_neuron_fires_for_every_sample_at_every_step() -> None:
    first = nn.Linear(2, 4)
    model = nn.Sequential(first, nn.LIF(decay=0.0), nn.Linear(4, 2))
    signal = torch.zeros(5, 2, 2)
    signal[:, 0, 0] = signal[0, :, 1] = 10.0  # the first sample at all steps; all samples at the first step
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        assert first.bias is not None
        first.bias.copy_(torch.tensor([10.0, 10.0, 0.0, 0.0]))
    found = activity(model, [signal])["0"]
    assert (found.units, found.silent, found.saturated) == (4, 0, 2)
    assert found.rate == pytest.approx((10 + 10 + 5 + 2) / (4 * 2 * 5))


def test_training_mode_and_weights_stay() -> None:
    model = models.conv_small((1, 8, 8), 10).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    activity(model, [Static(torch.rand(2, 1, 8, 8), steps=2)])
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_no_batch_is_refused() -> None:
    with pytest.raises(RequestError, match="no signals"):
        activity(models.mlp((4,), 2), [])


@pytest.mark.parametrize("neuron", [nn.LIF, nn.TTFS])
def test_a_network_without_hidden_layers_has_no_entry(neuron: type[Neuron]) -> None:
    if neuron is nn.TTFS:
        assert activity(nn.Sequential(nn.Linear(4, 2, bias=False), nn.TTFSReadout()), [torch.rand(2, 4)]) == {}
    else:
        assert activity(nn.Sequential(nn.Linear(4, 2)), [torch.rand(3, 2, 4)]) == {}
