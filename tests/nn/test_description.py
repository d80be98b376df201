"""Networks as plain data and back: the same layers, weights and outputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import nn
from onchip.errors import DataError, UnsupportedError
from onchip.nn import neurons
from onchip.nn.description import LAYERS, NEURONS, built, described
from onchip.nn.spike_train import BernoulliTrain
from onchip.runs.model_file import Layer
from onchip.surrogate import ATan, Surrogate, Triangle


def dense(neuron: torch.nn.Module, *readout: torch.nn.Module, bias: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 5, bias=bias), neuron, nn.Linear(5, 3, bias=bias), *readout)


def residual() -> nn.Sequential:
    body = nn.Sequential(nn.WeightStandardizedConv2d(2, 4, 3, stride=2, padding=1, gain=3.0), nn.LIF())
    shortcut = nn.Sequential(nn.Conv2d(2, 4, 1, stride=2, bias=False), nn.IF(threshold=0.2))
    block, plain = nn.Residual(body, shortcut), nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding="same"), nn.LIF()))
    return nn.Sequential(block, plain, nn.AdaptiveAvgPool2d((2, None)), nn.Dropout(0.3), nn.Flatten(), nn.Linear(32, 3))


def one_dimensional() -> nn.Sequential:
    pools = nn.AvgPool1d(2, padding=1), nn.MaxPool1d(2, stride=1, dilation=2)
    return nn.Sequential(
        *(nn.Conv1d(3, 4, 3, stride=2, dilation=2, groups=1), nn.ALIF(learn_decay=True), pools[0], nn.Identity()),
        *(nn.Conv1d(4, 4, 1, groups=2), nn.Recurrent(nn.Conv1d(4, 4, 3, padding=1), nn.CubaLIF(current_decay=0.25))),
        *(pools[1], torch.nn.Sequential(nn.Flatten(), nn.Linear(8, 3))),
    )


def pooled() -> nn.Sequential:
    pool = nn.AvgPool2d((2, 3), stride=2, padding=1, ceil_mode=True, count_include_pad=False, divisor_override=5)
    largest = nn.MaxPool2d(2, ceil_mode=True)
    return nn.Sequential(nn.Conv2d(2, 4, (3, 5)), nn.Rate(), pool, largest, nn.Flatten(1, -1), nn.Linear(16, 3))


CASES: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "lif": (lambda: dense(nn.LIF(decay=0.75, threshold=0.5, reset="hard", detach_reset=True)), (4, 2, 6)),
    "surrogate": (lambda: dense(nn.LIF(surrogate=Triangle(0.5))), (4, 2, 6)),
    "learned": (lambda: dense(nn.LIF(decay=0.7, learn_decay=True), nn.LI(decay=0.3, learn_decay=True)), (4, 2, 6)),
    "per-neuron": (lambda: dense(nn.ALIF(decay=torch.rand(5), adaptation_decay=torch.rand(1))), (4, 2, 6)),
    "both": (lambda: dense(nn.CubaLIF(decay=torch.rand(5) * 0.9 + 0.05, learn_decay=True), nn.LI()), (4, 2, 6)),
    "if": (lambda: dense(nn.IF(threshold=2.0, reset="hard", surrogate=ATan(3.0))), (4, 2, 6)),
    "trace": (lambda: dense(nn.LIF(), nn.Readout(trace=0.25)), (4, 2, 6)),
    "rate": (lambda: dense(nn.Rate(trials=5, train=BernoulliTrain())), (4, 2, 6)),
    "stochastic": (
        lambda: dense(
            nn.Stochastic(train=BernoulliTrain(), potential="filter", time_constant=3.0, gate="count"),
            nn.MeanReadout(inference="vote"),
        ),
        (4, 2, 6),
    ),
    "ttfs": (lambda: dense(nn.TTFS(clip=float("inf")), nn.TTFSReadout(), bias=False), (2, 6)),
    "ttfs-surrogate": (lambda: dense(nn.TTFS(surrogate=Triangle(2.0)), nn.TTFSReadout(), bias=False), (2, 6)),
    "earliest": (
        lambda: nn.Sequential(
            *(nn.Conv2d(1, 2, 3, bias=False), nn.TTFS(clip=0.5), nn.EarliestPool2d(2), nn.Flatten()),
            *(nn.Linear(18, 3, bias=False), nn.TTFSReadout()),
        ),
        (2, 1, 8, 8),
    ),
    "residual": (residual, (4, 2, 2, 8, 8)),
    "one-dimensional": (one_dimensional, (4, 2, 3, 17)),
    "pooled": (pooled, (4, 2, 2, 8, 8)),
    "double": (lambda: dense(nn.LIF(learn_decay=True)).double(), (4, 2, 6)),
}


def signal_of(case: str) -> Tensor:
    shape = CASES[case][1]
    drawn = torch.rand(shape).round() if case == "stochastic" else torch.rand(shape)
    return drawn.double() if case == "double" else drawn


@pytest.mark.parametrize("case", CASES)
def test_a_network_is_rebuilt_with_all_its_options(case: str) -> None:
    model = CASES[case][0]()
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, -1.0, 1.5)
    again = built(described(model), {name: value.clone() for name, value in model.state_dict().items()})
    states = model.state_dict(), again.state_dict()
    assert [(name, value.dtype) for name, value in states[0].items()] == [(n, v.dtype) for n, v in states[1].items()]
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in again.named_parameters()]
    assert str(model).replace("Sequential", "") == str(again).replace("Sequential", "")
    pairs = zip(model.modules(), again.modules(), strict=True)
    for one, other in ((a, b) for a, b in pairs if isinstance(a, nn.Neuron)):
        assert isinstance(other, nn.Neuron)
        mine, its = one.options(), other.options()
        assert mine.keys() == its.keys()
        for name, value in mine.items():
            assert torch.equal(value, its[name]) if isinstance(value, Tensor) else value == its[name]
    signal = signal_of(case)
    outputs = []
    for network in (model.eval(), again.eval()):
        torch.manual_seed(1)
        outputs.append(network(signal).detach())
    assert torch.equal(*outputs)
    assert outputs[0].abs().sum() > 0


def test_the_cases_have_every_layer_and_neuron() -> None:
    met = {type(module) for make, _ in CASES.values() for module in make().modules()}
    assert met >= {*LAYERS, *NEURONS}
    assert {getattr(neurons, name) for name in neurons.__all__} <= {*NEURONS}


def test_what_a_file_cannot_describe_is_refused_by_name() -> None:
    class Own(nn.LIF):
        pass

    class Steep(Surrogate):
        def gate_(self, x: Tensor, error: Tensor) -> Tensor:
            return error

    with pytest.raises(UnsupportedError, match=r"Own '1' is no layer that a file can describe"):
        described(dense(Own()))
    with pytest.raises(UnsupportedError, match=r"LIF '1' has Steep as an option"):
        described(dense(nn.LIF(surrogate=Steep())))
    twice = nn.Linear(4, 4)
    with pytest.raises(UnsupportedError, match=r"Linear '2' is in the network twice"):
        described(nn.Sequential(twice, nn.LIF(), twice, nn.LIF(), nn.Linear(4, 2)))
    with pytest.raises(UnsupportedError, match="the network is a Linear"):
        described(twice)


@pytest.mark.parametrize(
    ("place", "changes", "said"),
    [
        (1, {"type": "RNN"}, "is of type 'RNN'; expected one of Linear"),
        (1, {"options": {"decay": 0.5}}, "LIF '1' cannot be built: it has the options 'decay'; expected decay,"),
        (0, {"options": {"in_features": 6, "out_features": "5", "bias": True}}, "Linear '0' cannot be built"),
        (0, {"options": {"in_features": 6, "out_features": 4, "bias": True}}, "size mismatch"),
        (0, {"options": {"in_features": 6, "out_features": 5, "bias": False}}, "0.bias"),
        (0, {"name": "x"}, "the weights are not those of these layers"),
        (0, {"name": "1"}, "has two layers of one name"),
        (0, {"name": "a.b"}, "cannot be built"),
        (1, {"type": "Recurrent", "options": {}}, "Recurrent '1' cannot be built"),
    ],
)
def test_a_wrong_description_is_refused(place: int, changes: dict[str, object], said: str) -> None:
    model = dense(nn.LIF())
    layers = list(described(model))
    layers[place] = dataclasses.replace(layers[place], **changes)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        built(layers, model.state_dict())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_constants_out_of_range_are_refused() -> None:
    model = dense(nn.LIF(decay=torch.rand(5)))
    state = dict(model.state_dict())
    state["1.decay_per_neuron"] = state["1.decay_per_neuron"] + 1.0
    with pytest.raises(DataError, match=r"expected a number in \[0, 1\]"):
        built(described(model), state)


def test_layers_are_nested_data() -> None:
    layers = described(nn.Sequential(nn.Linear(4, 2), nn.Recurrent(nn.Linear(2, 2, bias=False), nn.LIF())))
    assert layers[0] == Layer("0", "Linear", {"in_features": 4, "out_features": 2, "bias": True})
    assert [(layer.name, layer.type) for layer in layers[1].layers] == [("recurrent", "Linear"), ("neuron", "LIF")]
