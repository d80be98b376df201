"""What processes must agree on before they train one network together."""

import hashlib
import platform
from typing import Any

import torch
from torch import Tensor

import onchip
from onchip import kernels
from onchip.data import Dataset, SampleSource, Split
from onchip.errors import RequestError
from onchip.learning.ranks import Ranks
from onchip.runs import provenance
from onchip.runs.sweep_config import SweepConfig

LOOKED_AT = 64
"""Samples of each split, evenly spread, whose content is compared."""


def refuse_differences(ranks: Ranks, sweep: SweepConfig, data: Dataset) -> None:
    """Compares settings, versions, code and data of all processes with those of the first one.

    Raises:
        RequestError: They differ; the message has the first difference, and is the same in all processes.
    """
    if ranks.size == 1:
        return
    first, *others = ranks.gather(_facts(sweep, data))
    for rank, facts in enumerate(others, start=1):
        for name in {**first, **facts}:
            if facts.get(name) != first.get(name):
                raise RequestError(
                    f"{name} of process {rank} is {facts.get(name)!r:.100}, of process 0 {first.get(name)!r:.100}; "
                    "expected the same in all processes that train one network. Start them with one command, on "
                    "machines with the same packages and data"
                )


def _facts(sweep: SweepConfig, data: Dataset) -> dict[str, Any]:
    """What is compared, by its name in messages; plain values."""
    splits = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return {
        **{f"the setting {name}": value for name, value in sweep.to_dict().items()},
        "the version of onchip": onchip.__version__,
        "the digest of the files of onchip": provenance.digest_of_files()[:16],
        "the version of torch": torch.__version__,
        "the version of Python": platform.python_version(),
        "the kind of kernels": kernels.active(sweep.base.device),
        **{f"the number of {name} samples": len(split) for name, split in splits.items()},
        **{f"the digest of the {name} samples": _digest(split) for name, split in splits.items()},
    }


def _digest(split: SampleSource) -> str:
    """Digest of all labels, and of some samples where they can be had without reading the others."""
    digest = hashlib.sha256(repr((split.kind.name, split.sample_shape)).encode())
    _add(digest, split.sample_labels)
    if isinstance(split, Split) and len(split):
        places = torch.linspace(0, len(split) - 1, min(LOOKED_AT, len(split)), dtype=torch.float64).long()
        _add(digest, split.stored[places.to(split.device)])
    return digest.hexdigest()[:16]


def _add(digest: Any, tensor: Tensor) -> None:
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
