"""Refusal of parameters that change between a forward pass and its backward pass."""

from collections.abc import Iterable

from torch import Tensor

from onchip.errors import RequestError
from onchip.nn.graph import SynapticLayer


class Unchanged:
    """The parameters of layers as they are at a forward pass, by autograd's own counters of changes in place.

    Args:
        layers: The layers of the network.
    """

    def __init__(self, layers: Iterable[SynapticLayer]) -> None:
        self._seen: list[tuple[str, Tensor, int]] = []
        for layer in layers:
            for part, where in ((layer.module, f"{layer.name!r}"), (layer.neuron, f"after {layer.name!r}")):
                for name, value in part.named_parameters():
                    if not value.is_inference():  # such tensors have no counter
                        self._seen.append((f"{name} of {type(part).__name__} {where}", value, value._version))

    def require(self, rule: str) -> None:
        """Raises RequestError if a parameter was changed in place since; `rule` is a name for the message."""
        for name, value, version in self._seen:
            if value._version != version:
                raise RequestError(
                    f"{rule}: {name} was changed in place between the forward pass and its backward pass, which "
                    "would mix two networks; call optimizer.step() only after rule.backward"
                )
