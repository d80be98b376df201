"""Synapses that compute the network's own forward product with weights which nothing else can see."""

import sys
from collections.abc import Callable, Collection
from types import CodeType

from torch import Tensor

from onchip.learning.layer_call import LayerCall
from onchip.nn.recurrent import RecurrentProduct
from onchip.nn.synapses import Synapse
from onchip.nn.synapses.wrapper import SynapseWrapper

_ENGINE = frozenset(
    {
        "onchip.learning.engine",
        "onchip.learning.forward_pass",
        "onchip.learning.layer_call",
        "onchip.learning.recurrent_call",
        "onchip.learning.rule",
        "onchip.nn.graph",
        "onchip.nn.recurrent",
        "onchip.nn.signals",
    }
)
"""Modules through which the network's own forward pass comes to a synapse, apart from torch's."""


class DecoySynapse(SynapseWrapper):
    """A synapse whose visible weights may be decoys.

    Args:
        inner: The synapse that does the work.
        serve: Given the operand (N, in...), the visible weights, and whether this is the network's own forward
            product: the weights to use.
        made: Called with each gradient of the weights.
        begin: Code of the functions that begin a forward pass of the network.
    """

    def __init__(
        self,
        inner: Synapse,
        serve: Callable[[Tensor, Tensor, bool], Tensor],
        made: Callable[[Tensor], None],
        begin: Collection[CodeType],
    ) -> None:
        super().__init__(inner)
        self._serve = serve
        self._made = made
        self._begin = begin

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.inner.apply(x, self._serve(x, weight, _is_own_forward(self._begin)), bias)

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        update = self.inner.weight_grad(pre, delta)
        self._made(update)
        return update

    def field(self) -> tuple[Synapse, tuple[int, ...]]:
        inner, shape = self.inner.field()
        return DecoySynapse(inner, self._serve, self._made, self._begin), shape


def _is_own_forward(begin: Collection[CodeType]) -> bool:
    """Whether the caller of the synapse is the engine's forward product, with nothing of a rule's in between.

    A hook of the feedback that calls the synapse, the layer or the whole network is in the chain of callers, and its
    product is a read of the weights.
    """
    frame = sys._getframe(2)
    if frame.f_code not in _PRODUCTS:
        return False
    caller = frame.f_back
    while caller is not None and caller.f_code not in begin:
        module = str(caller.f_globals.get("__name__", ""))
        if module not in _ENGINE and module.partition(".")[0] != "torch":
            return False
        caller = caller.f_back
    return caller is not None


def _code_of_product() -> CodeType:
    nested = (const for const in LayerCall._run.__code__.co_consts if isinstance(const, CodeType))
    return next(code for code in nested if code.co_name == "product")


_PRODUCTS = (_code_of_product(), RecurrentProduct.__call__.__code__)
