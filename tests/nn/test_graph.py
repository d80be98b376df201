"""How a network is read, and what is refused of networks and signals: by name, with the remedy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.nn.graph import SynapticLayer, WeightlessLayer
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Static


class Mine(torch.nn.Linear):
    pass


def spiking(*layers: torch.nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.LIF(), *layers)


def timed(*layers: torch.nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4, bias=False), nn.TTFS(), *layers)


def readout() -> list[torch.nn.Module]:
    return [nn.Linear(4, 2, bias=False), nn.TTFSReadout()]


REFUSED: dict[str, tuple[nn.Sequential, type[OnchipError], str]] = {
    "relu": (
        spiking(torch.nn.ReLU()),
        UnsupportedError,
        r"cannot treat ReLU '2' in .* exchange time steps; expected .*LIF|Linear",
    ),
    "norm": (spiking(torch.nn.BatchNorm1d(4)), UnsupportedError, r"cannot treat BatchNorm1d '2'"),
    "subclass": (nn.Sequential(Mine(4, 4), nn.LIF()), UnsupportedError, r"cannot treat Mine '0'"),
    "nested": (spiking(nn.Sequential(nn.Linear(4, 4), torch.nn.ReLU())), UnsupportedError, r"cannot treat ReLU '2\.1'"),
    "conv3d": (nn.Sequential(torch.nn.Conv3d(1, 1, 1)), UnsupportedError, r"cannot treat Conv3d '0'.*Linear, Conv1d"),
    "foreign-pool": (
        timed(nn.MaxPool2d(2), *readout()),
        UnsupportedError,
        r"MaxPool2d '2' .*exchange spike times.*EarliestPool2d",
    ),
    "earliest-of-steps": (spiking(nn.EarliestPool2d(2)), UnsupportedError, r"EarliestPool2d '2' .*exchange time steps"),
    "mixed": (spiking(nn.Linear(4, 4), nn.TTFS()), RequestError, r"mixes LIF '1' .* and TTFS '3'.*Use one kind"),
    "mixed-readout": (spiking(*readout()), RequestError, r"mixes LIF '1' .* and TTFSReadout '3'"),
    "first-neuron": (
        nn.Sequential(nn.LIF(), nn.Linear(4, 2)),
        RequestError,
        r"LIF '0' does not follow .*right after one",
    ),
    "two-neurons": (spiking(nn.LIF()), RequestError, r"LIF '2' does not follow a layer with weights"),
    "neuron-after-pool": (
        nn.Sequential(nn.Conv2d(1, 1, 3), nn.AvgPool2d(2), nn.IF()),
        RequestError,
        r"IF '2' does not follow",
    ),
    "timed-bias": (
        nn.Sequential(nn.Linear(4, 4), nn.TTFS(), *readout()),
        UnsupportedError,
        r"layer '0' has a bias, .*bias=False",
    ),
    "no-readout": (timed(), RequestError, r"last layer '0' drives TTFS neurons; end with nn\.TTFSReadout\(\)"),
    "pool-for-readout": (timed(nn.Flatten()), RequestError, r"last layer '0' drives TTFS neurons"),
    "bare-readout": (timed(nn.Linear(4, 2, bias=False)), RequestError, r"no neurons follow layer '2'.*nn\.TTFSReadout"),
    "no-neurons": (
        nn.Sequential(nn.Linear(4, 4, bias=False), *readout()),
        RequestError,
        r"no neurons follow layer '0' .*add neurons that exchange spike times",
    ),
    "early-readout": (
        nn.Sequential(*readout(), nn.Linear(2, 2, bias=False), nn.TTFSReadout()),
        RequestError,
        r"TTFSReadout after layer '0' is not at the end.*Use other neurons there",
    ),
    "padding-mode": (
        nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")),
        UnsupportedError,
        r"Conv2d '0' pads with 'circular'; expected zeros",
    ),
    "even-same": (
        nn.Sequential(nn.Conv2d(1, 1, 2, padding="same")),
        UnsupportedError,
        r"Conv2d '0' has padding='same'",
    ),
    "empty": (nn.Sequential(), RequestError, r"no layer with weights; nothing can be trained"),
    "weightless": (nn.Sequential(nn.Flatten()), RequestError, r"no layer with weights"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_nobody_can_treat_are_refused_by_name(name: str) -> None:
    model, error, said = REFUSED[name]
    for refuse in (build_graph, rules.bp, lambda net: net(torch.rand(3, 2, 4))):
        with pytest.raises(error, match=said):
            refuse(model)


STEPPED = nn.Sequential(nn.Linear(4, 3), nn.LIF(), nn.Linear(3, 2))
MAPS = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(), nn.AvgPool2d(4), nn.Conv2d(2, 2, 2), nn.Flatten(), nn.Linear(2, 2))
TIMES = timed(*readout())
SIGNALS: dict[str, tuple[nn.Sequential, Any, str]] = {
    "integers": (STEPPED, torch.ones(3, 2, 4, dtype=torch.int64), r"got a signal of torch\.int64; .*\.float\(\)"),
    "integer-image": (STEPPED, Static(torch.ones(2, 4, dtype=torch.uint8), 3), r"got a signal of torch\.uint8"),
    "booleans": (STEPPED, torch.ones(3, 2, 4) > 0, r"got a signal of torch\.bool"),
    "integer-times": (TIMES, torch.ones(2, 4, dtype=torch.int64), r"got a signal of torch\.int64"),
    "list": (STEPPED, [[1.0]], r"got list as signal; expected a Tensor or onchip\.Static"),
    "array": (STEPPED, torch.rand(3, 2, 4).numpy(), r"got ndarray as signal"),
    "no-time": (
        STEPPED,
        torch.rand(2, 4),
        r"shape \(2, 4\); expected \(T, B, features\.\.\.\).*Static\(image, steps=T\)",
    ),
    "no-steps": (STEPPED, torch.rand(0, 2, 4), r"shape \(0, 2, 4\); expected"),
    "no-samples": (STEPPED, torch.rand(3, 0, 4), r"shape \(3, 0, 4\); expected"),
    "no-images": (STEPPED, Static(torch.rand(0, 4), 3), r"shape \(0, 4\); expected \(B, features\.\.\.\)"),
    "no-batch": (STEPPED, Static(torch.rand(4), 3), r"shape \(4,\); expected \(B, features\.\.\.\)"),
    "wide": (STEPPED, torch.rand(3, 2, 5), r"Linear '0' got features of shape \(5,\); expected \(4,\)"),
    "image-for-linear": (
        STEPPED,
        torch.rand(3, 2, 2, 2),
        r"Linear '0' got features of shape \(2, 2\).*nn\.Flatten\(\)",
    ),
    "static-wide": (STEPPED, Static(torch.rand(2, 5), 3), r"Linear '0' got features of shape \(5,\)"),
    "channels": (MAPS, torch.rand(3, 2, 3, 12, 12), r"Conv2d '0' got features of shape \(3, 12, 12\); expected \(1, "),
    "vectors-for-conv": (MAPS, torch.rand(3, 2, 9), r"Conv2d '0' got features of shape \(9,\)"),
    "small-for-kernel": (MAPS, torch.rand(3, 2, 1, 2, 9), r"Conv2d '0' got a map of height 2, smaller than its kernel"),
    "small-for-pool": (
        MAPS,
        torch.rand(3, 2, 1, 5, 9),
        r"AvgPool2d\(4\) after layer '0' got an image of 3x7; use larger",
    ),
    "small-after-pool": (MAPS, torch.rand(3, 2, 1, 6, 6), r"Conv2d '3' got a map of height 1, smaller"),
    "nan-time": (
        TIMES,
        torch.tensor([[0.5, math.nan, 0.0, 1.0]]),
        r"got a spike time of nan; expected times in \[0, 1\], or",
    ),
    "negative-time": (TIMES, torch.tensor([[0.5, -0.1, 0.0, 1.0]]), r"got a spike time of -0\.1"),
    "endless-past": (TIMES, torch.tensor([[0.5, -math.inf, 0.0, 1.0]]), r"got a spike time of -inf"),
    "late-time": (TIMES, torch.tensor([[0.5, 1.5, 0.0, math.inf]]), r"got a spike time of 1\.5"),
    "static-times": (
        TIMES,
        Static(torch.rand(2, 4), 3),
        r"got a Static image; expected spike times .*encoding\.Latency",
    ),
    "one-neuron-times": (TIMES, torch.rand(4), r"shape \(4,\); expected \(B, features\.\.\.\)"),
}


@pytest.mark.parametrize("name", SIGNALS)
def test_signals_that_do_not_fit_are_refused(name: str) -> None:
    model, signal, said = SIGNALS[name]
    rule = rules.bp(model)
    for refuse in (model, rule.forward):
        with pytest.raises(RequestError, match=said):
            refuse(signal)
    rule.detach()


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.MaxPool2d(9), r"MaxPool2d '1' cannot take features of shape \(2, 6, 6\)"),
        (nn.AvgPool2d(9, stride=2), r"AvgPool2d '1' cannot take features of shape \(2, 6, 6\)"),
        (nn.Flatten(0), r"Flatten '1' mixes the samples of a batch; .*nn\.Flatten\(\)"),
    ],
)
def test_weightless_layers_that_do_not_fit_are_refused(layer: torch.nn.Module, said: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), layer, nn.Linear(2, 2))
    for signal in (torch.rand(3, 2, 1, 8, 8), Static(torch.rand(2, 1, 8, 8), 3)):
        with pytest.raises(RequestError, match=said):
            model(signal)


def test_a_pool_of_vectors_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.AvgPool2d(2), nn.Linear(4, 2))
    with pytest.raises(RequestError, match=r"AvgPool2d '2' cannot take features of shape \(8,\)"):
        model(torch.rand(3, 2, 4))


@pytest.mark.parametrize("steps", [0, -1, 2.5])
def test_a_static_image_needs_a_step(steps: Any) -> None:
    with pytest.raises(
        RequestError, match=f"Static got steps={steps}; expected a whole number of time steps, at least 1"
    ):
        Static(torch.rand(2, 3), steps)


def test_a_static_image_is_written_out_without_a_copy() -> None:
    static = Static(torch.rand(2, 3), 4)
    assert static.expand().shape == (4, 2, 3)
    assert static.expand().data_ptr() == static.image.data_ptr()
    assert all(torch.equal(frame, static.image) for frame in static.expand())


def test_silent_inputs_and_whole_borders_are_times() -> None:
    assert TIMES(torch.tensor([[0.0, 1.0, math.inf, 0.5]])).shape == (1, 2)


def test_stages_have_the_names_of_their_layers() -> None:
    model = nn.Sequential(
        nn.Flatten(), torch.nn.Sequential(nn.Linear(4, 3), nn.LIF()), nn.Dropout(0.1), nn.Linear(3, 2)
    )
    plan = build_graph(model)
    assert plan.kind is nn.TIME_STEPS
    assert [part.name for part in plan.nodes] == ["0", "1.0", "2", "3"]
    assert [type(part) for part in plan.nodes] == [WeightlessLayer, SynapticLayer, WeightlessLayer, SynapticLayer]
    assert [type(stage.neuron) for stage in plan.layers] == [nn.LIF, nn.Readout]
    assert {f"{stage.name}.weight" for stage in plan.layers} <= dict(model.named_parameters()).keys()
    assert build_graph(nn.Linear(2, 2)).layers[0].name == "Linear"


def test_a_layer_that_occurs_twice_is_two_stages() -> None:
    shared = nn.Linear(3, 3)
    stages = build_graph(nn.Sequential(shared, nn.LIF(), shared, nn.LIF())).layers
    assert [stage.name for stage in stages] == ["0", "2"]
    assert stages[0].weight is stages[1].weight


@pytest.mark.parametrize(
    ("pool", "side"),
    [
        (nn.AvgPool2d(2), 2),
        (nn.AvgPool2d((3, 3)), 3),
        (nn.AvgPool2d(3, stride=3), 3),
        (nn.AvgPool2d(2, stride=1), None),
        (nn.AvgPool2d(3, padding=1), None),
        (nn.AvgPool2d((2, 3)), None),
        (nn.AvgPool2d(2, ceil_mode=True), None),
        (nn.AvgPool2d(2, divisor_override=3), None),
        (nn.MaxPool2d(2), None),
    ],
    ids=repr,
)
def test_neurons_take_plain_average_pools_along(pool: torch.nn.Module, side: int | None) -> None:
    plan = build_graph(nn.Sequential(nn.Conv2d(1, 2, 3), nn.LIF(), pool))
    assert plan.layers[0].pool == side
    assert len(plan.nodes) == (1 if side else 2)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_neurons_leave_a_ragged_border_of_either_axis_to_torch(side: int) -> None:
    layer = build_graph(nn.Sequential(nn.Conv2d(1, 2, 1), nn.LIF(), nn.AvgPool2d(side))).layers[0]
    for height, width in itertools.product(range(4, 10), repeat=2):
        whole = height // side * side == height and width // side * side == width
        assert layer.fused_pool(torch.empty(3, 1, 2, height, width)) == (side if whole else None)


def test_a_network_may_stand_in_any_device_of_torch() -> None:
    """`torch.nn.Sequential` works inside, and `nn.Sequential` can be sliced like torch's own."""
    model = nn.Sequential(nn.Linear(4, 3), nn.LIF(), nn.Linear(3, 2))
    hidden: Tensor = model[:2](torch.rand(5, 2, 4))
    assert isinstance(model[:2], nn.Sequential)
    assert hidden.shape == (5, 2, 3)
    assert set(hidden.unique().tolist()) <= {0.0, 1.0}
