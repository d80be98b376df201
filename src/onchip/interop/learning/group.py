"""The group `learning` of a file: a document, and the tensors that it refers to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from onchip._sealed import SEAL, digest
from onchip.errors import DataError, UnsupportedError
from onchip.interop.learning.document import Document
from onchip.interop.trees import Tree, leaves, nested

GROUP, DOCUMENT, TENSORS = "learning", "document", "tensors"

TYPES = (torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.uint8, torch.bool)
"""Types of tensors that HDF5 holds as they are."""


def written(document: Document, tensors: Mapping[str, Tensor]) -> Tree:
    """The content of the group.

    Args:
        document: What to write.
        tensors: Tensors by name, in which a slash makes a group.

    Raises:
        UnsupportedError: A tensor of a type that HDF5 does not have.
    """
    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    for name, tensor in held.items():
        if tensor.dtype not in TYPES:
            raise UnsupportedError(f"{name} is of {tensor.dtype}, which HDF5 does not have; use model.float()")
    text = document.to_json()
    arrays = {name: tensor.numpy() for name, tensor in held.items()}
    return {DOCUMENT: text, SEAL: digest(held, {DOCUMENT: text}), TENSORS: nested(arrays)}


def read(tree: Tree, graph: str) -> tuple[Document, dict[str, Tensor]]:
    """The document and the tensors of a group.

    Args:
        tree: Its content.
        graph: SHA-256 of the graph in the same file.

    Raises:
        DataError: It is damaged, of a later version, or was written for another graph.
    """
    text, arrays = tree.get(DOCUMENT), tree.get(TENSORS, {})
    if not isinstance(text, str) or not isinstance(arrays, Mapping):
        raise DataError(f"the group {GROUP} has no {DOCUMENT!r}; expected one that this program wrote")
    tensors = {name: _tensor(name, value) for name, value in leaves(arrays)}
    if tree.get(SEAL) != digest(tensors, {DOCUMENT: text}):
        raise DataError(f"the group {GROUP} is damaged: by its sha256, its content is not what was written")
    document = Document.from_json(text)
    if document.graph != graph:
        raise DataError(
            f"the group {GROUP} was written for another graph than the one beside it; export the network again, or "
            "import the graph without its rule"
        )
    return document, tensors


def _tensor(name: str, value: Any) -> Tensor:
    try:
        return torch.from_numpy(np.array(value))
    except TypeError as error:
        raise DataError(f"the group {GROUP} holds {name!r:.60}, which is no array of numbers") from error
