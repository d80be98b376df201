"""NIR's own equations, written out by Euler's method from the definitions of its nodes: an oracle for what a file says.

Written from the docstrings of the package `nir` alone: τ dv/dt = (v_leak - v) + R I, a spike where v > v_threshold,
which sets v to v_reset. A node gets the sum over its edges; the way back of a cycle carries what its weights sent one
step ago: at the first step, what they send without input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

__all__ = ["simulated"]

Array = NDArray[np.float32]


def simulated(graph: Any, signal: Array, dt: float) -> Array:
    """The output (T, B, ...) of a `nir.NIRGraph` for a signal (T, B, features...), at time steps of `dt` seconds."""
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    back = _ways_back(graph)
    order = _order(graph, back)
    state: dict[str, list[Array]] = {name: [np.zeros((), np.float32)] * 2 for name in order}
    silence = {w: np.zeros((signal.shape[1], *graph.nodes[n].v_threshold.shape), np.float32) for w, n in back}
    sent = {w: NODES[kinds[w]](graph.nodes[w], value, [], dt) for w, value in silence.items()}
    output = []
    for step in signal:
        now: dict[str, Array] = {}
        for name in order:
            arriving = [now.get(start, sent.get(start)) for start, end in graph.edges if end == name]
            total = step if kinds[name] == "Input" else sum(value for value in arriving if value is not None)
            now[name] = NODES[kinds[name]](graph.nodes[name], np.asarray(total, np.float32), state[name], dt)
        sent = now
        output += [now[name] for name in order if kinds[name] == "Output"]
    return np.stack(output)


def _ways_back(graph: Any) -> set[tuple[str, str]]:
    """Weights that get their input from one node alone, and send to it alone; and that node."""
    after = {name: {end for start, end in graph.edges if start == name} for name in graph.nodes}
    before = {name: {start for start, end in graph.edges if end == name} for name in graph.nodes}
    return {(name, min(senders)) for name, senders in before.items() if len(senders) == 1 and senders == after[name]}


def _order(graph: Any, back: set[tuple[str, str]]) -> list[str]:
    """Nodes such that each comes after those that it waits for, which does not wait for weights on a way back."""
    waits = {name: {s for s, e in graph.edges if e == name and (s, e) not in back} for name in graph.nodes}
    done: list[str] = []
    while len(done) < len(waits):
        ready = [name for name, needed in waits.items() if name not in done and needed <= set(done)]
        assert ready, waits
        done += ready
    return done


def _leaky(value: Any, tau: Any, leak: Any, resistance: Any, current: Array, dt: Any) -> Array:
    return np.asarray(value + dt / tau * ((leak - value) + resistance * current), np.float32)


def _fired(node: Any, membrane: Array, state: list[Array]) -> Array:
    spikes = membrane > node.v_threshold
    state[0] = np.where(spikes, node.v_reset, membrane).astype(np.float32)
    return spikes.astype(np.float32)


def _lif(node: Any, current: Array, state: list[Array], dt: Any) -> Array:
    return _fired(node, _leaky(state[0], node.tau, node.v_leak, node.r, current, dt), state)


def _if(node: Any, current: Array, state: list[Array], dt: Any) -> Array:
    return _fired(node, np.asarray(state[0] + dt * node.r * current, np.float32), state)


def _li(node: Any, current: Array, state: list[Array], dt: Any) -> Array:
    state[0] = _leaky(state[0], node.tau, node.v_leak, node.r, current, dt)
    return state[0]


def _cuba_lif(node: Any, current: Array, state: list[Array], dt: Any) -> Array:
    state[1] = _leaky(state[1], node.tau_syn, 0.0, node.w_in, current, dt)
    return _fired(node, _leaky(state[0], node.tau_mem, node.v_leak, node.r, state[1], dt), state)


def _convolved(convolve: Callable[..., torch.Tensor]) -> Callable[..., Array]:
    def run(node: Any, maps: Array, state: list[Array], dt: Any) -> Array:
        def pair(value: Any) -> Any:
            return tuple(int(each) for each in np.reshape(value, -1))

        weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
        geometry = pair(node.stride), pair(node.padding), pair(node.dilation), int(node.groups)
        return convolve(torch.from_numpy(maps), weight, bias, *geometry).numpy()

    return run


def _pooled(node: Any, maps: Array, state: list[Array], dt: Any) -> Array:
    kernel, stride, padding = (tuple(map(int, value)) for value in (node.kernel_size, node.stride, node.padding))
    sums = F.avg_pool2d(torch.from_numpy(maps), kernel, stride, padding, divisor_override=1)
    whole = int(np.prod(kernel)) if type(node).__name__ == "AvgPool2d" else 1
    return (sums / whole).numpy()


def _flat(node: Any, maps: Array, state: list[Array], dt: Any) -> Array:
    start, end = (int(axis) % (maps.ndim - 1) + 1 for axis in (node.start_dim, node.end_dim))
    return maps.reshape(*maps.shape[:start], -1, *maps.shape[end + 1 :])


NODES: dict[str, Callable[..., Array]] = {
    "Input": lambda node, value, state, dt: value,
    "Output": lambda node, value, state, dt: value,
    "Linear": lambda node, value, state, dt: value @ node.weight.T,
    "Affine": lambda node, value, state, dt: value @ node.weight.T + node.bias,
    "Conv1d": _convolved(F.conv1d),
    "Conv2d": _convolved(F.conv2d),
    "AvgPool2d": _pooled,
    "SumPool2d": _pooled,
    "Flatten": _flat,
    "LIF": _lif,
    "IF": _if,
    "LI": _li,
    "CubaLIF": _cuba_lif,
}
"""What each node makes of its input (B, features...), its state, and dt."""
