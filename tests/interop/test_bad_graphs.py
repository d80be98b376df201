"""Graphs that are wrong, in memory or in a file, are refused in one line; unusual ones are read."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch

from onchip import interop, nn
from onchip.errors import OnchipError, RequestError, UnsupportedError
from tests.interop.perceptron import perceptron


def _graph(**nodes: Any) -> Any:
    """A chain of nodes, from an input of 6 to an output of 3."""
    names = ["input", *nodes, "output"]
    ends = {"input": nir.Input(input_type=np.array([6])), "output": nir.Output(output_type=np.array([3]))}
    edges = list(itertools.pairwise(names))
    return nir.NIRGraph(nodes={**ends, **nodes}, edges=edges, type_check=False)


def _linear(outputs: int, inputs: int, **options: Any) -> Any:
    return nir.Linear(weight=np.ones((outputs, inputs), np.float32), **options)


def _lif(size: int, **options: float) -> Any:
    values = {"tau": 2e-4, "r": 2.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, **options}
    return nir.LIF(**{name: np.full(size, value) for name, value in values.items()})


def _joined(edges: list[tuple[str, str]], **nodes: Any) -> Any:
    graph = _graph(**nodes)
    graph.edges = edges
    return graph


CHAIN = {"a": _linear(8, 6), "n": _lif(8), "b": _linear(3, 8)}
THROUGH = [("input", "a"), ("a", "n"), ("n", "b"), ("b", "output")]

GRAPHS: dict[str, tuple[Callable[[], Any], str]] = {
    "delay": (
        lambda: _graph(a=_linear(3, 6), d=nir.Delay(np.ones(3))),
        "node 'd' is a Delay: our synapses have no delays",
    ),
    "scale": (lambda: _graph(a=_linear(3, 6), s=nir.Scale(np.ones(3))), "node 's' is a Scale: .*multiply the weights"),
    "threshold": (lambda: _graph(a=_linear(3, 6), s=nir.Threshold(np.ones(3))), "node 's' is a Threshold"),
    "cuba-li": (
        lambda: _graph(a=_linear(3, 6), s=nir.CubaLI(*(np.ones(3) for _ in range(4)))),
        "node 's' is a CubaLI: we have no leaky read-out with a synaptic current",
    ),
    "neurons-first": (lambda: _graph(n=_lif(6), b=_linear(3, 6)), "LIF 'n' does not follow weights"),
    "neurons-twice": (lambda: _graph(a=_linear(3, 6), n=_lif(3), m=_lif(3)), "LIF 'm' does not follow weights"),
    "weights-do-not-meet": (lambda: _graph(a=_linear(8, 6), b=_linear(3, 7)), "shapes do not meet: Linear 'b' got"),
    "neurons-do-not-meet": (lambda: _graph(a=_linear(3, 6), n=_lif(4)), "LIF 'n' has r of shape"),
    "output-does-not-meet": (lambda: _graph(a=_linear(4, 6)), r"output 'output' has shape \[3\], and \(4,\) arrives"),
    "pool-of-a-vector": (
        lambda: _graph(a=_linear(3, 6), p=nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))),
        "AvgPool2d 'p' cannot take features of shape",
    ),
    "pool-without-size": (
        lambda: _graph(p=nir.AvgPool2d(np.array([0, 0]), np.array([1, 1]), np.array([0, 0]))),
        "kernel and a stride from 1",
    ),
    "flatten-of-other-axes": (
        lambda: _graph(f=nir.Flatten(np.array([6]), start_dim=3, end_dim=5), a=_linear(3, 6)),
        "Flatten 'f' cannot take features",
    ),
    "nan-weight": (lambda: _graph(a=nir.Linear(np.full((3, 6), np.nan))), "Linear 'a' has NaN or infinity in weight"),
    "nan-time-constant": (lambda: _graph(a=_linear(3, 6), n=_lif(3, tau=np.nan)), "LIF 'n' has NaN or infinity in tau"),
    "infinite-threshold": (lambda: _graph(a=_linear(3, 6), n=_lif(3, v_threshold=np.inf)), "in v_threshold"),
    "text-weight": (lambda: _graph(a=nir.Linear(np.full((3, 6), "a"))), "weight of type <U1; expected numbers"),
    "batched-weight": (lambda: _graph(a=nir.Linear(np.ones((2, 3, 6)))), r"weights of shape \(2, 3, 6\)"),
    "bias-of-another-size": (lambda: _graph(a=nir.Affine(np.ones((3, 6)), np.ones(4))), r"bias of shape \(4,\)"),
    "short-time-constant": (lambda: _graph(a=_linear(3, 6), n=_lif(3, tau=5e-5)), "tau of 5e-05, below the time step"),
    "negative-time-constant": (lambda: _graph(a=_linear(3, 6), n=_lif(3, tau=-1.0)), "tau of -1, below the time step"),
    "reset-elsewhere": (lambda: _graph(a=_linear(3, 6), n=_lif(3, v_reset=0.5)), "resets to v_reset other than 0"),
    "no-threshold": (lambda: _graph(a=_linear(3, 6), n=_lif(3, v_threshold=-1.0)), "threshold of -1"),
    "no-gain": (lambda: _graph(a=_linear(3, 6), n=_lif(3, r=0.0)), "gain of 0; expected positive"),
    "cycle-of-weights": (
        lambda: _joined([*THROUGH, ("b", "a")], **CHAIN),
        "a cycle leads through .*; expected neurons and one layer of weights at most",
    ),
    "cycle-to-itself": (lambda: _joined([*THROUGH, ("n", "n")], **CHAIN), "a cycle leads through"),
    "cycle-of-two-weights": (
        lambda: _joined([*THROUGH, ("a", "v"), ("v", "a")], **CHAIN, v=_linear(8, 8)),
        "a cycle leads through",
    ),
    "cycle-of-another-shape": (
        lambda: _joined([*THROUGH, ("n", "v"), ("v", "n")], **CHAIN, v=_linear(7, 8)),
        "recurrent connection 'v' does not return features of shape",
    ),
    "two-recurrent-connections": (
        lambda: _joined(
            [*THROUGH, ("n", "v"), ("v", "n"), ("n", "w"), ("w", "n")], **CHAIN, v=_linear(8, 8), w=_linear(8, 8)
        ),
        "has two recurrent connections",
    ),
    "edge-to-nowhere": (lambda: _joined([*THROUGH, ("b", "x")], **CHAIN), "there is no node 'x'"),
    "dead-end": (lambda: _joined([*THROUGH, ("n", "c")], **CHAIN, c=_linear(3, 8)), "node 'c' leads nowhere"),
    "no-input": (lambda: _joined([*THROUGH, ("c", "b")], **CHAIN, c=_linear(8, 8)), "node 'c' gets no input"),
    "no-way": (lambda: _joined(THROUGH[:-1], **CHAIN), "'.*' leads nowhere|gets no input"),
    "edge-twice": (lambda: _joined([*THROUGH, THROUGH[0]], **CHAIN), "two edges between the same nodes"),
    "added-shapes": (
        lambda: _joined([*THROUGH, ("a", "b")], **CHAIN | {"n": _linear(7, 8)}),
        "are added; expected one shape",
    ),
    "branches-of-neurons": (
        lambda: _joined(
            [("input", "a"), ("a", "n"), ("a", "m"), ("n", "b"), ("m", "b"), ("b", "output")], **CHAIN, m=_lif(8)
        ),
        "a branch without weights is added to another one",
    ),
    "crossed-branches": (
        lambda: _joined(
            [("input", "a"), ("input", "c"), ("a", "d"), ("c", "d"), ("c", "e"), ("d", "e"), ("e", "output")],
            a=_linear(6, 6),
            c=_linear(6, 6),
            d=_linear(6, 6),
            e=_linear(3, 6),
        ),
        "cannot be followed",
    ),
    "groups-that-do-not-fit": (
        lambda: _graph(c=nir.Conv1d(None, np.ones((3, 1, 1)), 1, 0, 1, 2, np.zeros(3))),
        "3 outputs in 2 groups",
    ),
    "half-a-stride": (
        lambda: _graph(c=nir.Conv1d(None, np.ones((3, 1, 1)), 0.5, 0, 1, 1, np.zeros(3))),
        "stride of .0.5.; expected whole numbers",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_wrong_graph_is_refused(name: str) -> None:
    make, message = GRAPHS[name]
    with pytest.raises(UnsupportedError, match=message) as caught:
        interop.from_nir(make())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in ("text-weight",)])
def test_a_wrong_graph_in_a_file_is_refused(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name][0]()
    for node in graph.nodes.values():
        if getattr(node, "input_shape", 0) is None:
            node.input_shape = 6
    nir.write(tmp_path / "graph.nir", graph)
    with pytest.raises(OnchipError) as caught:
        interop.load(tmp_path / "graph.nir")
    assert "\n" not in str(caught.value)


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(RequestError, match=r"got a LIF; expected a nir\.NIRGraph"):
        interop.from_nir(_lif(3))


def test_two_inputs_are_refused() -> None:
    graph = _graph(**CHAIN)
    graph.nodes["second"] = nir.Input(input_type=np.array([6]))
    with pytest.raises(UnsupportedError, match="has 2 nodes of type Input; expected one"):
        interop.from_nir(graph)


@pytest.mark.parametrize("dt", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wrong_time_step_is_refused(dt: float) -> None:
    with pytest.raises(RequestError, match="from_nir got dt="):
        interop.from_nir(_graph(**CHAIN), dt=dt)


def test_an_unknown_reader_is_refused() -> None:
    with pytest.raises(RequestError, match="unknown reader 'nors'; did you mean 'norse'"):
        interop.to_nir(perceptron(), (6,), reader="nors")


@pytest.mark.parametrize("shape", [(), (0,), (-6,), (6.0,)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match="the input got shape"):
        interop.to_nir(perceptron(), shape)


def test_another_shape_is_refused() -> None:
    with pytest.raises(RequestError, match=r"Linear '0' got features of shape \(7,\); expected \(6,\)"):
        interop.to_nir(perceptron(), (7,))


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    model = perceptron()
    next(model.parameters()).data[0, 0] = torch.nan
    with pytest.raises(RequestError, match="Linear '0' has NaN or infinity in its weights"):
        interop.export(tmp_path / "network.nir", model, (6,))
    assert not list(tmp_path.iterdir())


def test_metadata_of_others_does_no_harm() -> None:
    graph, _ = interop.to_nir(perceptron(), (6,))
    for node in graph.nodes.values():
        node.metadata = {
            "onchip": {"decay": "x", "threshold": {"a": 1}, "reset": 3, "surrogate": "os.system:ls", "layer": [1]}
            | {"decay_parameter": np.array([]), "precision": 7, "stands_for": "LIF", "bias": "no"}
        }
    graph.metadata = {"onchip": {"format": "?"}}
    network, _ = interop.from_nir(graph)
    assert isinstance(network[1], nn.LIF)
    graph.metadata = {"onchip": {"dt": "soon", "reader": b"nir"}}
    with pytest.raises(RequestError, match="dt=soon"):
        interop.from_nir(graph)


def test_three_branches_are_two_blocks() -> None:
    nodes = {name: _linear(3, 6) for name in "abc"}
    graph = _joined([("input", name) for name in nodes] + [(name, "output") for name in nodes], **nodes)
    network, _ = interop.from_nir(graph)
    assert network(torch.ones(1, 1, 6)).flatten().tolist() == [18.0, 18.0, 18.0]


def test_a_long_chain_of_blocks_is_read_quickly() -> None:
    nodes = {f"n{i}": _linear(2, 2) for i in range(600)}
    names, edges, sources = list(nodes), [], ["input"]
    for name in names:
        edges += [(source, name) for source in sources]
        sources.append(name)
    edges += [(source, "output") for source in sources]
    ends = {"input": nir.Input(input_type=np.array([2])), "output": nir.Output(output_type=np.array([2]))}
    graph = nir.NIRGraph(nodes={**ends, **nodes}, edges=edges, type_check=False)
    network, _ = interop.from_nir(graph)
    assert len(network) == 600
    assert all(isinstance(block, nn.Residual) for block in network)
