"""Samples on disk that a GPU has no room for are batches there, the same as from memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from onchip.data import Split, batches
from onchip.data.on_disk import OnDisk
from onchip.data.readers.sample_file import SampleFile

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)


@pytest.mark.parametrize("room", [0, 2**30])
def test_batches_on_the_gpu_are_those_of_samples_in_memory(room: int, tmp_path: Path) -> None:
    file = SampleFile(tmp_path / "a.npy", "a" * 64, len(PIXELS))
    file.write([PIXELS])
    stored, labels = file.read(), torch.arange(50)
    assert stored is not None
    there = stored.to("cuda", room=room)
    assert isinstance(there, OnDisk) == (room == 0)
    passes = [
        list(batches(split, 8, generator=torch.Generator().manual_seed(0)))
        for split in (Split(there, labels.cuda()), Split(torch.from_numpy(PIXELS), labels).to("cuda"))
    ]
    for (images, targets), (expected, wanted) in zip(*passes, strict=True):
        assert images.device.type == targets.device.type == "cuda"
        assert torch.equal(images, expected)
        assert torch.equal(targets, wanted)
