"""A split as a stream of batches."""

from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor

from onchip.data.sample_source import WHOLE, Part, SampleSource
from onchip.errors import RequestError


def batches(
    split: SampleSource,
    batch_size: int,
    *,
    generator: torch.Generator | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    shuffle: bool = True,
    device: torch.device | str | None = None,
    drop_last: bool = False,
    part: Part = WHOLE,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over a split: samples as floats, with their labels.

    Samples are cut into batches on the split's device, moved to `device`, and only there become floats. For the
    fastest pass move the whole split first, `split.to(device)`. An equal generator gives equal batches.

    Args:
        split: images, recordings or sequences, and their labels.
        batch_size: samples per batch, B; the last batch has the remaining ones.
        generator: of the order and of `augment`; on any device, advanced by each pass. Needed for either.
        augment: (images or recordings, generator) -> the same of the same shape, e.g. `Compose(Crop(4), Flip())`.
        shuffle: draw a new order, instead of the split's own.
        device: where the batches go; None for where the split is.
        drop_last: leave out a last batch of fewer than B.
        part: (rank, size) of one of several processes, of which each takes its share of every batch of B: contiguous,
            the larger ones first, and empty where a batch has fewer samples than there are processes. The order, the
            number of batches and the time steps of sequences are those of a single process; `augment` sees the share.

    Yields:
        Images (B, C, H, W) or recordings (B, F, C, H, W) in [0, 1], or sequences (B, T, features...) as they are, cut
        to the longest of the batch, all float32; and labels (B,) int64. Labels of sequences that have lengths or labels
        per time step are (T, B), -1 where there is no target.

    Raises:
        RequestError: batch_size below 1, no generator where one is needed, sequences to augment, or a rank that is
            not below the size of its part; before the first batch.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise RequestError(f"batch_size={batch_size!r}; expected a whole number of samples, at least 1")
    if generator is None and (shuffle or augment is not None):
        raise RequestError(
            "batches got no generator; expected one to shuffle or augment with. Pass "
            "generator=torch.Generator().manual_seed(seed), or shuffle=False and no augment"
        )
    if augment is not None and not split.kind.augmentable:
        raise RequestError(
            f"batches got {split.kind.name} to augment; expected images or recordings. Leave augment out"
        )
    if not 0 <= part[0] < part[1]:
        raise RequestError(f"batches got part={part}; expected (rank, size) with a rank of 0 to size - 1")
    number = len(split) // (split.batch_size or batch_size) if drop_last else None

    def stream() -> Iterator[tuple[Tensor, Tensor]]:
        for stored, labels in islice(split.draw(batch_size, generator if shuffle else None, part), number):
            samples = stored.to(device or split.device, non_blocking=True).float()
            if split.kind.divisor != 1.0:
                samples = samples.div_(split.kind.divisor)
            if augment is not None and generator is not None:
                samples = augment(samples, generator)
            yield samples, labels.to(device or split.device, non_blocking=True)

    return stream()
