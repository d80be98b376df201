"""The scale of estimated feedback: the slope of the estimate on the true feedback is 1, at every batch size and T.

An estimate of the wrong scale has the right cosine, and Adam hides it. The true feedback is known where the perturbed
layers are followed by linear layers only: the transposed product of their weights.
"""

from __future__ import annotations

import collections
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.learning.centering import Antithetic, Causal, Centering, LeaveOneOut, Uncentered
from onchip.learning.feedback.grid import to_grid
from onchip.learning.rule import Rule
from onchip.nn.spike_train import BernoulliTrain, RandomPhaseTrain, SpikeTrain

ROWS = 1_500  # sampled outputs per estimate; their many classes keep the error of a slope near .005
UNITS = 128
SIZES = [(steps, batch) for steps in (1, 6) for batch in (1, 2, 8, 32)]
STREAMING = (LeaveOneOut(), Causal(), Uncentered())
CASES: list[tuple[Centering, int, int]] = [(centering, *size) for centering in STREAMING for size in SIZES]
CASES += [(Antithetic(), *size) for size in SIZES if size[0] % 2 == 0]  # it pairs steps


def network() -> nn.Sequential:
    """Two layers of units that receive noise; outputs of different means, as trained networks have."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, UNITS), nn.LIF(), nn.Linear(UNITS, UNITS))
    readout = model[2]
    assert isinstance(readout, nn.Linear)
    with torch.no_grad():
        assert readout.bias is not None
        readout.bias.normal_()
    return model


def probe(rule: Rule, steps: int, batch: int, shape: tuple[int, ...] = (10,), *, stream: bool = False) -> None:
    """Estimates on frozen weights from about `ROWS` outputs; LeaveOneOut warns where T = 1."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LeaveOneOut got one time step")
        for _ in range(-(-ROWS // (steps * batch))):
            images = (torch.rand(steps, batch, *shape) < 0.5).float()
            if stream:
                collections.deque(rule.stream(images), maxlen=0)
            else:
                rule.forward(images)


def slope(estimate: Tensor, truth: Tensor) -> float:
    return float((estimate * truth).sum() / truth.square().sum())


def measured(rule: Rule, truth: Tensor, *sizes: Any, index: int = 1, **options: Any) -> float:
    probe(rule, *sizes, **options)
    found = {name: value for name, value in rule.state_dict().items() if name.endswith(f"_{index}")}
    return slope(next(iter(found.values())).detach(), truth.detach())


def readout(model: nn.Sequential) -> Tensor:
    layer = model[2]
    assert isinstance(layer, nn.Linear)
    return layer.weight.t()


@pytest.mark.parametrize(("centering", "steps", "batch"), CASES, ids=str)
def test_the_slope_on_the_true_feedback_is_one(centering: Centering, steps: int, batch: int) -> None:
    model = network()
    rule = rules.opzo(model, centering=centering, scale=1.0, momentum=0.999999)
    assert measured(rule, readout(model), steps, batch) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("centering", STREAMING, ids=repr)
def test_streams_have_the_same_scale(centering: Centering, batch: int) -> None:
    model = network()
    rule = rules.opzo(model, centering=centering, scale=1.0, momentum=0.999999, each_step=True)
    assert measured(rule, readout(model), 6, batch, stream=True) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("steps", "batch"), [(1, 2), (6, 1), (6, 2)])
@pytest.mark.parametrize("place", ["after", "before"])
def test_linear_layers_between_do_not_change_it(place: Any, steps: int, batch: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, UNITS), nn.Linear(UNITS, UNITS), nn.Linear(UNITS, UNITS))
    middle, last = model[1], model[2]
    assert isinstance(middle, nn.Linear)
    assert isinstance(last, nn.Linear)
    truth = (last.weight @ middle.weight).t()
    rule = rules.opzo(model, place=place, scale=1.0, momentum=0.999999)
    assert measured(rule, truth, 2 * steps, batch) == pytest.approx(1.0, abs=0.04)  # effectively fewer classes


@pytest.mark.parametrize("make", [rules.opzo, rules.anchored_dkp])
@pytest.mark.parametrize("grid", [None, 3])
def test_on_maps_and_on_their_grid(make: Any, grid: int | None) -> None:
    torch.manual_seed(0)
    first = (nn.Conv2d(1, 4, 3, padding=1), nn.LIF(threshold=0.3), nn.Flatten())
    model = nn.Sequential(*first, nn.Linear(4 * 36, UNITS))
    maps = model[-1].weight.view(UNITS, 4, 6, 6)  # type: ignore[operator]
    truth = (to_grid(maps, torch.Size((4, 3, 3))) if grid else maps).permute(2, 3, 1, 0).flatten(0, 2)
    rule = make(model, grid=grid, scale=1.0, momentum=0.999999)
    probe(rule, 2, 2, (1, 6, 6))  # the first estimate replaces what a learned matrix begins with
    found = next(value for name, value in rule.state_dict().items() if name.endswith("_1"))
    assert slope(found.detach(), truth.detach()) == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (1, 2), (2, 1), (2, 8), (6, 1), (6, 8)])
@pytest.mark.parametrize("train", [RandomPhaseTrain(), BernoulliTrain()])
def test_the_own_noise_mirror_has_the_scale_of_the_weights(train: SpikeTrain, steps: int, batch: int) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 64), nn.Stochastic(train=train), nn.Linear(64, UNITS), nn.MeanReadout())
    with torch.no_grad():
        for layer in (model[0], model[2]):
            assert isinstance(layer, nn.Linear)
            assert layer.bias is not None
            layer.bias.fill_(0.5)
    probe(rule := rules.own_noise_mirror(model, decay=0.9995), steps, batch)
    state = rule.state_dict()
    # Both means begin at 0, with the same share of it: their quotient has no bias.
    found = state["product_1"] / state["variance_1"]
    assert slope(found.t(), readout(model).detach()) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("name", ["opzo", "anchored_dkp", "zeroth_order", "noisy_bp", "own_noise_mirror"])
def test_one_sample_teaches_every_layer(name: str, steps: int) -> None:
    torch.manual_seed(0)
    stochastic = name == "own_noise_mirror"
    neuron, last = (nn.Stochastic, [nn.MeanReadout()]) if stochastic else (nn.LIF, [])
    hidden = [nn.Linear(10, 30), neuron(), nn.Linear(30, 30), neuron()]
    model = nn.Sequential(*hidden, nn.Linear(30, 5), *last)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 if parameter.dim() == 1 else 0.0)
    rule = getattr(rules, name)(model)
    for _ in range(3):
        model.zero_grad()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LeaveOneOut got one time step")
            rule.backward(rule.forward((torch.rand(steps, 1, 10) < 0.5).float()).square().sum())
        rule.step()
    assert all(p.grad is not None and bool(p.grad.any()) for p in model.parameters())
