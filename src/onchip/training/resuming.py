"""Runs that go on from a checkpoint."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import torch

from onchip.errors import CheckpointError, DataError
from onchip.learning.ranks import Ranks
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.training.run import Run


def restore(run: Run, config: RunConfig, path: Path) -> None:
    """Continue from a checkpoint, if the run has exactly its state afterwards."""
    ranks = run.ranks
    try:
        state = ranks.at_first(partial(checkpoint.load, path))
        _refuse_another_run(state.pop("spec", None), dataclasses.asdict(config))
        try:
            run.restore(state)
        except Exception as error:  # parts of torch raise whatever they stumble over
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(f"it does not fit the run ({reason:.200})") from error
        if _shared(run.state(), ranks) != _shared(state, ranks):
            raise DataError("it does not fit the run: some of its values are of other types or shapes")
    except DataError as error:
        raise CheckpointError(f"checkpoint {path.name} cannot be used: {error}; delete it to begin again") from error
    if config.threads is None:
        torch.set_num_threads(run.provenance[-1].threads)


def _shared(state: dict[str, Any], ranks: Ranks) -> str:
    """Digest of what does not depend on the number of processes."""
    left_out = {"ranks"} if ranks.size == 1 else {"ranks", "encoding"}
    return checkpoint.digest({name: value for name, value in state.items() if name not in left_out})


def _refuse_another_run(stored: object, expected: dict[str, Any]) -> None:
    if stored == expected:
        return
    if not isinstance(stored, dict) or stored.keys() != expected.keys():
        raise DataError("it is of a run with other settings than this version has")
    name = next(name for name in expected if stored[name] != expected[name])
    raise DataError(f"it is of another run: its {name} is {stored[name]!r:.40}, expected {expected[name]!r:.40}")
