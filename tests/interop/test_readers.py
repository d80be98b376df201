"""What the verdict calls faithful, the reader runs with our spikes; and the table of the docs says what we measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nir
import pytest
import torch

from onchip import interop, nn
from onchip.errors import UnsupportedError
from onchip.interop.verdict import of_all
from tests.cases import scaled, spikes
from tests.interop.euler import simulated
from tests.interop.peers import PEERS
from tests.interop.test_round_trip import ALL

Shape = tuple[int, ...]
Hidden = Callable[[], list[torch.nn.Module]]
FLAT, LINE, MAPS = (6,), (2, 9), (2, 8, 8)


def _lif() -> list[torch.nn.Module]:
    return [nn.LIF(decay=0.8, reset="hard")]


def _dense(*neurons: torch.nn.Module) -> list[torch.nn.Module]:
    return [nn.Linear(6, 8), *neurons, nn.Linear(8, 3)]


def _maps(*layers: torch.nn.Module, features: int, hidden: Hidden) -> list[torch.nn.Module]:
    return [nn.Conv2d(2, 4, 3, padding=1), *hidden(), *layers, nn.Flatten(), nn.Linear(features, 3)]


def _block(inputs: int, outputs: int, hidden: Hidden) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), *hidden())


ROWS: dict[str, tuple[Callable[[Hidden], list[torch.nn.Module]], Shape]] = {
    "Linear": (lambda hidden: [nn.Linear(6, 8, bias=False), *hidden(), nn.Linear(8, 3, bias=False)], FLAT),
    "Linear with bias": (lambda hidden: [nn.Linear(6, 8), *hidden(), nn.Linear(8, 3)], FLAT),
    "Conv1d": (lambda hidden: [nn.Conv1d(2, 4, 3, stride=2, padding=1), *hidden(), nn.Conv1d(4, 3, 5)], LINE),
    "Conv2d": (lambda hidden: [nn.Conv2d(2, 4, 3, stride=2), *hidden(), nn.Conv2d(4, 3, 2, dilation=2)], MAPS),
    "Conv2d with groups": (lambda hidden: [nn.Conv2d(2, 4, 3, groups=2), *hidden(), nn.Conv2d(4, 3, 6)], MAPS),
    "Conv2d with standardized weights": (
        lambda hidden: [nn.WeightStandardizedConv2d(2, 4, 3), *hidden(), nn.Conv2d(4, 3, 6)],
        MAPS,
    ),
    "AvgPool2d": (lambda hidden: _maps(nn.AvgPool2d(2), features=64, hidden=hidden), MAPS),
    "AvgPool2d with a divisor of 1 (SumPool2d)": (
        lambda hidden: _maps(nn.AvgPool2d(2, divisor_override=1), features=64, hidden=hidden),
        MAPS,
    ),
    "Flatten": (lambda hidden: _maps(features=256, hidden=hidden), MAPS),
    "LIF, hard reset": (lambda hidden: _dense(nn.LIF(decay=0.9, reset="hard")), FLAT),
    "LIF, hard reset, a decay of 0": (lambda hidden: _dense(nn.LIF(decay=0.0, reset="hard")), FLAT),
    "LIF, hard reset, a decay per neuron": (
        lambda hidden: _dense(nn.LIF(decay=torch.linspace(0.1, 1.0, 8), reset="hard")),
        FLAT,
    ),
    "LIF, soft reset": (lambda hidden: _dense(nn.LIF()), FLAT),
    "IF, hard reset": (lambda hidden: _dense(nn.IF(reset="hard")), FLAT),
    "CubaLIF, hard reset": (lambda hidden: _dense(nn.CubaLIF(decay=0.8, current_decay=0.6, reset="hard")), FLAT),
    "LI": (lambda hidden: [*_block(6, 8, hidden), nn.Linear(8, 3), nn.LI(decay=0.7)], FLAT),
    "Recurrent": (
        lambda hidden: _dense(nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF(decay=0.8, reset="hard"))),
        FLAT,
    ),
    "Recurrent with bias": (
        lambda hidden: _dense(nn.Recurrent(nn.Linear(8, 8), nn.LIF(decay=0.8, reset="hard"))),
        FLAT,
    ),
    "Residual": (
        lambda hidden: [*_block(6, 8, hidden), nn.Residual(_block(8, 8, hidden)), nn.Linear(8, 3)],
        FLAT,
    ),
    "Residual with a shortcut": (
        lambda hidden: [
            *_block(6, 8, hidden),
            nn.Residual(_block(8, 5, hidden), _block(8, 5, hidden)),
            nn.Linear(5, 3),
        ],
        FLAT,
    ),
    "Residual at the end": (
        lambda hidden: [*_block(6, 8, hidden), nn.Residual(_block(8, 8, hidden))],
        FLAT,
    ),
}
"""A small network for each row of the table, from what makes hidden neurons, and the shape of its input."""


def _none() -> list[torch.nn.Module]:
    return []


def _network(row: str, reader: str) -> tuple[nn.Sequential, Shape]:
    """The network of a row; for sinabs, none of whose neurons are ours, without other neurons than the row's."""
    build, shape = ROWS[row]
    torch.manual_seed(1)
    return scaled(nn.Sequential(*build(_none if reader == "sinabs" else _lif)), 3.0).eval(), shape


def _word(row: str, reader: str) -> str:
    model, shape = _network(row, reader)
    return of_all(interop.verdicts(model, shape, reader=reader))


def table() -> str:
    """The table of the docs: verdicts by row and reader."""
    heads = ["layer", *interop.READERS]
    lines = [[row, *(_word(row, reader) for reader in interop.READERS)] for row in ROWS]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [heads, ["---"] * len(heads), *lines])


@pytest.mark.parametrize("row", [row for row in ROWS if _word(row, "nir") == "faithful"])
def test_what_a_file_says_is_what_ours_does(row: str, tmp_path: Path) -> None:
    """The column `nir`: NIR's equations by Euler's method, from what `nir.read` returns."""
    model, shape = _network(row, "nir")
    path, signal = tmp_path / "network.nir", spikes(12, 3, *shape)
    interop.export(path, model, shape)
    graph, expected = nir.read(path, type_check=False), model(signal).detach()
    assert expected.var(1).sum() > 0, "no neuron fires"
    got = simulated(graph, signal.numpy(), float(graph.metadata["onchip"]["dt"]))
    torch.testing.assert_close(torch.from_numpy(got), expected, rtol=1e-4, atol=1e-4)


FAITHFUL = [(reader, row) for reader in PEERS for row in ROWS if _word(row, reader) == "faithful"]


@pytest.mark.parametrize(("reader", "row"), FAITHFUL)
def test_a_faithful_layer_runs_as_ours(reader: str, row: str, tmp_path: Path) -> None:
    model, shape = _network(row, reader)
    path, signal = tmp_path / "network.nir", spikes(12, 3, *shape)
    interop.export(path, model, shape, reader=reader)
    expected, got = model(signal), PEERS[reader](path, signal)
    assert expected.var(1).sum() > 0, "no neuron fires"
    torch.testing.assert_close(got.view_as(expected), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("reader", "row"), [(reader, row) for reader in PEERS for row in ROWS if (reader, row) not in FAITHFUL]
)
def test_another_verdict_is_needed(reader: str, row: str, tmp_path: Path) -> None:
    """What is approximate or unsupported, the reader refuses or runs otherwise: no verdict is too strict."""
    from onchip.interop import file
    from onchip.interop.readers import reader_of
    from onchip.interop.writing import drafted

    model, shape = _network(row, reader)
    path, signal = tmp_path / "network.nir", spikes(12, 3, *shape)
    file.write(path, drafted(model, shape, reader_of(reader)).graph())
    expected = model(signal)
    try:
        got = PEERS[reader](path, signal)
    except Exception:  # as many kinds as readers
        return
    assert got.shape != expected.shape or not torch.allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reader", PEERS)
@pytest.mark.parametrize("name", ALL)
def test_our_import_follows_the_conventions_of_the_reader(reader: str, name: str) -> None:
    build, shape = ALL[name]
    model = build().eval()
    if of_all(interop.verdicts(model, shape, reader=reader)) == "unsupported":
        with pytest.raises(UnsupportedError, match=f"for reader '{reader}', .* is unsupported"):
            interop.to_nir(model, shape, reader=reader, approximate=True)
        return
    graph, _ = interop.to_nir(model, shape, reader=reader, approximate=True)
    network, _ = interop.from_nir(graph)
    signal = spikes(7, 4, *shape)
    expected = model(signal)
    assert expected.var(1).sum() > 0, "no neuron fires"
    torch.testing.assert_close(network(signal), expected, rtol=1e-5, atol=1e-5)


def _at_threshold() -> tuple[nn.Sequential, torch.Tensor, list[float]]:
    """A neuron whose potential is 1, 0.5 and 1, in a drive, and its spikes."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.LIF(decay=0.5, reset="hard"))
    next(model.parameters()).data.fill_(1.0)
    return model, torch.tensor([1.0, 0.5, 0.75, 0.0]).view(4, 1, 1), [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("reader", [reader for reader in PEERS if reader != "sinabs"])
def test_a_potential_at_the_threshold_fires_for_every_reader(reader: str, tmp_path: Path) -> None:
    """Ours fires at u >= θ, NIR at v > θ: the file has the number below, where the reader asks for more."""
    model, signal, expected = _at_threshold()
    assert model(signal).flatten().tolist() == expected
    interop.export(tmp_path / "network.nir", model, (1,), reader=reader)
    assert PEERS[reader](tmp_path / "network.nir", signal).flatten().tolist() == expected


def test_a_threshold_comes_back_to_the_last_bit() -> None:
    model, signal, expected = _at_threshold()
    graph, _ = interop.to_nir(model, (1,))
    assert graph.nodes["lif"].v_threshold.astype("float32") < 1.0
    for node in graph.nodes.values():
        node.metadata = {}
    network, _ = interop.from_nir(graph)
    neuron = network[1]
    assert isinstance(neuron, nn.LIF)
    assert neuron.membrane().threshold == 1.0
    assert network(signal).flatten().tolist() == expected


@pytest.mark.parametrize("reader", PEERS)
def test_a_network_of_several_layers_runs_as_ours(reader: str, tmp_path: Path) -> None:
    if reader == "sinabs":
        pytest.skip("none of its neurons are ours")
    first = [nn.Conv2d(2, 6, 3, padding=1), *_lif(), nn.AvgPool2d(2), nn.Conv2d(6, 6, 3, padding=1), *_lif()]
    block = nn.Residual(nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), *_lif()))
    model = scaled(nn.Sequential(*first, block, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 5)), 2.0).eval()
    signal = spikes(20, 3, 2, 8, 8)
    interop.export(tmp_path / "network.nir", model, (2, 8, 8), reader=reader)
    expected = model(signal)
    assert expected.var(1).sum() > 0, "no neuron fires"
    torch.testing.assert_close(PEERS[reader](tmp_path / "network.nir", signal).view_as(expected), expected)
