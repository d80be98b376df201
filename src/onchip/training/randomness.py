"""Random numbers of a run: one seed, spread into streams that do not touch each other."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from onchip.runs.config import RunConfig
from onchip.training import registry

ORDER, ENCODING, EVALUATION, OWN = range(4)
"""Streams of random numbers that one seed is spread into; a rule's own draws touch none of them."""


@contextmanager
def own_randomness(config: RunConfig) -> Iterator[None]:
    """Seed torch for a run and set its threads, and leave the caller's state as it was."""
    device = registry.device(config.device)
    cudnn = torch.backends.cudnn
    before, threads = (cudnn.deterministic, cudnn.benchmark), torch.get_num_threads()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        cudnn.deterministic, cudnn.benchmark = True, False
        try:
            torch.manual_seed(config.seed)
            torch.set_num_threads(config.threads or threads)
            yield
        finally:
            torch.set_num_threads(threads)
            cudnn.deterministic, cudnn.benchmark = before


def spread(seed: int, stream: int, *rank: int) -> int:
    """A seed of its own for each stream, and each process but the first; torch's CPU generator uses 32 bits only."""
    own = rank if any(rank) else ()
    return int(np.random.SeedSequence((seed, stream, *own)).generate_state(1, np.uint32)[0])
