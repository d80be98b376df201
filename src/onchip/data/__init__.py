"""Data sets: images as bytes in three splits that share nothing, batches of them, and what the files must be.

Within this folder imports point down too: `loading`, `catalogue` -> `sources` -> `files` -> `base`.
"""

from onchip.data.augment import AutoAugment, Compose, Crop, Cutout, Flip
from onchip.data.base.root import data_root
from onchip.data.base.split import Dataset, Split
from onchip.data.batching import batches
from onchip.data.catalogue import Checked, Status, check, describe, fetch, status
from onchip.data.files.source import Info
from onchip.data.loading import load

__all__ = [
    "AutoAugment",
    "Checked",
    "Compose",
    "Crop",
    "Cutout",
    "Dataset",
    "Flip",
    "Info",
    "Split",
    "Status",
    "batches",
    "check",
    "data_root",
    "describe",
    "fetch",
    "load",
    "status",
]
