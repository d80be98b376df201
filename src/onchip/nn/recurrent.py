"""Recurrent connections: a second synapse, from a layer's neurons to themselves, one time step later."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from onchip.errors import RequestError, UnsupportedError
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
        As `Neuron.run`.

    Raises:
        RequestError: The recurrent product changes the shape of the activity.
    """
    if product.matrix is not None and product.matrix.shape == 2 * drive.shape[2:]:
        done = neuron.run_recurrent(drive, product.matrix, state, last)
        if done is not None:
            return done
    if last is None and product.bias is not None:
        last = torch.zeros_like(drive[0])
    steps: list[tuple[Tensor, SavedTensors]] = []
    after: Any = state
    for t in range(len(drive)):
        if last is not None:
            drive[t] += product(last)
        activity, saved, after = neuron.run(drive[t : t + 1], after, None)
        steps.append((activity, saved))
        last = activity[0]
    return torch.cat([activity for activity, _ in steps]), _joined([saved for _, saved in steps]), after


def recur_back(neuron: Neuron, error: Tensor, saved: SavedTensors, received: Callable[[Tensor], Tensor]) -> Tensor:
    """Error at the drive (T, B, features...) through time, the recurrent connection included.

    Args:
        neuron: The neurons.
        error: Error at the activity from the layers above, (T, B, features...).
        saved: From `recur`; used up.
        received: Error at the activity (B, features...) of a step, for the error at the drive of the next.
    """
    step, deltas = neuron.adjoint(saved, cut=False), list(error)
    for t in range(len(error) - 1, -1, -1):
        arrived = error[t] if t + 1 == len(error) else error[t] + received(deltas[t + 1])
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
        activity, ctx.saved = recur(neuron, given, product, None, None)[:2]
        ctx.save_for_backward(activity, weight)
        ctx.synapse, ctx.neuron, ctx.biased = synapse, neuron, bias is not None
        return activity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        activity, weight = ctx.saved_tensors
        synapse, neuron = ctx.synapse, ctx.neuron

        def received(delta: Tensor) -> Tensor:
            sent: Tensor = synapse.backward_input(delta, weight, activity.shape[1:])
            return sent

        delta = recur_back(neuron, error, ctx.saved, received)
        rows = fold_time(delta)
        for_weight = synapse.weight_grad(fold_time(delayed(activity, None)), rows)
        for_bias = synapse.bias_update(fold_time(delta)) if ctx.biased else None
        learned = (ctx.saved.values.pop(f"{name}_error") for name in neuron.learned())
        return delta, for_weight, for_bias, None, None, *learned


def delayed(activity: Tensor, before: Tensor | None) -> Tensor:
    """Activity (T, B, features...) one step later; `before`, (B, features...) or None for 0, comes first."""
    first = torch.zeros_like(activity[:1]) if before is None else before.unsqueeze(0)
    return torch.cat([first, activity[:-1]])


def _joined(steps: list[SavedTensors]) -> SavedTensors:
    """What the steps have saved, along time; of an initial state, the first step's."""
    names = steps[-1].values
    joined = {name: torch.cat([saved.values[name] for saved in steps]) for name in names if not _initial(name)}
    return SavedTensors(joined | {name: value for name, value in steps[0].values.items() if _initial(name)})


def _initial(name: str) -> bool:
    return name.startswith("initial_")
