"""Tensors in a safetensors file that carries a digest of all that is in it; reading one never runs code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from onchip._files import require_regular, write_whole
from onchip.errors import DataError

SEAL = "sha256"


def write_sealed(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file in one piece.

    Args:
        path: The file; its folder must exist.
        tensors: On any device; they may share memory.
        metadata: Text for the header.
    """
    write_whole(path, sealed_bytes(tensors, metadata))


def sealed_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The content of the file that `write_sealed` writes."""
    # Copies of their own: safetensors refuses tensors that share memory.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    return save(copies, {**metadata, SEAL: digest(copies, metadata)})


def read_sealed(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, on the CPU, and the metadata of a file that `write_sealed` wrote.

    Raises:
        DataError: It cannot be read, has no digest, or is not what was written.
    """
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    # Beside its own error, safetensors raises these for headers that torch cannot follow.
    except (SafetensorError, OSError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        raise DataError(f"it cannot be read: {' '.join(str(error).split())}") from error
    seal = metadata.pop(SEAL, None)
    if seal is None:
        raise DataError("it has no digest of its content; expected a file that this version wrote")
    if seal != digest(tensors, metadata):
        raise DataError("it is damaged: by its sha256, its content is not what was written")
    return tensors, metadata


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 of metadata and of every tensor's name, type, shape and bytes, as hexadecimal text."""
    names = sorted(tensors)
    header = [(name, str(tensors[name].dtype), list(tensors[name].shape)) for name in names]
    total = hashlib.sha256(json.dumps([metadata, header], sort_keys=True).encode())
    for name in names:
        total.update(tensors[name].cpu().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
