"""Feedback through a matrix from the output to the input of each layer."""

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from onchip.certificates import Claims
from onchip.errors import RequestError, require
from onchip.kernels.trace import trace
from onchip.learning.description import ErrorPath, FeedbackLearning, Origin, Through
from onchip.learning.feedback.base import DirectFeedback, LossSignals
from onchip.learning.feedback.grid import coarse, from_grid, to_grid
from onchip.learning.observers import ProductKind
from onchip.nn.synapses import LinearSynapse
from onchip.nn.synapses.product import SynapticProduct


class MatrixFeedback(DirectFeedback):
    """Direct feedback g = F e with a matrix F (n, classes) for each layer that receives hidden activity.

    Args:
        grid: Side of the coarse grid on which feedback to maps is stored, at least 1; None for one number per pixel.

    Attributes:
        stem: Prefix of the names of the buffers or parameters that store the matrices.
        local: Whether the errors come from local read-outs F h_l instead of the output.
        kind: Kind of the product with F in reports.
        learned: Whether an optimizer trains the matrices; then they are parameters, empty until n is known.
        through: What the errors pass, for descriptions of the rule.
        decay: Weight decay of learned matrices, applied once per training step.
        steps: Number of training steps so far.

    Raises:
        RequestError: The side is out of range.
    """

    claims = Claims(
        separate_feedback=True,
        no_weight_transport=True,
        unshared_feedback=True,
        backward_unlocked=True,
        temporally_causal=True,
        online=True,
        batch_independent=True,
    )

    stem: ClassVar[str]
    local: ClassVar[bool] = False
    kind: ProductKind = "direct"
    learned: ClassVar[bool] = False
    through: ClassVar[Through] = "fixed weights"
    decay: float = 0.0
    steps: int = 0

    def __init__(self, grid: int | None = None) -> None:
        super().__init__()
        require(grid is None or grid >= 1, "feedback", "grid", grid, "a side of at least 1 number, or none")
        self._grid = grid
        self._decayed: set[str] = set()
        self._traces: dict[int, list[Tensor]] = {}

    @abstractmethod
    def matrix(self, error: Tensor, index: int, units: int) -> Tensor:
        """F (n, classes) of one layer, or (T, n, classes) where it changes with time; created by the first call.

        Args:
            error: e at the output, (T, B, classes) or (B, classes).
            index: Index of the layer, at least 1.
            units: n, size of the layer's input per time step and sample, on the grid if there is one.
        """

    def sends(self, signals: LossSignals, index: int) -> Tensor:
        """What F is multiplied with, (T, B, classes) or (B, classes): the error at the output or at the read-out."""
        return signals.local[index] if self.local else signals.sent

    def back(self, error: Tensor, index: int, units: int) -> Tensor:
        """The matrix through which an error reaches the layer: `matrix` itself, unless a read-out has another."""
        return self.matrix(error, index, units)

    def paths(self, above: Sequence[int]) -> tuple[ErrorPath, ...]:
        learning = (FeedbackLearning("error times activity", self.decay, optimizer=True),) if self.learned else ()
        tensors = tuple(name for index in above for name in self.names(index))
        origin: Origin = "local read-out" if self.local else "output error"
        return (ErrorPath(origin, self.through, learning=learning, tensors=tensors),)

    def names(self, index: int) -> tuple[str, ...]:
        """Names of the stored matrices of a layer in the state."""
        return (f"{self.stem}{index}",)

    def seen(self, features: torch.Size) -> torch.Size:
        """Shape of a layer's input, reduced to the grid."""
        return coarse(features, self._grid)

    def attach(self) -> None:
        last = self.layers[-1].weight
        for index in self.hidden if self.learned else ():
            self.register_parameter(f"{self.stem}{index}", nn.Parameter(last.new_empty(0, len(last))))

    def begin(self) -> None:
        if torch.is_grad_enabled():  # a pass without gradients must not change the state of a stream
            self._traces.clear()

    def learn(self) -> None:
        for name, matrix in self.named_parameters():
            # Gradients are added up over processes, and weights decay once.
            if self.decay and matrix.grad is not None and name not in self._decayed and self.ranks.first:
                self._decayed.add(name)
                matrix.grad.add_(matrix, alpha=self.decay)

    def step(self) -> None:
        self._decayed.clear()
        self.steps += 1

    def readout(self, index: int, activity: Tensor, classes: int) -> Tensor | None:
        if not self.local:
            return None
        features = activity.shape[2:]
        seen = self.seen(features)
        if seen != features:
            self.report_transform(index, "readout", activity, seen)
            activity = to_grid(activity, seen)
        rows = as_rows(activity, 2)
        # The matrix has the weights' type, whichever the activity is of.
        matrix = self.matrix(self.layers[-1].parameter.new_empty(1, 1, classes), index, rows.shape[1])
        self.report_product(index, "readout", product_at(matrix, pre=rows))
        return (rows.to(matrix.dtype) @ matrix).unflatten(0, activity.shape[:2])

    def project(self, signals: LossSignals, index: int, activity: Tensor) -> Tensor:
        error = signals.local[index] if self.local else signals.error
        sent = self.sends(signals, index)
        features = activity.shape[error.dim() - 1 :]
        seen = self.seen(features)
        matrix = self.back(error, index, math.prod(seen))
        # The few classes as rows in memory: this product is then three times as fast.
        back = matrix.mT.to(activity.dtype).contiguous()
        projected = sent.to(activity.dtype) @ back  # (..., classes) -> (..., n)
        self.report_product(index, self.kind, product_at(matrix, post=sent.flatten(0, -2)))
        if self.learned:
            rows, sent = as_rows(self._factor(index, activity), error.dim() - 1), error.flatten(0, -2)
            # (classes, n), and then to the grid, because classes are fewer than samples
            update = (sent.t().to(rows.dtype) @ rows).to(matrix.dtype)
            self.report_product(index, "feedback_update", product_at(update.t(), rows, sent))
            if seen != features:
                maps = _as_maps(update, features)
                update = as_rows(to_grid(maps, seen), 1)
                if self.ranks.first:  # of a sum over samples, which every process has
                    self.report_transform(index, "feedback_update", maps, seen)
            update = update.t().contiguous()
            matrix.grad = update if matrix.grad is None else matrix.grad + update
        if len(features) < 3:
            return projected.view(activity.shape)
        return self.spread(index, self.kind, _as_maps(projected, seen), features)

    def _factor(self, index: int, activity: Tensor) -> Tensor:
        """What the update of learned matrices multiplies by the error, so that it equals that of the read-out."""
        last, before = [], self._traces.get(index)
        for number, decay in enumerate(() if self.local else self.readout_decays()):
            activity = trace(activity, decay, None if before is None else before[number])
            last.append(activity[-1])
        self._traces[index] = last
        return activity

    def spread(self, index: int, kind: ProductKind, coefficients: Tensor, features: torch.Size) -> Tensor:
        """Maps (..., C, H, W) of coefficients (..., C, h, w) on the grid; unchanged without a grid."""
        self.report_transform(index, kind, coefficients, features)
        return from_grid(coefficients, features)

    def report_transform(self, index: int, kind: ProductKind, maps: Tensor, size: torch.Size) -> None:
        """Reports the products that transform maps (..., C, H, W) to the grid or back, per side."""
        if not self.observers:
            return
        for axis in (-2, -1):
            if maps.shape[axis] != size[axis]:
                rows = maps.movedim(axis, -1).flatten(0, -2)
                basis = LinearSynapse(maps.shape[axis], size[axis])
                product = SynapticProduct(basis, rows.shape, torch.Size((len(rows), size[axis])), pre=rows)
                self.report_product(index, kind, product)
                target = torch.Size((*maps.shape[-3:axis], size[axis], *maps.shape[axis:][1:]))
                maps = from_grid(maps, target) if size[axis] > maps.shape[axis] else to_grid(maps, target)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        # torch's hook for tensors whose shape is not known before loading
        device = self.layers[0].weight.device
        for key, value in state_dict.items():
            name = key.removeprefix(prefix)
            if name in self._parameters:
                _reshape(self.get_parameter(name), value.shape)
            elif name.startswith(self.stem) and not self.learned:
                self.register_buffer(name, torch.empty_like(value, device=device))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def name_of(self, index: int) -> str:
        """Name of a layer, for messages."""
        return self.layers[index].name

    def initialize(self, matrix: Tensor) -> Tensor:
        """Sets the values of a new matrix (n, classes), in place; by default they are drawn from U(-1/√n, 1/√n)."""
        bound = 1.0 / math.sqrt(len(matrix))
        return matrix.uniform_(-bound, bound)

    def stored_matrix(
        self,
        method: str,
        index: int,
        units: int,
        like: Tensor,
        *,
        suffix: str = "",
        draw: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The matrix (units, classes) of a layer, a parameter or a buffer, created at the first use.

        Args:
            method: Name of the rule, for messages.
            index: Index of the layer, at least 1.
            units: n, as in `matrix`.
            like: A tensor of the matrix's type, (..., classes).
            suffix: End of the name of a second matrix of the same layer.
            draw: Sets the first values of a matrix, in place; `initialize` if None.

        Raises:
            RequestError: The matrix was loaded from a state of another shape.
        """
        name, shape = f"{self.stem}{index}{suffix}", torch.Size((units, like.shape[-1]))
        if self.learned and not len(self.get_parameter(name)):
            _reshape(self.get_parameter(name), shape)
            with self.ranks.alike():
                (draw or self.initialize)(self.get_parameter(name))
        elif not self.learned and name not in self._buffers:
            with self.ranks.alike():
                self.register_buffer(name, (draw or self.initialize)(like.new_empty(shape)))
        matrix = self.get_parameter(name) if self.learned else self.get_buffer(name)
        if matrix.shape != shape:
            raise RequestError(
                f"{method} has feedback weights {tuple(matrix.shape)} for layer {self.name_of(index)!r}, which "
                f"needs {tuple(shape)}; the loaded state or the image size belongs to another network"
            )
        return matrix


def as_rows(activity: Tensor, leading: int) -> Tensor:
    """Activity with 1 or 2 `leading` axes of time and batch as rows (N, n), with maps in (H, W, C) order."""
    if activity.dim() - leading == 3:
        activity = activity.movedim(-3, -1)
    return activity.reshape(math.prod(activity.shape[:leading]), math.prod(activity.shape[leading:]))


def _as_maps(rows: Tensor, features: torch.Size) -> Tensor:
    """Rows (..., n) with maps in (H, W, C) order as maps (..., C, H, W)."""
    channels, height, width = features
    return rows.unflatten(-1, (height, width, channels)).movedim(-1, -3)


def product_at(matrix: Tensor, pre: Tensor | None = None, post: Tensor | None = None) -> SynapticProduct:
    """The product at a matrix (..., n, classes) of rows (N, n) of activity, rows (N, classes) of errors, or both."""
    rows = next(len(operand) for operand in (pre, post) if operand is not None)
    units, classes = matrix.shape[-2:]
    return SynapticProduct(
        LinearSynapse(units, classes), torch.Size((rows, units)), torch.Size((rows, classes)), pre, post
    )


def _reshape(parameter: nn.Parameter, shape: torch.Size) -> None:
    """Changes a parameter's shape in place, so that an optimizer still refers to it; its values are undefined."""
    parameter.data = parameter.data.new_empty(shape)
    parameter.grad = None
