"""Neurons over time steps whose state leaks: their decays, and what autograd and tracers see of them."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from onchip.errors import RequestError, require
from onchip.kernels.tracing import traced
from onchip.nn.neurons.base import Adjoint, Drive, Neuron, SavedTensors
from onchip.nn.signals import TIME_STEPS, Static, expanded, tensor_of


class Leaky(Neuron):
    """Base of neurons over time steps that keep some states, (B, features...) each, which start at zero and decay.

    A decay is a number for the layer; or a tensor (features...) of one per neuron, where an axis of size 1, as in
    (C, 1, 1), stands for all neurons along it. Learned decays are kept in (0, 1) by a logistic function.
    """

    signal = TIME_STEPS

    decay_parameter: torch.nn.Parameter | None
    """What the logistic function of `decay` is taken of, where that is learned."""

    filters: ClassVar[tuple[str, ...]] = ("decay",)
    """Names of the decays through which a drive reaches the potential, one leaky filter after the other."""

    def __init__(self) -> None:
        super().__init__()
        self._decays: dict[str, float] = {}

    def _hold(self, name: str, decay: float | Tensor, *, learn: bool, below_one: bool = False) -> None:
        """Keeps a decay under its name, as a number, a buffer or a parameter; 1 is refused under `below_one`."""
        allowed = "[0, 1)" if below_one else "[0, 1]"
        of_layer = not isinstance(decay, Tensor) or decay.dim() == 0
        values = torch.as_tensor(decay, dtype=torch.float64)
        got = f"a tensor of shape {tuple(values.shape)}"
        require(values.numel() > 0, self, name, got, "a number, or one per neuron")
        for place, value in _first(values, (values < 0) | ~(values < 1 if below_one else values <= 1)):
            require(False, self, name + place, value, f"a number in {allowed}")
        if learn:
            for place, value in _first(values, (values == 0) | (values == 1)):
                require(False, self, name + place, value, "a number inside (0, 1) for it to be learnable")
        values = values.detach().to(torch.get_default_dtype())
        self._decays[name] = float(decay) if of_layer else torch.nan
        # Torch registers neither where the name is that of a class attribute.
        self.register_parameter(f"{name}_parameter", torch.nn.Parameter(torch.logit(values)) if learn else None)
        self.register_buffer(f"{name}_per_neuron", None if learn or of_layer else values.clone())

    def constant(self, name: str) -> float | Tensor:
        """A decay as it is now: a number, or one for each neuron, without a derivative."""
        parameter, per_neuron = getattr(self, f"{name}_parameter"), getattr(self, f"{name}_per_neuron")
        if parameter is not None:
            now = torch.sigmoid(parameter.detach())
            return now if now.dim() else now.item()
        return self._decays[name] if per_neuron is None else per_neuron

    def learned(self) -> dict[str, Tensor]:
        parameters = {name: getattr(self, f"{name}_parameter") for name in self._decays}
        return {name: torch.sigmoid(raw) for name, raw in parameters.items() if raw is not None}

    def decays(self) -> tuple[float, ...] | None:
        now = [self.constant(name) for name in self.filters]
        shared = [decay for decay in now if not isinstance(decay, Tensor)]
        return tuple(shared) if len(shared) == len(now) else None

    def eligibility(
        self, pre: Tensor, local: Tensor, activity: Tensor, before: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        vectors, after = pre.unsqueeze(1), []  # (B, 1, in), and (B, out, in) after decays that differ
        for number, name in enumerate(self.filters):
            if before is not None:
                vectors = vectors + per_row(self.constant(name)) * before[number]
            after.append(vectors)
        return local.unsqueeze(2) * vectors, tuple(after)

    def forward(self, drive: Drive) -> Tensor:
        """Activity (T, B, features...) from a drive (T, B, features...) or Static, from rest."""
        if traced():
            return self.unrolled(expanded(drive), None)
        steps = drive.steps if isinstance(drive, Static) else None
        activity: Tensor = _Run.apply(tensor_of(drive), self, steps, *self.learned().values())
        return activity

    def unrolled(self, drive: Tensor, returned: Callable[[Tensor], Tensor] | None) -> Tensor:
        self.check(drive)
        now = {name: self.learned().get(name) for name in self._decays}
        decays = {name: self.constant(name) if value is None else value for name, value in now.items()}
        states, activity = tuple(torch.zeros_like(drive[0]) for _ in range(self.states)), []
        sent = torch.zeros_like(drive[0])
        for current in drive.unbind():
            if returned is not None:
                current = current + returned(sent)
            sent, states = self.step(current, states, decays)
            activity.append(sent)
        return torch.stack(activity)

    @abstractmethod
    def step(
        self, current: Tensor, states: tuple[Tensor, ...], decays: dict[str, float | Tensor]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One time step in plain torch, for tracers.

        Args:
            current: Drive, (B, features...).
            states: The states after the step before.
            decays: The decays by name.

        Returns:
            Activity, (B, features...), and the states.
        """

    def backward_through_time(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return whole(self.adjoint(saved, cut=False), error)

    def backward_own_state(self, error: Tensor, saved: SavedTensors) -> Tensor:
        return whole(self.adjoint(saved, cut=True), error)

    def check(self, drive: Drive) -> None:
        """Raises RequestError unless decays per neuron fit the drive, (T, B, features...) or Static."""
        features = expanded(drive).shape[2:]
        for name in self._decays:
            raw, per_neuron = getattr(self, f"{name}_parameter"), getattr(self, f"{name}_per_neuron")
            shape = next((tuple(held.shape) for held in (raw, per_neuron) if held is not None), ())
            fits = len(shape) == len(features) and all(a in (1, b) for a, b in zip(shape, features, strict=True))
            if shape and not fits:
                raise RequestError(
                    f"{type(self).__name__} got {name} of shape {shape} and a drive of features {tuple(features)}; "
                    "expected one number for the layer, or a tensor of that shape, in which an axis may have size 1"
                )

    def _add_error(self, saved: SavedTensors, name: str, products: Tensor) -> None:
        """Adds to the error at a decay that is learned: products (..., B, features...), summed to the decay's shape."""
        error = products.sum_to_size(getattr(self, f"{name}_parameter").shape)
        before = saved.values.get(f"{name}_error")
        saved.values[f"{name}_error"] = error if before is None else before + error

    def _described(self, name: str) -> str:
        """A decay, for a printed layer."""
        now = self.constant(name)
        if not isinstance(now, Tensor):
            return f"{name}={now:g}"
        least, most = now.min().item(), now.max().item()
        return f"{name}={least:g} to {most:g}"


def per_row(decay: float | Tensor) -> float | Tensor:
    """A decay of the neurons of a dense layer, beside a matrix of its synapses (B, out, in)."""
    return decay.unsqueeze(1) if isinstance(decay, Tensor) else decay


def whole(adjoint: Adjoint, error: Tensor) -> Tensor:
    """A backward pass over all steps, one after the other."""
    return torch.stack([adjoint(t, error[t]) for t in reversed(range(len(error)))][::-1])


def _first(values: Tensor, wrong: Tensor) -> list[tuple[str, float]]:
    """The first wrong value with its place in brackets, or nothing; without data, nothing is wrong."""
    if values.device.type == "meta" or not bool(wrong.any()):
        return []
    place = [int(index) for index in wrong.nonzero()[0]]
    return [(f"[{', '.join(map(str, place))}]" if place else "", values[tuple(place)].item())]


class _Run(torch.autograd.Function):
    """A layer of such neurons as plain autograd sees it: gradients through time."""

    @staticmethod
    def forward(ctx: Any, drive: Tensor, neuron: Leaky, steps: int | None, *learned: Tensor) -> Tensor:
        ctx.neuron, ctx.steps, ctx.names = neuron, steps, list(neuron.learned())
        # `run` overwrites its drive, which here belongs to the caller.
        given: Drive = drive.clone() if steps is None else Static(drive, steps)
        activity, ctx.saved, _ = neuron.run(given, None, None)
        return activity

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.steps is None:
            delta = ctx.neuron.backward_through_time(error, ctx.saved)
        else:
            delta, _ = ctx.neuron.backward_sums(error, ctx.saved, [1.0] * ctx.steps, through_time=True)
        return delta, None, None, *(ctx.saved.values.pop(f"{name}_error") for name in ctx.names)
