"""Two streams of torch's global random numbers: one that all processes share, and one of each process's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor

Stream = Literal["shared", "own"]
States = list[Tensor]
"""States of torch's generators: that of the CPU, then that of the current GPU if torch uses one."""


class RandomStreams:
    """Exchanges the states of torch's global generators, so that the same code can draw from either stream.

    The stream in use is `shared` until a block says otherwise. What draws once for all, as the first weights, masks of
    transports or the cells of a device do, is then equal in all processes; what draws per sample must not be.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> streams = RandomStreams()
        >>> streams.seed(7)
        >>> with streams.drawing("own"):
        ...     own = torch.rand(())
        >>> bool(torch.rand(()) == torch.rand((), generator=torch.Generator().manual_seed(0)))
        True
    """

    def __init__(self) -> None:
        self._now: Stream = "shared"
        self._other: States = []

    def seed(self, *seed: int) -> None:
        """Begins the process's own stream anew; call it outside of blocks."""
        number = int(np.random.SeedSequence([abs(part) for part in seed]).generate_state(1, np.uint32)[0])
        devices = ["cpu", *(["cuda"] if torch.cuda.is_initialized() else [])]
        self._other = [torch.Generator(device).manual_seed(number).get_state() for device in devices]

    @property
    def own(self) -> States:
        """States of the process's own stream, for a checkpoint; read it outside of blocks."""
        return self._other

    @own.setter
    def own(self, states: States) -> None:
        self._other = states

    @contextmanager
    def drawing(self, stream: Stream) -> Iterator[None]:
        """Draws from a stream while the block runs; such blocks may be inside of each other."""
        before = self._now
        self._use(stream)
        try:
            yield
        finally:
            self._use(before)

    def _use(self, stream: Stream) -> None:
        if stream == self._now:
            return
        uses_gpu = torch.cuda.is_initialized()
        now = [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if uses_gpu else [])]
        torch.set_rng_state(self._other[0])
        if uses_gpu and len(self._other) > 1:
            torch.cuda.set_rng_state(self._other[1])
        self._other, self._now = now, stream
