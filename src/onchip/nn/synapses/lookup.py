"""Which synapse a torch layer has."""

from typing import TypeVar

from torch import nn

from onchip.errors import RequestError, UnsupportedError
from onchip.nn.synapses.base import Synapse

S = TypeVar("S", bound=Synapse)

_registered: dict[type[nn.Module], type[Synapse]] = {}


def register(synapse: type[S]) -> type[S]:
    """Makes networks accept the torch layers in `synapse.modules`; also usable as a class decorator.

    Args:
        synapse: a subclass of `Synapse` that has `modules` and `of`.

    Raises:
        RequestError: the class names no layers, or one that belongs to another synapse.
    """
    if not synapse.modules:
        raise RequestError(f"{synapse.__name__} has no `modules`; expected the torch layers that it describes")
    for module in synapse.modules:
        owner = _registered.setdefault(module, synapse)
        if owner is not synapse:
            raise RequestError(
                f"{synapse.__name__} got {module.__name__}, which belongs to {owner.__name__}; expected a layer type "
                f"of its own, such as a subclass of {module.__name__}"
            )
    return synapse


def is_synapse(module: nn.Module) -> bool:
    """Whether the module is a layer of plastic synapses that rules can train.

    Only registered types count, not their subclasses: those may compute something else.
    """
    return type(module) in _registered


def known_layers() -> str:
    """Names of the registered torch layers, for messages."""
    return ", ".join(module.__name__ for module in _registered)


def synapse_of(name: str, module: nn.Module) -> Synapse:
    """The bilinear map of a torch layer.

    Args:
        name: dotted path of the layer in its network, for messages.
        module: the layer.

    Raises:
        UnsupportedError: no registered synapse describes the layer, or it uses options that the synapse lacks.
    """
    if not is_synapse(module):
        raise UnsupportedError(f"{type(module).__name__} {name!r} is no synapse; expected one of {known_layers()}")
    return _registered[type(module)].of(name, module)
