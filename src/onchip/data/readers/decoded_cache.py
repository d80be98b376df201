"""Decoded pictures on disk, so that a folder is decoded once."""

import hashlib
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor

from onchip._sealed import read_sealed, write_sealed
from onchip.errors import DataError


class DecodedCache:
    """The pictures of one folder as a tensor in one sealed file.

    Args:
        root: The folder of the cache; created when something is stored.
        folder: The folder that was decoded. Each has one file, so a changed folder replaces its own.
        fingerprint: A hash of every file that was decoded; another fingerprint is a miss.
    """

    def __init__(self, root: Path, folder: Path, fingerprint: str) -> None:
        place = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        self.path = root / f"{folder.name}-{place}.safetensors"
        self.fingerprint = fingerprint

    def get(self, count: int) -> Tensor | None:
        """The (count, C, H, W) uint8 images stored under this fingerprint; None if there are none, or they are damaged.

        The pictures are still there to decode, so a file that cannot be used is no error.
        """
        try:
            tensors, metadata = read_sealed(self.path)
        except DataError:
            return None
        images = tensors.get("images", torch.empty(0))
        fits = images.dtype == torch.uint8 and images.ndim == 4 and len(images) == count
        return images if fits and metadata.get("fingerprint") == self.fingerprint else None

    def put(self, images: Tensor) -> None:
        """Store the images in one piece."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_sealed(self.path, {"images": images}, {"fingerprint": self.fingerprint})
        except OSError as error:
            warnings.warn(
                f"decoded pictures could not be stored in {self.path} ({error}); they will be decoded again "
                "next time. Point --data-root (ONCHIP_DATA) at a folder that you may write to",
                stacklevel=2,
            )
