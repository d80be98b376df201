"""The network of a run before it trains."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

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


def test_the_standard_scale_changes_no_weight() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.clone()
    scale_readout(nn.Sequential(layer), 1.0)
    assert torch.equal(layer.weight, before)


def test_refuses_a_read_out_whose_weights_are_standardized() -> None:
    model = nn.Sequential(nn.WeightStandardizedConv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(RequestError, match=r"readout-scale got 0\.5 for .*standardized"):
        scale_readout(model, 0.5)
