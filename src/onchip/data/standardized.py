"""Real sequences of any scale and length as splits that a network can take."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from onchip.data.samples import SEQUENCES
from onchip.data.split import Split
from onchip.runs.model_file import Standardization

Values = Sequence[NDArray[np.float64]]


def standardized_splits(
    train: tuple[Values, Sequence[int]], test: tuple[Values, Sequence[int]]
) -> tuple[Split, Split, Standardization]:
    """Sequences scaled channel by channel, and padded with zeros to the longest of their split.

        x <- (x - mean) / sd, of all time steps to train on; a channel that is constant there keeps its scale

    Args:
        train: sequences (T, channels), and the label of each.
        test: the same; it has no influence on the scale.

    Returns:
        Training and test split, float32, and how they were scaled.
    """
    steps = np.concatenate(train[0])
    mean, spread = steps.mean(0), steps.std(0)
    spread[spread == 0.0] = 1.0

    def split(values: Values, labels: Sequence[int]) -> Split:
        lengths = torch.tensor([len(one) for one in values])
        samples = torch.zeros(len(values), int(lengths.max()), values[0].shape[1])
        for sample, one in zip(samples, values, strict=True):
            sample[: len(one)] = torch.from_numpy((one - mean) / spread)
        return Split(samples, torch.tensor(labels), SEQUENCES, lengths)

    scale = Standardization(tuple(mean.tolist()), tuple(spread.tolist()))
    return split(*train), split(*test), scale
