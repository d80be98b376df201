"""The group `learning` in an HDF5 file: a document and the tensors that it refers to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from onchip._sealed import SEAL, digest
from onchip.errors import DataError, UnsupportedError
from onchip.interop.learning.document import Document

GROUP, DOCUMENT, TENSORS, GRAPH = "learning", "document", "tensors", "node"

TYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
"""Types of tensors that HDF5 holds as they are."""


def write(file: Any, document: Document, tensors: Mapping[str, Tensor]) -> None:
    """Adds the group to a file that holds a graph.

    Args:
        file: An open `h5py.File`.
        document: What to write.
        tensors: Tensors by name, in which a slash makes a group.

    Raises:
        UnsupportedError: A tensor of a type that HDF5 does not have.
    """
    group = file.create_group(GROUP)
    text = document.to_json()
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in held.items():
        if tensor.dtype not in TYPES:
            raise UnsupportedError(f"{name} is of {tensor.dtype}, which HDF5 does not have; use model.float()")
        group.create_dataset(f"{TENSORS}/{name}", data=tensor.numpy())
    group.create_dataset(DOCUMENT, data=text)
    group.attrs[SEAL] = digest(held, {DOCUMENT: text})


def read(file: Any) -> tuple[Document, dict[str, Tensor]] | None:
    """The group of a file; None where it has none.

    Args:
        file: An open `h5py.File`.

    Raises:
        DataError: It is damaged, of a later version, or was written for another graph.
    """
    if GROUP not in file:
        return None
    try:
        group = file[GROUP]
        text = group[DOCUMENT].asstr()[()]
        tensors = {name: torch.from_numpy(data[...]) for name, data in _datasets(group.get(TENSORS, {}))}
        seal = group.attrs.get(SEAL)
    # h5py and torch have no common error for data of another kind than expected.
    except (OSError, LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise DataError(f"the group {GROUP} cannot be read: {' '.join(str(error).split()):.200}") from error
    if seal != digest(tensors, {DOCUMENT: text}):
        raise DataError(f"the group {GROUP} is damaged: by its sha256, its content is not what was written")
    document = Document.from_json(text)
    if document.graph != graph_digest(file):
        raise DataError(
            f"the group {GROUP} was written for another graph than the one beside it; export the network again, or "
            "import the graph without its rule"
        )
    return document, tensors


def graph_digest(file: Any) -> str:
    """SHA-256 of the graph in a file: of the name, type, shape and content of each dataset, in the order of the names.

    Args:
        file: An open `h5py.File`.
    """
    total = hashlib.sha256()
    for name, data in sorted(_datasets(file[GRAPH])):
        value = data[()]
        if isinstance(value, bytes):
            kind, shape, content = "string", (), value
        elif data.dtype.kind == "O":  # names of the two ends of each edge
            flat = [item if isinstance(item, bytes) else str(item).encode() for item in value.reshape(-1)]
            kind, shape, content = "string", value.shape, b"\0".join(flat)
        else:
            kind, shape, content = str(data.dtype), data.shape, value.tobytes()
        total.update(f"{name}\n{kind}\n{list(shape)}\n{len(content)}\n".encode() + content)
    return total.hexdigest()


def _datasets(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every dataset below a group, by its path; links to elsewhere are not followed."""
    for name in group:
        link = group.get(name, getlink=True)
        if type(link).__name__ != "HardLink":
            raise ValueError(f"{path}{name} is a link to another place")
        child = group[name]
        if hasattr(child, "keys"):
            yield from _datasets(child, f"{path}{name}/")
        else:
            yield f"{path}{name}", child
