"""The network of a run before it trains."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import onchip
from onchip import nn
from onchip.data import batches
from onchip.errors import RequestError
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


def first_outputs(config: RunConfig) -> Tensor:
    data = load_data(config)
    images, _ = next(batches(data.train, 20, shuffle=False))
    with own_randomness(config):
        run = build(resolve(config, data))
        return run.rule.forward(run.encode(images)).detach()


def test_rules_copy_the_scaled_weights() -> None:
    config = RunConfig(net="mlp-narrow", neuron="ttfs", train_size=20, rule="fbp", readout_scale=0.01)
    with own_randomness(config):
        run = build(resolve(config, load_data(config)))
    readout = list(run.model.parameters())[-1]
    feedback = [tensor for name, tensor in run.rule.state_dict().items() if name.startswith("feedback")][-1]
    assert torch.equal(feedback, readout)


def test_a_network_that_was_passed_keeps_its_weights() -> None:
    model = nn.Sequential(nn.Linear(4, 2))
    before, data = model.get_parameter("0.weight").clone(), (torch.rand(8, 3, 4), torch.arange(8) % 2)
    with pytest.raises(RequestError, match=r"readout-scale got 0\.1 for Sequential.*pass the function that builds it"):
        onchip.fit(model, train=data, test=data, readout_scale=0.1)
    assert torch.equal(model.get_parameter("0.weight"), before)


def test_refuses_a_read_out_whose_weights_are_standardized() -> None:
    model = nn.Sequential(nn.WeightStandardizedConv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RequestError, match=r"readout-scale got 0\.5 for .*standardized"):
        scale_readout(model, 0.5)
