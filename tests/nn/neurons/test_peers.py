"""Neurons that snnTorch has, too, on the same drive."""

from __future__ import annotations

import warnings

import pytest
import torch

from onchip import nn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of torch's own compiler, at the import
    snntorch = pytest.importorskip("snntorch")


@pytest.mark.parametrize(
    ("reset", "theirs", "scale"), [("hard", "zero", 1.0), ("soft", "subtract", 0.3)], ids=["hard", "soft"]
)
def test_a_synaptic_current_is_that_of_snntorch(reset: str, theirs: str, scale: float) -> None:
    """With a drive under which one spike brings the membrane below the threshold, for the soft reset."""
    drive = torch.rand(60, 3, 200) * scale + 0.02
    cell = snntorch.Synaptic(alpha=0.5, beta=0.5, threshold=1.0, reset_mechanism=theirs, reset_delay=False)
    current = membrane = torch.zeros(3, 200)
    expected = []
    for step in drive:
        spikes, current, membrane = cell(step, current, membrane)
        expected.append(spikes.detach())
    ours = nn.CubaLIF(decay=0.5, current_decay=0.5, reset=reset)(drive)  # type: ignore[arg-type]
    assert torch.equal(ours, torch.stack(expected))
    assert bool(ours.any())
