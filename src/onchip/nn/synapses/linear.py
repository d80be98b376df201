"""All-to-all connections."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.errors import RequestError
from onchip.kernels import sparse
from onchip.nn.synapses.base import Synapse


@final
@dataclass(frozen=True)
class LinearSynapse(Synapse):
    """All-to-all connections, y = W x + b with W (outputs, inputs): the map of `torch.nn.Linear`.

    Args:
        inputs: number of presynaptic neurons.
        outputs: number of postsynaptic neurons.
    """

    modules: ClassVar[tuple[type[nn.Module], ...]] = (nn.Linear,)

    inputs: int
    outputs: int

    @classmethod
    def of(cls, name: str, module: nn.Linear) -> Synapse:
        return cls(module.in_features, module.out_features)

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        drive = sparse.product(x, weight.t(), bias)
        return F.linear(x, weight, bias) if drive is None else drive

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        error = sparse.product(delta, weight)
        return delta @ weight if error is None else error

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        transposed = sparse.product(pre.t(), delta, transposed=True)  # (in, out)
        return delta.t() @ pre if transposed is None else transposed.t()

    def check(self, name: str, shape: torch.Size) -> None:
        if len(shape) != 2 or shape[1] != self.inputs:
            raise RequestError(
                f"Linear {name!r} got features of shape {tuple(shape[1:])}; expected ({self.inputs},). "
                "Put nn.Flatten() before it, or change its in_features"
            )

    def products(self, delta: torch.Size) -> int:
        return delta[0] * self.inputs * self.outputs

    def fan_out(self, inputs: torch.Size) -> Tensor:
        return torch.tensor(self.outputs)

    def fan_in(self, inputs: torch.Size) -> Tensor:
        return torch.tensor(self.inputs)

    def pairs(self, pre: Tensor, post: Tensor) -> int:
        return int((pre.sum(1) * post.sum(1)).sum())

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        return self, (self.inputs,)

    def one_output(self) -> Synapse:
        return replace(self, outputs=1)
