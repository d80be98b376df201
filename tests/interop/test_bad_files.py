"""Files that are wrong are refused in one line; nothing outside of a file is opened."""

from __future__ import annotations

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

from onchip import interop
from onchip.errors import DataError, RequestError
from onchip.interop import file
from tests.interop.perceptron import perceptron


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A good file."""
    interop.export(tmp_path / "network.nir", perceptron(), (6,))
    return tmp_path / "network.nir"


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


def test_without_the_package_one_line_says_what_to_install(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nir", "h5py"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: interop.load(path), lambda: interop.to_nir(perceptron(), (6,))):
        with pytest.raises(RequestError, match=re.escape("pip install 'onchip[nir]'")) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nir, "write", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        interop.export(path, perceptron(), (6,))
    assert caught.value.filename == str(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_groups_ride_along_and_other_readers_do_not_see_them(path: Path) -> None:
    learning: dict[str, Any] = {
        "schema": 1,
        "rule": "bp",
        "0": {"trace": 0.5, "matrix": np.eye(2), "none": np.zeros((0, 3))},
    }
    graph, _ = interop.to_nir(perceptron(), (6,))
    file.write(path, graph, lambda digest: {"learning": {**learning, "graph": digest}})
    found = file.read(path)
    assert found.groups["learning"]["graph"] == found.digest
    assert found.version == nir.version
    assert set(found.groups) == {"learning"}
    assert found.groups["learning"]["rule"] == "bp"
    assert np.array_equal(found.groups["learning"]["0"]["matrix"], np.eye(2))
    assert found.groups["learning"]["0"]["none"].shape == (0, 3)
    assert set(nir.read(path).nodes) == {"input", "affine", "lif", "affine_1", "output"}
