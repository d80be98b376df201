"""Feedback that is estimated from the output's response to noise."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from onchip.certificates import Claims
from onchip.errors import RequestError, require
from onchip.learning.centering import Centering
from onchip.learning.description import ErrorPath, FeedbackLearning
from onchip.learning.feedback.direct import MatrixFeedback, as_rows, product_at
from onchip.learning.noise import Noise
from onchip.nn.signals import Signal, expanded


class PerturbationFeedback(MatrixFeedback):
    """Matrices that track estimates of the output's derivative with respect to the input of each layer.

        h <- h + α z,   D <- λ D + w,   M <- M + w/D (1/(α T B) sum_t,b z õ^T - M),   w = α² T B

    Of padded sequences only their own steps are summed over, and their number takes the place of T B.
    An estimate has the weight w, the inverse of its variance, which stays right when α or the batch changes. While
    both are constant, M is a moving average with momentum λ and bias correction.

    Args:
        method: Name of the rule, for messages.
        scale: α, standard deviation of the noise, above 0.
        momentum: λ, factor on the weight of all earlier estimates, in [0, 1).
        noise: Distribution of the noise.
        centering: Centering of the output.
        quiet_after: Training steps after which there is neither noise nor an estimate; None for never.
        each_step: Whether to estimate per time step, as streams do, instead of per sequence.
        at_neurons: Whether to add the noise to the neurons' drive, and to send the errors to their spikes.
        grid: Side of the coarse grid on which noise for maps is drawn and feedback stored; None for all pixels.

    Raises:
        RequestError: A value is out of range.
    """

    perturbs = True
    through = "estimate"

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
        self._centering = centering
        self._quiet_after = quiet_after
        self._each_step = each_step
        self.at_neurons = at_neurons
        self._weight = 0.0
        self._added: dict[int, Tensor] = {}
        self._before: Tensor | None = None
        self._by_step: dict[int, Tensor] = {}

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        centering = self._centering
        noise = FeedbackLearning(
            "response to noise", 1.0 - self._momentum, over_batch=centering.over_batch, over_time=centering.over_time
        )
        return tuple(replace(path, learning=(noise, *path.learning)) for path in super().paths(above))

    @abstractmethod
    def estimate(self, like: Tensor, index: int, units: int) -> Tensor:
        """M (units, classes) of a layer, created at the first use, with the type of `like` (..., classes)."""

    def begin(self) -> None:
        if torch.is_grad_enabled():  # a pass without gradients must not change the state of a stream
            self._added.clear()
            self._by_step.clear()
            self._before = None
            super().begin()

    def receive(self, index: int, activity: Tensor) -> Tensor:
        if self._quiet_after is not None and self.steps >= self._quiet_after:
            return activity
        features = activity.shape[2:]
        seen = self.seen(features)
        corner = activity  # as large as the grid, with the activity's memory order
        for axis, size in enumerate(seen, start=2):
            corner = corner.narrow(axis, 0, size)
        added = self._added[index] = self._centering.noise(self._noise(corner))
        self.report_draws(index, added.numel(), stored=True)
        noise = added if seen == features else self.spread(index, "feedback_update", added, features)
        return activity.add(noise, alpha=self._scale)

    def at_drive(self, index: int, drive: Signal) -> Signal:
        # Noise at the drive of these neurons perturbs the input of the next layer.
        above = next((receiver for receiver in self.hidden if receiver > index), None)
        return drive if above is None or not self.at_neurons else self.receive(above, expanded(drive))

    def take_over(self, other: PerturbationFeedback, index: int) -> None:
        """Reuses the noise that another feedback has just added to the layer's input, if any."""
        if index in other._added:
            self._added[index] = other._added[index]

    def outcome(self, output: Tensor) -> None:
        if not self._added:
            return
        response_to_noise = self._centered(output)
        if self.present is not None:
            response_to_noise = response_to_noise * self.present.unsqueeze(2)
        centered = as_rows(response_to_noise, 2)
        steps, rows = (len(output), output.shape[1]) if self._each_step else (1, len(centered))  # estimates, and rows
        counts = self.ranks.total([rows] * steps if self.present is None else self._counts(self.present))
        shares = [self._share(count) for count in counts]
        for index, added in self._added.items():
            probes = as_rows(added, 2)
            matrix = self.estimate(output, index, probes.shape[1])
            estimates = []
            places = [slice(step * rows, (step + 1) * rows) for step in range(steps)]
            # The few classes as rows, not as columns: this product is then twice as fast.
            narrow = centered.to(probes.dtype)  # bfloat16, where the noise is added to activity in it
            responses = [(narrow[place].t() @ probes[place]).to(centered.dtype) for place in places]
            self.ranks.sum_(*responses)
            for share, count, response in zip(shares, counts, responses, strict=True):
                matrix.mul_(1.0 - share).add_(response.t(), alpha=share / (self._scale * max(count, 1)))
                if self._each_step:
                    estimates.append(matrix.clone())
            if estimates:
                self._by_step[index] = torch.stack(estimates)  # (T, n, classes)
            self.report_product(index, "feedback_update", product_at(matrix, probes, centered))
            self.report_released(index, added.numel())
        self._added.clear()

    def _centered(self, output: Tensor) -> Tensor:
        """The centered output, of samples of all processes where these are centered together."""
        if not self._centering.over_batch:
            before, self._before = self._before, output[-1].clone()
            return self._centering.center(output, before, self.present)
        whole, own = self.ranks.whole(output, 1)
        present = None if self.present is None else self.ranks.whole(self.present.to(torch.uint8), 1)[0].bool()
        before, self._before = self._before, whole[-1].clone()
        return self._centering.center(whole, before, present)[:, own]

    def _counts(self, present: Tensor) -> list[int]:
        """Rows that are no padding, per estimate."""
        return present.sum(1).tolist() if self._each_step else [int(present.sum())]

    def _share(self, rows: int) -> float:
        """Share of the next estimate, from that many rows, in the weight of all estimates."""
        if not rows:
            return 0.0
        weight = self._scale**2 * rows
        self._weight = self._momentum * self._weight + weight
        return weight / self._weight

    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        if not self._weight:
            raise RequestError(
                f"{self._method} has not probed the network yet, so there is no feedback; "
                "call model.train() before rule.forward"
            )
        return self._by_step[index] if index in self._by_step else self.estimate(error, index, units)

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self.steps, self._weight], dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        steps, self._weight = state.tolist()
        self.steps = int(steps)
