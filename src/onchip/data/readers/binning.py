"""Events to frames: how many events each cell had in each part of a recording."""

import numpy as np
from numpy.typing import NDArray

from onchip.data.readers.events import Events

MOST = 255
"""Events that are counted per cell and frame, those of a byte."""
MOST_FRAMES = 1000


def count_events(
    events: Events, frames: int, size: tuple[int, int], *, window: tuple[int, int] | None = None
) -> NDArray[np.int64]:
    """The number of events of each sign at each place in each frame.

        n[f, p, r, c] = number of events (x, y, p, t) with floor(F (t - begin) / (end - begin)) = f,
            floor(y R / H) = r and floor(x C / W) = c

    Args:
        events: At least one, in order of time.
        frames: F, the number of frames of equal length.
        size: (R, C), rows and columns of a frame, at most those of the sensor; each adds up the events of its pixels.
        window: (begin, end) of the first and last frame, µs; events after it count in the last. None: the time from
            the first event to the last.

    Returns:
        (F, 2, R, C).
    """
    height, width = events.sensor
    begin, end = window or (int(events.time[0]), int(events.time[-1]) + 1)
    frame = np.minimum((events.time - begin) * frames // (end - begin), frames - 1)
    rows, columns = size
    cell = ((frame * 2 + events.sign) * rows + events.y * rows // height) * columns + events.x * columns // width
    shape = (frames, 2, rows, columns)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


def stored(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Counts as bytes, for which 255 stands for all higher ones."""
    return np.minimum(counts, MOST).astype(np.uint8)
