"""Online pseudo-zeroth-order training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from onchip.centring import Centring, LeaveOneOut
from onchip.claims import Claims
from onchip.errors import RequestError
from onchip.noise import Gaussian, Noise
from onchip.parts import Online
from onchip.parts.direct import Matrices, as_rows
from onchip.parts.local import LocalReadouts
from onchip.parts.summed import Summed
from onchip.rule import Rule

__all__ = ["opzo"]


def opzo(
    model: nn.Module,
    *,
    scale: float = 0.2,
    momentum: float = 0.999,
    noise: Noise = Gaussian(),
    centring: Centring = LeaveOneOut(),
    quiet_after: int | None = None,
    local: bool = False,
) -> Rule:
    """Online pseudo-zeroth-order training: one noisy forward pass estimates the feedback from the output.

        h_l <- h_l + α z_l
        M_l <- λ M_l + (1-λ) / (α T B) sum_t,b z_l õ^T,   g_l = M_l / (1 - λ^k) e

    z is noise of unit variance that is added to what each layer receives, õ the centred output, k the number
    of estimates so far. Traces stand in for a backward pass through time, as in `ottt`.

    Limit: on frozen weights M approaches the mean derivative of the output by h_l; in the last hidden layer
        the transposed read-out, and the update that of `ottt`.
    Cost: no weight is ever transported and no error passes from layer to layer; n_l · classes feedback
        weights a layer, one random number a neuron and step, and the products of the estimate.

    Args:
        model: a network of `onchip.nn` whose neurons have a state over time.
        scale: α, standard deviation of the noise, in units of a spike; above 0.
        momentum: λ, the share of the estimate kept from one sequence to the next, in [0, 1).
        noise: its distribution; `Gaussian()` by default.
        centring: how the output is centred; `LeaveOneOut()` by default.
        quiet_after: training steps after which no noise is added and the estimate stays; None for never.
        local: add the errors of local read-outs, as in `local_learning`; the loss is then of all `rule.outputs`.

    Raises:
        RequestError: a value out of range.
        UnsupportedError: neurons with spike times.

    Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), section 4.
    """
    feedback = Estimated(scale, momentum, noise, centring, quiet_after)
    return Rule(
        "opzo",
        model,
        feedback=Summed(feedback, LocalReadouts("opzo")) if local else feedback,
        temporal=Online(),
        trains=("steps",),
        claims=Claims(own_feedback=True, no_transport=True, direct=True, online=centring.streams),
    )


class Estimated(Matrices):
    """Feedback matrices estimated from noise by momentum."""

    stem = "estimate_"

    def __init__(
        self, scale: float, momentum: float, noise: Noise, centring: Centring, quiet_after: int | None
    ) -> None:
        super().__init__()
        if not 0.0 < scale < float("inf"):
            raise RequestError(f"opzo got scale={scale}; expected a standard deviation above 0")
        if not 0.0 <= momentum < 1.0:
            raise RequestError(f"opzo got momentum={momentum}; expected a share in [0, 1)")
        if quiet_after is not None and quiet_after < 1:
            raise RequestError(f"opzo got quiet_after={quiet_after}; expected at least 1 training step, or none")
        self._scale = scale
        self._momentum = momentum
        self._noise = noise
        self._centring = centring
        self._quiet_after = quiet_after
        self._steps = 0
        self._estimates = 0
        self._added: dict[int, Tensor] = {}
        self._before: Tensor | None = None

    def begin(self) -> None:
        self._added.clear()
        self._before = None

    def receive(self, index: int, activity: Tensor) -> Tensor:
        if self._quiet_after is not None and self._steps >= self._quiet_after:
            return activity
        self._added[index] = self._centring.noise(self._noise(activity))
        return activity.add(self._added[index], alpha=self._scale)

    def outcome(self, output: Tensor) -> None:
        if not self._added:
            return
        centred = as_rows(self._centring.centre(output, self._before), 2)
        self._before = output[-1].clone()
        self._estimates += 1
        for index, added in self._added.items():
            probes = as_rows(added, 2)
            rate = (1.0 - self._momentum) / (self._scale * len(probes))
            matrix = self._buffer(output, index, probes.shape[1])
            # The few classes as rows, not as columns: this product is then twice as fast.
            matrix.mul_(self._momentum).add_((centred.t() @ probes).t(), alpha=rate)
            self.tell_products(self._stages[index], "update", len(probes) * matrix.numel())
        self._added.clear()

    def matrix(self, error: Tensor, index: int, activity: Tensor) -> Tensor:
        if not self._estimates:
            raise RequestError(
                "opzo has not probed the network yet, so there is no feedback; call model.train() before rule.forward"
            )
        units = as_rows(activity, 2).shape[1]
        return self._buffer(error, index, units) / (1.0 - self._momentum**self._estimates)

    def learn(self) -> None:
        """The estimate has learnt from the output already."""

    def step(self) -> None:
        self._steps += 1

    def _buffer(self, like: Tensor, index: int, units: int) -> Tensor:
        name = f"{self.stem}{index}"
        if name not in self._buffers:
            self.register_buffer(name, like.new_zeros(units, like.shape[-1]))
        estimate = self.get_buffer(name)
        if estimate.shape != (units, like.shape[-1]):
            raise RequestError(
                f"opzo has an estimate of shape {tuple(estimate.shape)} for layer {self.name_of(index)!r}, which needs "
                f"{(units, like.shape[-1])}; the loaded state or the image size is another network's"
            )
        return estimate

    def get_extra_state(self) -> Tensor:
        return torch.tensor([self._steps, self._estimates])

    def set_extra_state(self, state: Tensor) -> None:
        self._steps, self._estimates = (int(count) for count in state)
