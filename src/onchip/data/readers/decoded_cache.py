"""Decoded pictures on disk, so that a folder is decoded once."""

import contextlib
import hashlib
import os
import warnings
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from onchip._files import write_whole


class DecodedCache:
    """Tensors of one folder in one safetensors file: reading it never runs code.

    Args:
        root: The folder of the cache; created when something is stored.
        folder: The folder that was decoded. Each has one file, so a changed folder replaces its own.
        fingerprint: A hash of every file that was decoded; another fingerprint is a miss.
    """

    def __init__(self, root: Path, folder: Path, fingerprint: str) -> None:
        place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        self.path = root / f"{folder.name}-{place}.safetensors"
        self.fingerprint = fingerprint

    def get(self) -> dict[str, Tensor] | None:
        """The tensors stored under this fingerprint; None when there are none, or they cannot be read."""
        if not self.path.is_file():
            return None
        # A damaged file is only a miss: the pictures are still there to decode.
        with contextlib.suppress(OSError, SafetensorError), safe_open(self.path, framework="pt") as file:
            if (file.metadata() or {}).get("fingerprint") == self.fingerprint:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        return None

    def put(self, tensors: dict[str, Tensor]) -> None:
        """Store the tensors in one piece."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self.path, save(tensors, {"fingerprint": self.fingerprint}))
        except OSError as error:
            warnings.warn(
                f"decoded pictures could not be stored in {self.path} ({error}); they will be decoded again "
                "next time. Point --data-root (ONCHIP_DATA) at a folder that you may write to",
                stacklevel=2,
            )
