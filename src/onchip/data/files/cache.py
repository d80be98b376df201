"""Decoded pictures kept on disk, so that a folder is decoded once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import warnings
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

__all__ = ["DecodedCache"]


class DecodedCache:
    """Tensors of one folder in one safetensors file: no code is ever run by reading it.

    Args:
        root: where the file lies; created when something is kept.
        folder: the folder that was decoded; one file each, so a changed folder replaces its own.
        fingerprint: of every file that was decoded; another fingerprint is a miss.
    """

    def __init__(self, root: Path, folder: Path, fingerprint: str) -> None:
        place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        self.path = root / f"{folder.name}-{place}.safetensors"
        self.fingerprint = fingerprint

    def get(self) -> dict[str, Tensor] | None:
        """What was kept under this fingerprint; None when there is nothing, or it cannot be used."""
        if not self.path.is_file():
            return None
        # A damaged store is only a miss: it is ours, and the pictures are still there to decode.
        with contextlib.suppress(OSError, SafetensorError), safe_open(self.path, framework="pt") as file:
            if (file.metadata() or {}).get("fingerprint") == self.fingerprint:
                return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
        return None

    def put(self, tensors: dict[str, Tensor]) -> None:
        """Keep the tensors; a reader sees the old file or the new one, never half of one."""
        temporary = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, suffix=".part")
            os.close(handle)
            save_file(tensors, temporary, metadata={"fingerprint": self.fingerprint})
            os.replace(temporary, self.path)
        except (OSError, SafetensorError) as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            warnings.warn(
                f"decoded pictures could not be kept in {self.path} ({error}); they will be decoded again "
                "next time. Point --data-root (ONCHIP_DATA) at a folder that you may write to",
                stacklevel=2,
            )
