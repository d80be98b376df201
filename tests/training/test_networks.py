"""The network of a run before it trains."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import onchip
from onchip import nn
from onchip.data import batches
from onchip.errors import RequestError
from onchip.kernels.times import fired_and_times
from onchip.runs.config import RunConfig
from onchip.training.builder import build, load_data
from onchip.training.networks import scale_readout
from onchip.training.randomness import own_randomness
from onchip.training.resolved import resolve


@pytest.mark.parametrize("neuron", ["lif", "ttfs", "stochastic", "rate"])
def test_the_scale_of_the_read_out_scales_the_first_outputs(neuron: str) -> None:
    config = RunConfig(net="mlp-narrow", neuron=neuron, train_size=20)
    outputs = [first_outputs(replace(config, readout_scale=scale)) for scale in (1.0, 0.01)]
    torch.testing.assert_close(outputs[1], 0.01 * outputs[0])


@pytest.mark.parametrize("net", ["mlp-narrow", "4C3-P2-6C3-F8", "F8-R8"])
def test_centered_weights_of_each_hidden_neuron_have_the_sum_0(net: str) -> None:
    config = RunConfig(net=net, train_size=20)
    usual, centered = (weights(replace(config, init=init)) for init in ("default", "centered"))
    assert list(usual) == list(centered)
    hidden = [name for name in usual if name.endswith("weight")][:-1]
    assert hidden
    for name in hidden:
        first = usual[name].flatten(1)
        expected = first - first.sum(1, keepdim=True) / first.shape[1]
        torch.testing.assert_close(centered[name].flatten(1), expected)
        torch.testing.assert_close(expected.sum(1), torch.zeros(len(first)), atol=1e-5, rtol=0.0)
    for name in usual.keys() - set(hidden):
        assert torch.equal(usual[name], centered[name]), name


def weights(config: RunConfig) -> dict[str, Tensor]:
    with own_randomness(config):
        return dict(build(resolve(config, load_data(config))).model.state_dict())


def test_few_centered_neurons_of_spike_times_fire_for_all_images_or_for_none() -> None:
    config = RunConfig(net="F200-F200-F200-F200", neuron="ttfs", train_size=100)
    usual, centered = (undecided(replace(config, init=init)) for init in ("default", "centered"))
    assert min(centered) > 0.9
    assert max(usual) < 0.7


def undecided(config: RunConfig) -> list[float]:
    """The share of neurons that fire for some images and not for others, by hidden layer after the first."""
    data = load_data(config)
    images, _ = next(batches(data.train, 100, shuffle=False))
    shares = []
    with own_randomness(config), torch.no_grad():
        run = build(resolve(config, data))
        signal = run.encode(images)
        for module in run.model:
            assert isinstance(signal, Tensor)
            signal = module(fired_and_times(signal)) if isinstance(module, torch.nn.Linear) else module(signal)
            if isinstance(module, nn.TTFS):
                fired = (signal < torch.inf).float().mean(0)
                shares.append(float(((fired > 0) & (fired < 1)).float().mean()))
    return shares[1:]


def first_outputs(config: RunConfig) -> Tensor:
    data = load_data(config)
    images, _ = next(batches(data.train, 20, shuffle=False))
    with own_randomness(config):
        run = build(resolve(config, data))
        return run.rule.forward(run.encode(images)).detach()


def test_rules_copy_the_changed_weights() -> None:
    config = RunConfig(net="F16-F8", neuron="ttfs", train_size=20, rule="fbp", init="centered", readout_scale=0.01)
    with own_randomness(config):
        run = build(resolve(config, load_data(config)))
    feedback = [tensor for name, tensor in run.rule.state_dict().items() if name.startswith("feedback")]
    above_the_first = list(run.model.parameters())[1:]
    assert len(feedback) == len(above_the_first)
    assert all(map(torch.equal, feedback, above_the_first))


@pytest.mark.parametrize(("name", "value"), [("readout_scale", 0.1), ("init", "centered")])
def test_a_network_that_was_passed_keeps_its_weights(name: str, value: Any) -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    before, data = model.get_parameter("0.weight").clone(), (torch.rand(8, 3, 4), torch.arange(8) % 2)
    said = rf"{name.replace('_', '-')} got {value} for Sequential.*pass the function that builds it"
    with pytest.raises(RequestError, match=said):
        onchip.fit(model, train=data, test=data, **{name: value})
    assert torch.equal(model.get_parameter("0.weight"), before)


def test_refuses_a_read_out_whose_weights_are_standardized() -> None:
    model = nn.Sequential(nn.WeightStandardizedConv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RequestError, match=r"readout-scale got 0\.5 for .*standardized"):
        scale_readout(model, 0.5)
