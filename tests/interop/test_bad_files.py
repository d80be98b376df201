"""Files and graphs that are wrong are refused in one line; nothing outside of a file is opened."""

from __future__ import annotations

import itertools
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest
import torch

from onchip import interop, nn
from onchip.errors import DataError, OnchipError, RequestError, UnsupportedError
from onchip.interop import file


def _model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.LIF(reset="hard"), nn.Linear(8, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    interop.export(tmp_path / "network.nir", _model(), (6,))
    return tmp_path / "network.nir"


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
        interop.to_nir(_model(), (6,), reader="nors")


@pytest.mark.parametrize("shape", [(), (0,), (-6,), (6.0,)])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match="the input got shape"):
        interop.to_nir(_model(), shape)


def test_another_shape_is_refused() -> None:
    with pytest.raises(RequestError, match=r"Linear '0' got features of shape \(7,\); expected \(6,\)"):
        interop.to_nir(_model(), (7,))


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    model = _model()
    next(model.parameters()).data[0, 0] = torch.nan
    with pytest.raises(RequestError, match="Linear '0' has NaN or infinity in its weights"):
        interop.export(tmp_path / "network.nir", model, (6,))
    assert not list(tmp_path.iterdir())


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("no graph\n" * 100)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _without_node(path: Path) -> None:
    path.unlink()
    with h5py.File(path, "w") as content:
        content["other"] = 1


def _changed(change: Callable[[Any], None]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as content:
            change(content)

    return damage


def _external(content: Any) -> None:
    del content["node/nodes/lif"]
    content["node/nodes/lif"] = h5py.ExternalLink("/etc/passwd", "/node")


def _soft(content: Any) -> None:
    content["node/nodes/other"] = h5py.SoftLink("/node/nodes/lif")


def _circular(content: Any) -> None:
    content["node/nodes/again"] = content["node"]


def _outside(content: Any) -> None:
    del content["node/nodes/affine/bias"]
    content.create_dataset("node/nodes/affine/bias", (8,), "f4", external=[("/etc/passwd", 0, 32)])


def _virtual(content: Any) -> None:
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", (8,))
    del content["node/nodes/affine/bias"]
    content.create_virtual_dataset("node/nodes/affine/bias", layout)


def _huge(content: Any) -> None:
    del content["node/nodes/affine/bias"]
    content.create_dataset("node/nodes/affine/bias", (2**40,), "f4", chunks=(2**20,), compression="gzip")


def _replaced(name: str, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        del content[name]
        if value is not None:
            content[name] = value

    return change


def _compound(content: Any) -> None:
    del content["node/nodes/affine/bias"]
    content["node/nodes/affine/bias"] = np.zeros(8, dtype=[("a", "f4"), ("b", "i4")])


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "text": (_text, "is no NIR file, or damaged"),
    "empty": (_empty, "is no NIR file, or damaged"),
    "truncated": (_truncated, "is no NIR file, or damaged"),
    "no-node": (_without_node, "is an HDF5 file, but no NIR file: it has no group 'node'"),
    "a-folder": (_folder, "cannot be read: not a regular file"),
    "missing": (lambda path: path.unlink(), "cannot be read: No such file"),
    "external-link": (_changed(_external), "'lif' is a link to somewhere else"),
    "soft-link": (_changed(_soft), "'other' is a link to somewhere else"),
    "circular": (_changed(_circular), "more than 40 levels of groups"),
    "outside-data": (_changed(_outside), "the data of 'bias' lie in another file"),
    "virtual-data": (_changed(_virtual), "the data of 'bias' lie in another file"),
    "huge-data": (_changed(_huge), "more than 4,294,967,296 bytes"),
    "compound-data": (_changed(_compound), "'bias' is of type .*; expected numbers or text"),
    "no-type": (_changed(_replaced("node/nodes/lif/type", None)), "a node is of type no text; expected one of NIR's"),
    "strange-type": (
        _changed(_replaced("node/nodes/lif/type", "Any")),
        "a node is of type 'Any'; expected one of NIR's",
    ),
    "number-as-type": (_changed(_replaced("node/nodes/lif/type", 3)), "expected one of NIR's"),
    "no-edges": (_changed(_replaced("node/edges", None)), "incomplete or wrong: 'edges'"),
    "flat-edges": (_changed(_replaced("node/edges", [1, 2, 3])), "edges are not"),
    "missing-field": (_changed(_replaced("node/nodes/lif/tau", None)), "a node of type LIF is incomplete or wrong"),
    "nodes-are-data": (_changed(_replaced("node/nodes", 3)), "a graph has no nodes"),
    "node-is-data": (_changed(_replaced("node", 3)), "a node is of type no text"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_wrong_file_is_refused(name: str, path: Path) -> None:
    damage, message = FILES[name]
    damage(path)
    with pytest.raises(DataError, match=message) as caught:
        interop.load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_fifo_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.nir")
    with pytest.raises(DataError, match="not a regular file"):
        interop.load(tmp_path / "fifo.nir")


def test_metadata_of_others_does_no_harm() -> None:
    graph, _ = interop.to_nir(_model(), (6,))
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


def test_without_the_package_one_line_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nir", "h5py"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: interop.load(path), lambda: interop.to_nir(_model(), (6,))):
        with pytest.raises(RequestError, match=re.escape("pip install 'onchip[nir]'")) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nir, "write", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        interop.export(path, _model(), (6,))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_groups_ride_along_and_other_readers_do_not_see_them(path: Path) -> None:
    learning: dict[str, Any] = {
        "schema": 1,
        "rule": "bp",
        "0": {"trace": 0.5, "matrix": np.eye(2), "none": np.zeros((0, 3))},
    }
    graph, _ = interop.to_nir(_model(), (6,))
    file.write(path, graph, lambda digest: {"learning": {**learning, "graph": digest}})
    found = file.read(path)
    assert found.groups["learning"]["graph"] == found.digest
    assert found.version == nir.version
    assert set(found.groups) == {"learning"}
    assert found.groups["learning"]["rule"] == "bp"
    assert np.array_equal(found.groups["learning"]["0"]["matrix"], np.eye(2))
    assert found.groups["learning"]["0"]["none"].shape == (0, 3)
    assert set(nir.read(path).nodes) == {"input", "affine", "lif", "affine_1", "output"}
