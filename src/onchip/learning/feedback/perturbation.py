"""Feedback that is estimated from the output's response to noise."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from onchip.certificates import Claims
from onchip.errors import RequestError, require
from onchip.learning.centering import Centering
from onchip.learning.feedback.direct import MatrixFeedback, as_rows, product_at
from onchip.learning.noise import Noise
from onchip.nn.signals import Signal, expanded

__all__ = ["PerturbationFeedback"]


class PerturbationFeedback(MatrixFeedback):
    """Matrices drawn towards estimates of the output's derivative by what each layer receives.

        h <- h + α z,   D <- λ D + w,   M <- M + w/D (1/(α T B) sum_t,b z õ^T - M),   w = α² T B

    An estimate counts by w, the inverse of its variance, so the weights stay right when α or the batch changes;
    while they do not, M is the moving average with momentum λ and its bias correction.

    Args:
        method: Name of the rule, for messages.
        scale: α, standard deviation of the noise, above 0.
        momentum: λ, the share kept of the weight of all estimates so far, in [0, 1).
        noise: its distribution.
        centering: how the output is centered.
        quiet_after: training steps after which there is neither noise nor an estimate; None for never.
        each_step: Make an estimate of each time step instead of one per sequence, as streams do.
        at_neurons: Add the noise to the neurons' drive, and send the errors to their spikes.
        grid: Side of the coarse grid on which noise to maps is drawn and its effect stored; None for all pixels.

    Raises:
        RequestError: a value out of range.
    """

    def __init__(
        self,
        method: str,
        scale: float,
        momentum: float,
        noise: Noise,
        centering: Centering,
        quiet_after: int | None,
        *,
        each_step: bool = False,
        at_neurons: bool = False,
        grid: int | None = None,
    ) -> None:
        super().__init__(grid)
        self.claims = Claims(
            separate_feedback=True,
            no_weight_transport=True,
            unshared_feedback=True,
            backward_unlocked=True,
            online=centering.streams,
        )
        require(0.0 < scale < math.inf, method, "scale", scale, "a standard deviation above 0")
        require(0.0 <= momentum < 1.0, method, "momentum", momentum, "a share in [0, 1)")
        quiet_valid = quiet_after is None or quiet_after >= 1
        require(quiet_valid, method, "quiet_after", quiet_after, "at least 1 training step, or none")
        self._method = method
        self._scale = scale
        self._momentum = momentum
        self._noise = noise
        self._centring = centering
        self._quiet_after = quiet_after
        self._each_step = each_step
        self.at_neurons = at_neurons
        self._weight = 0.0
        self._added: dict[int, Tensor] = {}
        self._before: Tensor | None = None
        self._course: dict[int, Tensor] = {}

    @abstractmethod
    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        """M (units, classes) of a layer, made at the first use.

        Args:
            like: A tensor of the matrix's type, (..., classes).
            index: Index of the layer, at least 1.
            units: Numbers that the layer receives per time step.
        """

    def begin(self) -> None:
        if torch.is_grad_enabled():  # a pass without gradients must not change what a stream carries on
            self._added.clear()
            self._course.clear()
            self._before = None

    def receive(self, index: int, activity: Tensor) -> Tensor:
        if self._quiet_after is not None and self.steps >= self._quiet_after:
            return activity
        features = activity.shape[2:]
        seen = self.seen(features)
        corner = activity  # of the grid's size, in the activity's order in memory
        for axis, size in enumerate(seen, start=2):
            corner = corner.narrow(axis, 0, size)
        added = self._added[index] = self._centring.noise(self._noise(corner))
        self.report_draws(index, added.numel(), stored=True)
        noise = added if seen == features else self.spread(index, "feedback_update", added, features)
        return activity.add(noise, alpha=self._scale)

    def at_drive(self, index: int, drive: Signal) -> Signal:
        # Noise at the drive of these neurons perturbs what the next layer receives.
        return self.receive(index + 1, expanded(drive)) if self.at_neurons and index + 1 < len(self.layers) else drive

    def take_over(self, other: PerturbationFeedback, index: int) -> None:
        """Estimates from the noise that another one has just added, if it has."""
        if index in other._added:
            self._added[index] = other._added[index]

    def outcome(self, output: Tensor) -> None:
        if not self._added:
            return
        centered = as_rows(self._centring.centre(output, self._before), 2)
        self._before = output[-1].clone()
        rows = output.shape[1] if self._each_step else len(centered)  # of an estimate
        shares = [self._share(rows) for _ in centered.split(rows)]
        for index, added in self._added.items():
            probes = as_rows(added, 2)
            matrix = self.estimate(output, index, probes.shape[1])
            course = []
            for share, outputs, noise in zip(shares, centered.split(rows), probes.split(rows), strict=True):
                # The few classes as rows, not as columns: this product is then twice as fast.
                answer = (outputs.t() @ noise).t()
                matrix.mul_(1.0 - share).add_(answer, alpha=share / (self._scale * rows))
                if self._each_step:
                    course.append(matrix.clone())
            if course:
                self._course[index] = torch.stack(course)  # (T, n, classes)
            self.report_product(index, "feedback_update", product_at(matrix, probes, centered))
            self.report_released(index, added.numel())
        self._added.clear()

    def _share(self, rows: int) -> float:
        """What the next estimate, of so many rows, counts beside all before it."""
        weight = self._scale**2 * rows
        self._weight = self._momentum * self._weight + weight
        return weight / self._weight

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        if not self._weight:
            raise RequestError(
                f"{self._method} has not probed the network yet, so there is no feedback; "
                "call model.train() before rule.forward"
            )
        if index in self._course:
            return self._course[index]
        return self.estimate(error, index, units)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.steps, self._weight], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        steps, self._weight = state.tolist()
        self.steps = int(steps)
