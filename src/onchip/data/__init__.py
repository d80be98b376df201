"""Data sets: images as bytes in three splits that share no image, batches of them, and their files.

Imports inside this package point down, too: `loading`, `catalogue` -> `datasets` -> `readers` -> the other modules.
"""

from onchip.data.augment import AutoAugment, Compose, Crop, Cutout, Flip
from onchip.data.batching import batches
from onchip.data.catalogue import Checked, Status, check, describe, fetch, status
from onchip.data.loading import load
from onchip.data.root import data_root
from onchip.data.source import DatasetInfo
from onchip.data.split import Dataset, Split

__all__ = [
    "AutoAugment",
    "Checked",
    "Compose",
    "Crop",
    "Cutout",
    "Dataset",
    "DatasetInfo",
    "Flip",
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
