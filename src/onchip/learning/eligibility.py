"""Eligibility per synapse: one state for each synapse of a layer, which a stream carries from step to step."""

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from onchip.errors import MemoryLimitError
from onchip.learning.temporal.base import Temporal
from onchip.nn.graph import LayerGraph, SynapticLayer
from onchip.nn.neurons.base import SavedTensors

States = tuple[Tensor, ...]


def missing_states(graph: LayerGraph, temporal: Temporal) -> str | None:
    """Why a stream cannot keep a state for each synapse of a layer that needs one; None where it can."""
    readout = graph.layers[-1].neuron
    for depth, layer in enumerate(reversed(graph.layers)):
        neuron = layer.neuron
        if temporal.factorizes(neuron) and not (depth and temporal.filters(readout)):
            continue
        if layer.synapse.bare().spatial_axes or layer.synapse.groups != 1:
            return (
                f"layer {layer.name!r} shares weights over positions, and {type(neuron).__name__} neurons need one "
                "state per synapse and position; use rule.forward on whole sequences, or dense layers"
            )
        if neuron.learned():
            return (
                f"{type(neuron).__name__} after layer {layer.name!r} learns constants, which have no eligibility "
                "beside states of synapses; use rule.forward on whole sequences"
            )
    return None


class SynapseStates:
    """Eligibility ē of all synapses of a layer, of its recurrent connection and of its bias, for a stream.

        e[t] = d s[t] / d W through the neuron's own state,   ē[t] = κ ē[t-1] + e[t] per leaky filter κ of the read-out

    Args:
        layer: The layer, which is dense.
        filters: Leaky filters of the read-out.
    """

    def __init__(self, layer: SynapticLayer, filters: Sequence[float]) -> None:
        self._layer = layer
        self._filters = filters
        self._own: States | None = None
        self._filtered: list[Tensor] = []

    def advance(self, pre: Tensor, delayed: Tensor | None, activity: Tensor, saved: SavedTensors) -> Tensor:
        """ē (B, out, in + 1 + recurrent) at the next time step.

        Args:
            pre: Activity at the synapses, (1, B, in).
            delayed: Activity of the neurons one step earlier, (1, B, out), where they are recurrent; else None.
            activity: Their activity, (1, B, out).
            saved: From the forward pass of the neurons.

        Raises:
            MemoryLimitError: The states do not fit into memory.
        """
        neuron = self._layer.neuron
        local = neuron.backward_local(torch.ones_like(activity), saved.copy())[0]
        parts = [pre[0], torch.ones_like(pre[0, :, :1])] + ([] if delayed is None else [delayed[0]])
        inputs = torch.cat(parts, 1)
        if self._own is None:
            self._require_memory(inputs, local)
        eligible, self._own = neuron.eligibility(inputs, local, activity[0], self._own)
        for number, decay in enumerate(self._filters):
            if len(self._filtered) > number:
                eligible = torch.add(eligible, self._filtered[number], alpha=decay)
                self._filtered[number] = eligible
            else:
                self._filtered.append(eligible)
        return eligible

    @property
    def states(self) -> int:
        """Number of states that each synapse has."""
        states = [*(self._own or ()), *self._filtered]
        return sum(state.shape[1] > 1 for state in states)  # others are traces of the inputs, (B, 1, in)

    def numel(self) -> int:
        """Scalars that are carried from step to step."""
        return sum(state.numel() for state in (*(self._own or ()), *self._filtered))

    def _require_memory(self, inputs: Tensor, local: Tensor) -> None:
        states = 2 + len(self._filters)  # of a neuron such as ALIF, and one being computed
        needed = states * local.numel() * inputs.shape[1] * local.element_size()
        free = _free_memory(local.device)
        if needed > free:
            raise MemoryLimitError(
                f"a stream through layer {self._layer.name!r} needs a state per synapse and sample, "
                f"{len(local)} x {local.shape[1]} x {inputs.shape[1]}, together {_size(needed)}, and {_size(free)} are "
                "free; use a smaller batch, neurons whose eligibility is a presynaptic trace (LIF, CubaLIF), or "
                "rule.forward on whole sequences"
            )


def split(update: Tensor, inputs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the weights (out, in), the bias (out,) and the recurrent weights (out, out), from all in one."""
    return update[:, :inputs], update[:, inputs], update[:, inputs + 1 :]


def _free_memory(device: torch.device) -> float:
    """Bytes that can be had, or all there are where the system does not say; infinite where nothing says."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    with contextlib.suppress(OSError, ValueError, StopIteration):  # Linux counts the cache of files as available
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return 1024.0 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    pages = "SC_PHYS_PAGES"
    known = pages in getattr(os, "sysconf_names", {})
    return float(os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")) if known else math.inf


def _size(count: float) -> str:
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / 2**20:,.1f} MiB"
