"""A split as a stream of batches."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from onchip.data.split import Split
from onchip.errors import RequestError


def batches(
    split: Split,
    batch_size: int,
    *,
    generator: torch.Generator | None = None,
    augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    shuffle: bool = True,
    device: torch.device | str | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[Tensor, Tensor]]:
    """One pass over a split: images as floats, with their labels.

    Bytes are cut into batches on the split's device, moved to `device`, and only there divided by 255. For the
    fastest pass move the whole split first, `split.to(device)`. An equal generator gives equal batches.

    Args:
        split: (N, C, H, W) images, or (N, F, C, H, W) recordings, and their labels.
        batch_size: images per batch, B; the last batch has the remaining ones.
        generator: of the order and of `augment`; on any device, advanced by each pass. Needed for either.
        augment: (images, generator) -> images of the same shape, e.g. `Compose(Crop(4), Flip())`.
        shuffle: draw a new order, instead of the split's own.
        device: where the batches go; None for where the split is.
        drop_last: leave out a last batch of fewer than B.

    Yields:
        Images (B, C, H, W), or recordings (B, F, C, H, W), float32 in [0, 1], and labels (B,) int64.

    Raises:
        RequestError: batch_size below 1, no generator where one is needed, or recordings to augment; before the
            first batch.
    """
    if not isinstance(batch_size, int) or batch_size < 1:
        raise RequestError(f"batch_size={batch_size!r}; expected a whole number of images, at least 1")
    if generator is None and (shuffle or augment is not None):
        raise RequestError(
            "batches got no generator; expected one to shuffle or augment with. Pass "
            "generator=torch.Generator().manual_seed(seed), or shuffle=False and no augment"
        )
    if augment is not None and split.frames is not None:
        raise RequestError("batches got recordings to augment; expected images. Leave augment out")

    def stream() -> Iterator[tuple[Tensor, Tensor]]:
        n, order = len(split), None
        if shuffle and generator is not None:
            order = torch.randperm(n, generator=generator, device=generator.device).to(split.device)
        for start in range(0, n - n % batch_size if drop_last else n, batch_size):
            chosen = slice(start, start + batch_size)
            index = chosen if order is None else order[chosen]
            images = split.images[index].to(device or split.device, non_blocking=True).float().div_(255)
            labels = split.labels[index].to(device or split.device, non_blocking=True)
            if augment is not None and generator is not None:
                images = augment(images, generator)
            yield images, labels

    return stream()
