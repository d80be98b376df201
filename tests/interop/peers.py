"""Other programs that read a NIR file, and run it as their users would."""

from __future__ import annotations

import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

__all__ = ["PEERS"]


def _norse(path: Path, signal: Tensor) -> Tensor:
    """One sample at a time, because norse flattens the batch, too."""
    norse, nir = pytest.importorskip("norse.torch"), importlib.import_module("nir")

    def run(sample: Tensor) -> Tensor:
        network, state, out = norse.from_nir(nir.read(path, type_check=False), ignore_warnings=True), None, []
        for step in sample:
            activity, state = network(step, state)
            out.append(activity)
        return torch.stack(out)

    return _each(run, signal)


def _snntorch(path: Path, signal: Tensor) -> Tensor:
    """One sample at a time, because snnTorch flattens the batch, too."""
    peer, nir = pytest.importorskip("snntorch.import_nir"), importlib.import_module("nir")

    def run(sample: Tensor) -> Tensor:
        network, state, out = peer.import_from_nir(nir.read(path, type_check=False)), None, []
        for step in sample:
            activity, state = network(step, state)
            out.append(activity)
        return torch.stack(out)

    return _each(run, signal)


def _spikingjelly(path: Path, signal: Tensor) -> Tensor:
    peer = pytest.importorskip("spikingjelly.activation_based.nir_exchange.from_nir")
    nir = importlib.import_module("nir")
    network, state, out = peer.import_from_nir(nir.read(path, type_check=False)), None, []
    for step in signal:
        activity, state = network(step, state)
        out.append(activity)
    return torch.stack(out)


def _sinabs(path: Path, signal: Tensor) -> Tensor:
    """All time steps at once, (B·T, features...), as its layers take them."""
    peer, nir = pytest.importorskip("sinabs.nir"), importlib.import_module("nir")
    steps, samples = signal.shape[:2]
    network = peer.from_nir(nir.read(path, type_check=False), batch_size=samples, num_timesteps=steps)
    folded, _ = network(signal.transpose(0, 1).flatten(0, 1))
    unfolded: Tensor = folded.unflatten(0, (samples, steps)).transpose(0, 1)
    return unfolded


def _each(run: Callable[[Tensor], Tensor], signal: Tensor) -> Tensor:
    """The outputs of all samples (T, B, ...), each run on its own."""
    return torch.stack([run(sample) for sample in signal.unbind(1)], 1)


def _quietly(run: Callable[[Path, Tensor], Tensor]) -> Callable[[Path, Tensor], Tensor]:
    """Without the warnings, and the printing, of the other program."""

    def quiet(path: Path, signal: Tensor) -> Tensor:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            return run(path, signal)

    return quiet


PEERS: dict[str, Any] = {
    "norse": _quietly(_norse),
    "sinabs": _quietly(_sinabs),
    "snntorch": _quietly(_snntorch),
    "spikingjelly": _quietly(_spikingjelly),
}
"""By name: the output (T, B, ...) of a file's network for a signal (T, B, features...)."""
