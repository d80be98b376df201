"""Recurrent connections: a second synapse, from a layer's neurons to themselves, one time step later."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
from onchip.kernels import buffers
from onchip.nn.neurons.base import Neuron, SavedTensors, State
from onchip.nn.signals import fold_time
from onchip.nn.synapses import LinearSynapse, Synapse


class Recurrent(nn.Module):
    """Neurons with a recurrent connection: their activity reaches them again one time step later.

        I[t] = W x[t] + V s[t-1]

    It stands where the neurons alone would, after the layer with the weights W.

    Args:
        recurrent: Layer with the weights V, whose output has the shape of its input, such as `nn.Linear(n, n)` or
            `nn.Conv2d(n, n, 3, padding=1)`.
        neuron: The neurons, which work in time steps, such as `LIF()`.

    Raises:
        UnsupportedError: The neurons cannot have a recurrent connection.

    Example:
        >>> from onchip.nn import LIF, Linear, Sequential
        >>> model = Sequential(Linear(4, 8), Recurrent(Linear(8, 8, bias=False), LIF()), Linear(8, 3))
        >>> model(torch.rand(5, 2, 4)).shape
        torch.Size([5, 2, 3])

    Reference: Bellec et al. 2020 (Nature Communications 11, 3625), Methods.
    """

    def __init__(self, recurrent: nn.Module, neuron: Neuron) -> None:
        super().__init__()
        if not isinstance(neuron, Neuron) or not neuron.recurs:
            raise UnsupportedError(
                f"Recurrent got {type(neuron).__name__} as neurons; expected neurons with a membrane over time steps, "
                "such as nn.LIF()"
            )
        self.recurrent = recurrent
        self.neuron = neuron


@dataclass(frozen=True)
class RecurrentProduct:
    """The forward product of a recurrent connection.

    Args:
        synapse: The map.
        weight: V, of the map's shape.
        bias: Its bias, or None.
        responses: Collects what it returns; None where that is not wanted.
    """

    synapse: Synapse
    weight: Tensor
    bias: Tensor | None
    responses: list[Tensor] | None = None

    def __call__(self, activity: Tensor) -> Tensor:
        """What activity (B, features...) adds to the drive of the next step, of the same shape.

        Raises:
            RequestError: The map changes the shape.
        """
        self.synapse.check("recurrent", activity.shape)
        returned = self.synapse.apply(activity, self.weight, self.bias)
        if returned.shape != activity.shape:
            raise RequestError(
                f"a recurrent connection got activity of shape {tuple(activity.shape[1:])} and returned "
                f"{tuple(returned.shape[1:])}; expected the same shape. For convolutions use padding"
            )
        if self.responses is not None:
            self.responses.append(returned)
        return returned

    @property
    def matrix(self) -> Tensor | None:
        """V where the product is a plain one with a matrix, so that it may be computed elsewhere; else None."""
        plain = type(self.synapse) is LinearSynapse and self.bias is None and self.responses is None
        return self.weight if plain else None


def recur(
    neuron: Neuron, drive: Tensor, product: RecurrentProduct, state: Any, last: Tensor | None
) -> tuple[Tensor, SavedTensors, State | None]:
    """Runs neurons over time with their own activity, one step earlier, added to their drive.

    Args:
        neuron: The neurons.
        drive: Drive from the layer below, (T, B, features...); overwritten.
        product: The recurrent product.
        state: State of the neurons after an earlier call; None at rest.
        last: Activity at the step before the first, (B, features...); None for none.

    Returns:
        The activity at the step before the first and at all T steps, (T + 1, B, features...); and as `Neuron.run`.

    Raises:
        RequestError: The recurrent product changes the shape of the activity.
    """
    if product.matrix is not None and product.matrix.shape == 2 * drive.shape[2:]:
        activities = _room(drive, last)
        done = neuron.run_recurrent(drive, product.matrix, state, activities)
        if done is not None:
            return activities, *done
    if last is None and product.bias is not None:
        last = torch.zeros_like(drive[0])
    activities, steps = torch.empty(0), []
    after: Any = state
    for t in range(len(drive)):
        before = activities[t] if t else last
        if before is not None:
            drive[t] += product(before)
        activity, saved, after = neuron.run(drive[t : t + 1], after, None)
        if t == 0:
            activities = _room(activity.expand(len(drive), *activity.shape[1:]), last)
        activities[t + 1] = activity[0]
        steps.append(saved)
    return activities, _joined(steps), after


def recur_back(neuron: Neuron, error: Tensor, saved: SavedTensors, synapse: Synapse, weight: Tensor) -> Tensor:
    """Error at the drive (T, B, features...) through time, the recurrent connection included.

    Args:
        neuron: The neurons.
        error: Error at the activity from the layers above, (T, B, features...).
        saved: From `recur`; used up.
        synapse: The map of the recurrent connection.
        weight: The weights through which errors go back, of the map's shape.
    """
    plain = type(synapse) is LinearSynapse and weight.shape == 2 * error.shape[2:] and weight.dtype == error.dtype
    delta = neuron.backward_recurrent(error, weight, saved) if plain else None
    if delta is not None:
        return delta
    step, deltas = neuron.adjoint(saved, cut=False), list(error)
    for t in range(len(error) - 1, -1, -1):
        if t + 1 == len(error):
            arrived = error[t]
        elif plain:
            arrived = torch.addmm(error[t], deltas[t + 1], weight)
        else:
            arrived = error[t] + synapse.backward_input(deltas[t + 1], weight, error.shape[1:])
        deltas[t] = step(t, arrived)
    return torch.stack(deltas)


class PlainRecurrence(torch.autograd.Function):
    """A recurrent layer's neurons and its recurrent product, as plain autograd sees them."""

    @staticmethod
    def forward(
        ctx: Any, drive: Tensor, weight: Tensor, bias: Tensor | None, synapse: Synapse, neuron: Neuron, *_: Tensor
    ) -> Tensor:
        product = RecurrentProduct(synapse, weight, bias)
        given = drive.clone(memory_format=torch.contiguous_format)
        activities, ctx.saved = recur(neuron, given, product, None, None)[:2]
        ctx.save_for_backward(activities[:-1], weight)
        ctx.synapse, ctx.neuron, ctx.biased = synapse, neuron, bias is not None
        return activities[1:]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        (arriving, weight), synapse, neuron = ctx.saved_tensors, ctx.synapse, ctx.neuron
        delta = recur_back(neuron, error, ctx.saved, synapse, weight)
        rows = fold_time(delta)
        for_weight = synapse.weight_grad(fold_time(arriving), rows)
        for_bias = synapse.bias_update(rows) if ctx.biased else None
        learned = (ctx.saved.values.pop(f"{name}_error") for name in neuron.learned())
        return delta, for_weight, for_bias, None, None, *learned


def _room(series: Tensor, last: Tensor | None) -> Tensor:
    """Room for the activity of a series (T, B, features...) after that of the step before it, None for 0."""
    step = series[0]
    room = buffers.empty((len(series) + 1, *step.shape), (step.numel(), *step.stride()), series)
    if last is None:
        room[0].zero_()
    else:
        room[0].copy_(last)
    return room


def _joined(steps: list[SavedTensors]) -> SavedTensors:
    """What the steps have saved, along time; of an initial state, the first step's."""
    names = steps[-1].values
    joined = {name: torch.cat([saved.values[name] for saved in steps]) for name in names if not _initial(name)}
    return SavedTensors(joined | {name: value for name, value in steps[0].values.items() if _initial(name)})


def _initial(name: str) -> bool:
    return name.startswith("initial_")
