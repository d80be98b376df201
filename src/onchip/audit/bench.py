"""The step that nothing disturbs, and what a disturbance made of it."""

import functools
from collections.abc import Collection

import torch
from torch import Tensor

from onchip.audit.setup import Setup
from onchip.audit.trial import Outcome, Trial, UpdateProduct, same
from onchip.audit.weights import named
from onchip.errors import RequestError
from onchip.nn.graph import SynapticLayer
from onchip.nn.signals import SignalKind


class Bench:
    """The undisturbed step, and what becomes of it.

    Args:
        setup: what trials share.

    Raises:
        RequestError: some layer gets no update, or one that is not finite; or one seed gives two results.
    """

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._drawn = torch.Generator().manual_seed(setup.seed)
        trial = Trial(setup)
        self.layers = trial.rule.layers
        self.base = trial.run()
        again = Trial(setup).run()
        if self.changed(again) or not same(again.feedback, self.base.feedback):
            raise RequestError(
                "two training steps from one seed differ although nothing was changed; expected `make` and `build` "
                "to start anew each time, and to draw from torch's global generator only"
            )
        for stage, update in zip(self.layers, self.base.updates, strict=True):
            weight = update.get("weight")
            if weight is None or not bool(torch.isfinite(weight).all()) or not bool(weight.any()):
                raise RequestError(
                    f"layer {stage.name!r} gets no update here, or none that is finite, so nothing can be told about "
                    "it; use more time steps, a larger batch, a shallower network or another seed"
                )

    @property
    def kind(self) -> SignalKind:
        """How the network's neurons exchange activity."""
        return self.layers[0].neuron.signal

    @property
    def timed(self) -> bool:
        """Whether the input runs over time steps."""
        return self.kind.over_time

    @property
    def axes(self) -> tuple[int, int]:
        """Planes or steps K, and samples B, that the rows of an update product are folded of."""
        shape = self.setup.signal.shape
        return (shape[0], shape[1]) if self.timed else (self.kind.parts, shape[0])

    def changed(self, outcome: Outcome) -> list[int]:
        """Layers whose update differs from the undisturbed one."""
        both = zip(outcome.updates, self.base.updates, strict=True)
        return [index for index, (got, expected) in enumerate(both) if not same(got, expected)]

    def named(self, layers: Collection[int]) -> str:
        """Names of layers, for a message."""
        return named(self.names, layers)

    @property
    def names(self) -> list[str]:
        """Names of the synaptic layers."""
        return [layer.name for layer in self.layers]

    def other_signal(self, *, steps: slice = slice(None), samples: slice = slice(None)) -> Tensor:
        """The input with some of its time steps or samples drawn anew."""
        signal = self.setup.signal.clone()
        part = signal[steps, samples] if self.timed else signal[samples]
        part.copy_(self.kind.random(part.shape, self._drawn))
        return signal

    def rows(self, factors: UpdateProduct) -> tuple[Tensor, Tensor]:
        """The factors with their rows unfolded, (K, B, R, features...) each, for R products of each step and sample.

        K = 1 where they are sums over time.
        """
        steps, samples = self.axes
        axes = (steps if self._by_step(factors) else 1, -1, samples)
        return factors.pre.unflatten(0, axes).movedim(1, 2), factors.credit.unflatten(0, axes).movedim(1, 2)

    def _by_step(self, factors: UpdateProduct) -> bool:
        """Whether the product has rows for each step of each sample, or several of each."""
        steps, samples = self.axes
        return len(factors.pre) % (steps * samples) == 0

    @functools.cached_property
    def separable(self) -> bool:
        """Whether every update is a sum over samples: the products that were made, and nothing else."""
        for stage, update in zip(self.layers, self.base.updates, strict=True):
            made = [
                factors
                for other, log in zip(self.layers, self.base.factors, strict=True)
                if other.module is stage.module  # a layer that the network uses twice
                for factors in log
            ]
            rows = {len(tensor) for factors in made for tensor in (factors.pre, factors.credit)}
            whole = len(rows) == 1 and (rows == {self.axes[1]} or self._by_step(made[0]))
            if not whole or not torch.equal(_trained(stage, [f.update for f in made]), update["weight"]):
                return False
        return True

    @functools.cached_property
    def by_step(self) -> bool:
        """Whether every update is a sum over steps, too."""
        return self.separable and all(self._by_step(factors) for log in self.base.factors for factors in log)

    def parts_changed(self, outcome: Outcome, part: tuple[slice, slice]) -> list[int]:
        """Layers in which the given steps and samples (two slices) add something else to the update."""
        changed = []
        for index, (got, expected) in enumerate(zip(outcome.factors, self.base.factors, strict=True)):
            pairs = [
                (one[part], other[part])
                for mine, theirs in zip(got, expected, strict=True)
                for one, other in zip(self.rows(mine), self.rows(theirs), strict=True)
            ]
            if not all(torch.equal(one, other) for one, other in pairs):
                changed.append(index)
        return changed


def _trained(stage: SynapticLayer, updates: list[Tensor]) -> Tensor:
    """The gradient at what an optimizer trains, from update products of W."""
    whole = functools.reduce(torch.add, updates)
    weight = stage.weight
    return whole if weight is stage.parameter else torch.autograd.grad(weight, stage.parameter, whole)[0]
