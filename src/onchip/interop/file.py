"""Files of NIR graphs: HDF5, written in one piece, and read without trust in what they say."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onchip._files import require_regular
from onchip.errors import DataError
from onchip.interop import package
from onchip.interop.parts import OF_NODE
from onchip.interop.parts.unsaid import NODES
from onchip.interop.trees import Tree, digest

KINDS = frozenset({*OF_NODE, *NODES, "Input", "NIRGraph", "Output"})
"""Types of nodes that a file may name."""

LEVELS, OBJECTS, EDGES, BYTES = 40, 200_000, 65_536, 2**32
"""The most that a file may have: levels of groups, objects, edges of a graph, and bytes of data."""


@dataclass(frozen=True)
class NIRFile:
    """What a file holds.

    Args:
        graph: The `nir.NIRGraph`.
        digest: SHA-256 of the graph's content.
        version: Of the package that wrote it.
        groups: The content of other groups than the graph's, such as `learning`, by name.
    """

    graph: Any
    digest: str
    version: str
    groups: Mapping[str, Tree]


def write(path: Path, graph: Any, groups: Callable[[str], Mapping[str, Tree]] | None = None) -> None:
    """Writes a graph, and groups beside it that other readers do not open, in one piece.

    Args:
        path: The file; its folder must exist.
        graph: A `nir.NIRGraph`.
        groups: Makes the content of other groups, by name, for the SHA-256 of the graph.

    Raises:
        RequestError: The package `nir` is not installed.
        OSError: The file cannot be written; it names the path.
    """
    nir, h5py = package.nir(), package.h5py()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        nir.write(str(temporary), graph)
        if groups is not None:
            with h5py.File(temporary, "r+") as file:
                for name, content in groups(digest(_Walk(h5py).tree(file, "node"))).items():
                    _fill(file.create_group(name), content)
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def read(path: Path) -> NIRFile:
    """What a file holds. Nothing outside of it is opened, and nothing in it is run.

    Raises:
        RequestError: The package `nir` is not installed.
        DataError: It cannot be read, is no NIR file, or holds more than a network would.
    """
    try:
        require_regular(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    h5py = package.h5py()
    try:
        with h5py.File(path, "r") as file:
            if "node" not in file:
                raise DataError(f"{path} is an HDF5 file, but no NIR file: it has no group 'node'")
            walk = _Walk(h5py)
            trees = {name: walk.tree(file, name) for name in file if name != "version"}
            version = walk.tree(file, "version") if "version" in file else ""
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise DataError(f"{path} is no NIR file, or damaged: {' '.join(str(error).split()):.200}") from error
    except DataError as error:
        raise DataError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error
    node = trees.pop("node")
    try:
        with np.errstate(all="ignore"):
            graph = _graph(node)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    groups = {name: tree for name, tree in trees.items() if isinstance(tree, dict)}
    return NIRFile(graph, digest(node), version if isinstance(version, str) else "", groups)


class _Walk:
    """Reads groups of a file within limits, and refuses what leads out of it."""

    def __init__(self, h5py: Any) -> None:
        self.h5py = h5py
        self.objects = self.bytes = 0

    def tree(self, group: Any, name: str, level: int = 0) -> Any:
        """An object of a group, by its name."""
        self.objects += 1
        if level > LEVELS or self.objects > OBJECTS:
            raise DataError(f"it has more than {LEVELS} levels of groups, or {OBJECTS:,} objects")
        if not isinstance(group.get(name, getlink=True), self.h5py.HardLink):
            raise DataError(f"{name!r} is a link to somewhere else; expected the data itself")
        item = group[name]
        if isinstance(item, self.h5py.Group):
            return {inner: self.tree(item, inner, level + 1) for inner in item}
        if not isinstance(item, self.h5py.Dataset):
            raise DataError(f"{name!r} is neither a group nor data")
        if item.external or item.is_virtual:
            raise DataError(f"the data of {name!r} lie in another file; expected the data itself")
        text = self.h5py.check_string_dtype(item.dtype) is not None
        if not text and item.dtype.kind not in "fiubS":
            raise DataError(f"{name!r} is of type {item.dtype}; expected numbers or text")
        self.bytes += (item.size or 0) * max(1, item.dtype.itemsize)
        if self.bytes > BYTES:
            raise DataError(f"its data take more than {BYTES:,} bytes")
        if item.shape is None:
            raise DataError(f"{name!r} is empty")
        value = item[()]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _graph(tree: Any) -> Any:
    """A node of the package `nir`, from the content of its group."""
    nir = package.nir()
    kind = tree.get("type") if isinstance(tree, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        got = repr(kind)[:40] if isinstance(kind, str) else "no text"
        raise DataError(f"a node is of type {got}; expected one of NIR's, {', '.join(sorted(KINDS))}")
    try:
        if kind != "NIRGraph":
            node = nir.dict2NIRNode({name: value for name, value in tree.items() if name != "metadata"})
            node.metadata = tree.get("metadata", {})
            return node
        nodes, edges = tree["nodes"], tree["edges"]
        if not isinstance(nodes, dict) or np.ndim(edges) != 2 or np.shape(edges)[1] != 2 or len(edges) > EDGES:
            raise DataError(f"a graph has no nodes, or its edges are not up to {EDGES:,} pairs")
        inner = {name: _graph(node) for name, node in nodes.items()}
        pairs = [(_name(start), _name(end)) for start, end in edges]
        return nir.NIRGraph(nodes=inner, edges=pairs, metadata=tree.get("metadata", {}), type_check=False)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"a node of type {kind} is incomplete or wrong: {' '.join(str(error).split()):.200}") from error


def _name(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _fill(group: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            _fill(group.create_group(name), value)
        elif np.ndim(value):
            group.create_dataset(name, data=value, compression="gzip" if np.size(value) else None)
        else:
            group.create_dataset(name, data=value)
