"""The content of HDF5 groups."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

Tree = Mapping[str, Any]
"""The content of a group: numbers, text, arrays, and trees of these."""


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a group and in the groups in it, by its path."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}/")
        else:
            yield f"{path}{name}", value


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of values by their paths; the inverse of `leaves`."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *groups, name = path.split("/")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return tree


def digest(tree: Tree) -> str:
    """SHA-256 of the path, type, shape and content of everything in a group, as docs/learning-group.md defines it."""
    total = hashlib.sha256()
    for path, value in sorted(leaves(tree), key=lambda leaf: leaf[0]):
        array = np.asarray(value)
        if array.dtype.kind in "OSU":
            texts = [item if isinstance(item, bytes) else str(item).encode() for item in array.reshape(-1)]
            kind, content = "string", b"\0".join(texts)
        else:
            kind, content = str(array.dtype), array.tobytes()
        header = f"{path}\n{kind}\n{list(array.shape)}\n{len(content)}\n"
        total.update(header.encode() + content)
    return total.hexdigest()
