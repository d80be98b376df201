"""A delayed recall, made by a seed: which of two values was on when the store cue came?"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from onchip.data.samples import SEQUENCES
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.split import NO_TARGET, Split
from onchip.errors import require

TRAIN, TEST = 4000, 1000
TRAIN_SEED, TEST_SEED = 0, 1  # so that the two share no draw, and every run of every version has the same sequences
PERIOD = 5  # time steps for which a value or a cue stays on
STARTS = 4  # periods in one of which the store cue comes
GROUP = 5  # channels per value and per cue
VALUES = 2
STORE, RECALL = VALUES, VALUES + 1  # the groups after those of the values
ON, BACKGROUND = 0.5, 0.02  # spikes per channel and time step, of a group that is on and of all others
LONGEST = 1000


def store_recall(*, delay: int = 20) -> DatasetSource:
    """5,000 sequences in which a value has to be kept in memory, generated from fixed seeds.

    In each period of 5 time steps one of two values is on. In one of the first four periods there is a store cue too;
    in the last, a recall cue alone. The class is the value that was on during the store cue, and only the steps of the
    recall have a target. Each value and each cue has a group of 5 channels, which spike with probability 0.5 per time
    step while it is on; all channels have a background of 0.02.

    Values come in pairs, one and then the other, in random order. So neither the input at the recall nor any sum over
    the past of either value tells the class, but the coincidence with the store cue alone.

    Args:
        delay: time steps from the last possible store cue to the recall, a multiple of 10 from 10 to 1,000; the first
            comes 15 steps earlier.

    Raises:
        RequestError: the delay is out of range.

    Reference: after the store-recall task of G. Bellec et al., Long short-term memory and learning-to-learn in networks
        of spiking neurons, NeurIPS 2018, with one recall per sequence; rates and sizes are ours.
    """
    pair = VALUES * PERIOD
    require(
        pair <= delay <= LONGEST and delay % pair == 0,
        "store-recall", "delay", delay, f"a multiple of {pair} time steps, {pair} to {LONGEST:,}",
    )  # fmt: skip
    periods = STARTS + delay // PERIOD + 1
    info = DatasetInfo(
        name="store-recall",
        title="Store and recall",
        shape=(GROUP * (VALUES + 2),),
        classes=VALUES,
        train=TRAIN,
        test=TEST,
        reference="after Bellec et al. 2018, arXiv:1803.09574",
        embedded=True,
        kind=SEQUENCES,
        steps=periods * PERIOD,
    )

    def read(_root: Path) -> RawSplits:
        train, test = _made(TRAIN, periods, TRAIN_SEED), _made(TEST, periods, TEST_SEED)
        return RawSplits(tuple(f"value {value}" for value in range(VALUES)), train, test)

    return DatasetSource(info.name, info, files=(), read=read)


def _made(count: int, periods: int, seed: int) -> Split:
    """So many sequences of that many periods, of which the last is the recall."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(VALUES, (count, periods // VALUES, 1), generator=generator)
    values = torch.cat([first, 1 - first], 2).flatten(1)  # (N, periods - 1)
    stored = torch.randint(STARTS, (count, 1), generator=generator)
    on = torch.zeros(count, periods, VALUES + 2, dtype=torch.bool)  # (N, periods, groups)
    on[:, :-1, :VALUES] = values[..., None] == torch.arange(VALUES)
    on[torch.arange(count), stored[:, 0], STORE] = True
    on[:, -1, RECALL] = True
    rate = torch.where(on, ON, BACKGROUND).repeat_interleave(PERIOD, 1).repeat_interleave(GROUP, 2)  # (N, T, channels)
    spikes = torch.rand(rate.shape, generator=generator) < rate
    return Split(spikes.to(torch.uint8), _labels(values.gather(1, stored), periods), SEQUENCES)


def _labels(stored: Tensor, periods: int) -> Tensor:
    """Labels (N, T), targets at the recall alone, of stored values (N, 1)."""
    labels = torch.full((len(stored), periods * PERIOD), NO_TARGET)
    labels[:, -PERIOD:] = stored
    return labels
