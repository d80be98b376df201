"""Data sets: images, recordings or sequences in three splits that share no sample, batches of them, and their files.

Imports inside this package point down, too: `loading`, `catalogue` -> `datasets` -> `readers` -> the other modules.
"""

from onchip.data.augment import AutoAugment, Compose, Crop, Cutout, Flip
from onchip.data.batching import batches
from onchip.data.catalogue import Checked, Status, check, describe, fetch, status
from onchip.data.dataset import Dataset
from onchip.data.loading import load
from onchip.data.root import data_root
from onchip.data.sample_source import SampleSource
from onchip.data.samples import IMAGES, RECORDINGS, SEQUENCES, SampleKind
from onchip.data.source import DatasetInfo
from onchip.data.split import Split

__all__ = [
    "IMAGES",
    "RECORDINGS",
    "SEQUENCES",
    "AutoAugment",
    "Checked",
    "Compose",
    "Crop",
    "Cutout",
    "Dataset",
    "DatasetInfo",
    "Flip",
    "SampleKind",
    "SampleSource",
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
