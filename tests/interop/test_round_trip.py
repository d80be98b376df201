"""Networks that go to a NIR file and back: parameters, constants and spikes are the same."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from onchip import interop, nn
from onchip.errors import UnsupportedError
from onchip.nn.graph_builder import build_graph
from onchip.surrogate import ATan
from tests.cases import scaled, spikes

Build = Callable[[], nn.Sequential]


def _dense(neuron: Callable[[], torch.nn.Module], *, end: torch.nn.Module | None = None) -> Build:
    def build() -> nn.Sequential:
        layers = [nn.Linear(6, 8), neuron(), nn.Linear(8, 7, bias=False), neuron(), nn.Linear(7, 3)]
        return scaled(nn.Sequential(*layers, *([] if end is None else [end])), 3.0)

    return build


def _conv() -> nn.Sequential:
    first = [nn.Conv2d(2, 4, 3, padding=1), nn.LIF(decay=0.7, reset="hard"), nn.AvgPool2d(2)]
    weights = nn.Conv2d(4, 6, (2, 1), groups=2, stride=(1, 2), dilation=(2, 1), bias=False)
    second = [weights, nn.IF(reset="hard", threshold=0.5), nn.AvgPool2d(2, padding=1, divisor_override=1)]
    third = [nn.Flatten(), nn.Dropout(), nn.Linear(24, 3)]
    return scaled(nn.Sequential(*first, *second, *third), 3.0)


def _conv1d() -> nn.Sequential:
    layers = [nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.LIF(reset="hard"), nn.Conv1d(4, 3, 2, dilation=2), nn.LIF()]
    return scaled(nn.Sequential(*layers, nn.Flatten(), nn.Linear(21, 3)), 3.0)


def _standardized() -> nn.Sequential:
    first = [nn.WeightStandardizedConv2d(2, 4, 3, padding=1), nn.LIF(reset="hard"), nn.AdaptiveAvgPool2d(2)]
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(16, 3))


def _recurrent(neuron: Callable[[], nn.Neuron], *, bias: bool = False) -> Build:
    def build() -> nn.Sequential:
        layers = [nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8, bias=bias), neuron()), nn.Linear(8, 3)]
        return scaled(nn.Sequential(*layers), 2.0)

    return build


def _recurrent_conv() -> nn.Sequential:
    recurrent = nn.Recurrent(nn.Conv2d(4, 4, 3, padding=1), nn.LIF(reset="hard"))
    layers = [nn.Conv2d(2, 4, 3, padding=1), recurrent, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 3)]
    return scaled(nn.Sequential(*layers), 2.0)


def _residual() -> nn.Sequential:
    def hidden(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(inputs, outputs), nn.LIF(reset="hard"))

    nested = nn.Residual(nn.Sequential(*hidden(8, 8), nn.Residual(hidden(8, 8)), nn.Residual(hidden(8, 8))))
    shortcut = nn.Residual(nn.Sequential(*hidden(8, 5), *hidden(5, 4)), hidden(8, 4))
    inner = nn.Residual(nn.Sequential(*hidden(8, 5), nn.Residual(hidden(5, 3), hidden(5, 3)), *hidden(3, 8)))
    ends = [nn.Linear(4, 3), nn.LI(decay=0.8)]
    layers = [*hidden(6, 8), nn.Residual(hidden(8, 8)), nn.Residual(hidden(8, 8)), nested, inner, shortcut, *ends]
    return scaled(nn.Sequential(*layers), 2.0)


def _first_residual() -> nn.Sequential:
    bodies = [nn.Sequential(nn.Linear(6, 6), nn.LIF(reset="hard")) for _ in range(2)]
    return scaled(nn.Sequential(*(nn.Residual(body) for body in bodies)), 3.0)


def _per_neuron() -> nn.Sequential:
    decays = torch.linspace(0.0, 1.0, 8)
    maps = torch.tensor([0.2, 0.9]).view(2, 1, 1)
    layers = [nn.Conv2d(2, 2, 3), nn.LIF(decay=maps, reset="hard"), nn.Flatten(), nn.Linear(72, 8)]
    return scaled(nn.Sequential(*layers, nn.LIF(decay=decays, reset="hard"), nn.Linear(8, 3)), 3.0)


FLAT, MAPS, LINE = (6,), (2, 8, 8), (2, 17)
EXACT: dict[str, tuple[Build, tuple[int, ...]]] = {
    "lif-hard": (_dense(lambda: nn.LIF(decay=0.9, reset="hard", threshold=0.8)), FLAT),
    "lif-no-memory": (_dense(lambda: nn.LIF(decay=0.0, reset="hard")), FLAT),
    "if-hard": (_dense(lambda: nn.IF(reset="hard", threshold=1.5)), FLAT),
    "cuba-hard": (_dense(lambda: nn.CubaLIF(decay=0.7, current_decay=0.3, reset="hard")), FLAT),
    "cuba-endless": (_dense(lambda: nn.CubaLIF(decay=1.0, current_decay=0.0, reset="hard")), FLAT),
    "li": (_dense(lambda: nn.LIF(reset="hard"), end=nn.LI(decay=0.3)), FLAT),
    "li-endless": (_dense(lambda: nn.LIF(reset="hard"), end=nn.LI(decay=1.0)), FLAT),
    "conv": (_conv, MAPS),
    "standardized": (_standardized, MAPS),
    "recurrent": (_recurrent(lambda: nn.LIF(reset="hard")), FLAT),
    "recurrent-bias": (_recurrent(lambda: nn.CubaLIF(reset="hard"), bias=True), FLAT),
    "recurrent-conv": (_recurrent_conv, MAPS),
    "residual": (_residual, FLAT),
    "residual-first-and-last": (_first_residual, FLAT),
    "per-neuron": (_per_neuron, MAPS),
}
"""Networks that NIR can say as they are."""

KEPT: dict[str, tuple[Build, tuple[int, ...]]] = {
    "lif-soft": (_dense(lambda: nn.LIF(decay=0.9)), FLAT),
    "lif-learned": (_dense(lambda: nn.LIF(decay=0.9, learn_decay=True, surrogate=ATan(3.0), detach_reset=True)), FLAT),
    "lif-of-decay-1": (_dense(lambda: nn.LIF(decay=1.0)), FLAT),
    "if-soft": (_dense(lambda: nn.IF(threshold=0.7)), FLAT),
    "cuba-learned": (_dense(lambda: nn.CubaLIF(learn_decay=True), end=nn.LI(learn_decay=True)), FLAT),
    "conv1d": (_conv1d, LINE),
    "recurrent-soft": (_recurrent(lambda: nn.LIF(decay=torch.linspace(0.1, 0.9, 8), learn_decay=True)), FLAT),
}
"""Networks of which only our metadata remembers all."""

ALL = EXACT | KEPT


def _signal(shape: tuple[int, ...]) -> Tensor:
    return spikes(7, 4, *shape)


@pytest.mark.parametrize("name", ALL)
def test_spikes_and_parameters_come_back(name: str, tmp_path: Path) -> None:
    build, shape = ALL[name]
    model, path = build().eval(), tmp_path / "network.nir"
    interop.export(path, model, shape, approximate=name in KEPT)
    network, verdicts = interop.from_nir(path)
    signal = _signal(shape)
    expected = model(signal)
    assert expected.var(1).sum() > 0, "no neuron fires"
    assert torch.equal(network(signal), expected)
    assert {verdict.word for verdict in verdicts} == {"faithful"}
    ours, theirs = build_graph(model), build_graph(network)
    assert [type(layer.neuron) for layer in ours.layers] == [type(layer.neuron) for layer in theirs.layers]
    assert [repr(layer.neuron) for layer in ours.layers] == [repr(layer.neuron) for layer in theirs.layers]
    for one, other in zip(ours.layers, theirs.layers, strict=True):
        torch.testing.assert_close(other.weight, one.weight, rtol=0.0, atol=1e-6)
        assert (one.bias is None) == (other.bias is None)
        if one.bias is not None:
            torch.testing.assert_close(other.bias, one.bias, rtol=0.0, atol=1e-6)
        assert vars(one.neuron).get("surrogate") == vars(other.neuron).get("surrogate")


@pytest.mark.parametrize("name", EXACT)
def test_spikes_need_no_metadata_of_ours(name: str) -> None:
    build, shape = EXACT[name]
    model = build().eval()
    graph, verdicts = interop.to_nir(model, shape)
    assert {verdict.word for verdict in verdicts} == {"faithful"}
    for node in (graph, *graph.nodes.values()):
        node.metadata = {}
    network, _ = interop.from_nir(graph)
    signal = _signal(shape)
    expected = model(signal)
    assert expected.var(1).sum() > 0, "no neuron fires"
    torch.testing.assert_close(network(signal), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["conv", "recurrent-soft", "cuba-learned"])
def test_double_precision_comes_back(name: str, tmp_path: Path) -> None:
    build, shape = ALL[name]
    model, path = build().double().eval(), tmp_path / "network.nir"
    interop.export(path, model, shape, approximate=True)
    network, _ = interop.from_nir(path)
    signal = _signal(shape).double()
    assert network(signal).dtype == torch.float64
    torch.testing.assert_close(network(signal), model(signal), rtol=1e-12, atol=1e-12)


def test_a_soft_reset_is_approximate_and_needs_leave(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 3))
    with pytest.raises(UnsupportedError, match="LIF after '0' is approximate: NIR has no soft reset"):
        interop.export(tmp_path / "network.nir", model, (6,))
    assert not list(tmp_path.iterdir())
    graph, verdicts = interop.to_nir(model, (6,), approximate=True)
    assert [verdict.word for verdict in verdicts] == ["faithful", "approximate", "faithful", "faithful"]
    assert graph.nodes["lif"].metadata["onchip"]["verdict"] == "approximate"
    assert "soft reset" in graph.nodes["lif"].metadata["onchip"]["reason"]
    assert graph.metadata["onchip"]["verdict"] == "approximate"
    assert json.loads(graph.metadata["onchip"]["verdicts"]) == [list(verdict.cells()) for verdict in verdicts]


def test_a_node_that_another_tool_has_changed_is_read_as_it_is() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.LIF(reset="hard"), nn.Linear(8, 3))
    graph, _ = interop.to_nir(model, (6,))
    graph.nodes["lif"].tau = graph.nodes["lif"].tau * 2  # a decay of 0.75
    graph.nodes["lif"].r = graph.nodes["lif"].r * 2
    network, _ = interop.from_nir(graph)
    assert repr(network[1]) == "LIF(decay=0.75, threshold=1, reset='hard')"


def _layer(draw: random.Random) -> list[torch.nn.Module]:
    decay = draw.choice([0.0, 0.5, 0.9, 1.0])
    make: Callable[[], nn.Neuron] = draw.choice(
        [lambda: nn.LIF(decay=decay, reset="hard"), lambda: nn.CubaLIF(decay=decay, current_decay=0.3), nn.IF]
    )
    weights, bias = nn.Linear(5, 5, bias=draw.random() < 0.5), draw.random() < 0.5
    plain: list[list[torch.nn.Module]] = [
        [weights],
        [weights, make()],
        [weights, nn.Recurrent(nn.Linear(5, 5, bias=bias), make())],
    ]
    return draw.choice(plain)


def _blocks(draw: random.Random, depth: int) -> nn.Sequential:
    """Layers and residual blocks, with and without shortcuts, within each other."""
    layers: list[torch.nn.Module] = []
    for _ in range(draw.randint(1, 3)):
        if depth and draw.random() < 0.5:
            shortcut = _blocks(draw, depth - 1) if draw.random() < 0.5 else None
            layers.append(nn.Residual(_blocks(draw, depth - 1), shortcut))
        else:
            layers += _layer(draw)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("seed", range(60))
def test_blocks_within_blocks_come_back(seed: int) -> None:
    """The graph knows sums and edges alone; what is found in them may be nested otherwise, and computes the same."""
    torch.manual_seed(seed)
    model = scaled(_blocks(random.Random(seed), 3).double(), 2.0)
    if any("adds the same activity twice" in verdict.reason for verdict in interop.verdicts(model, (5,))):
        with pytest.raises(UnsupportedError, match="adds the same activity twice"):
            interop.to_nir(model, (5,), approximate=True)
        return
    network, _ = interop.from_nir(interop.to_nir(model, (5,), approximate=True)[0])
    signal = spikes(5, 2, 5).double()
    torch.testing.assert_close(network(signal), model(signal), rtol=1e-9, atol=1e-9)
