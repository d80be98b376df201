"""Records which rule trains which modules, because two rules on one module would undo each other's work."""

import weakref
from typing import Protocol

from torch import nn

from onchip.errors import RequestError


class Trainer(Protocol):
    """A named object that trains a network."""

    name: str


# Weak on both sides: no object is kept alive, and no rule owns a copied or pickled network.
_trainers: weakref.WeakKeyDictionary[nn.Module, weakref.ref[Trainer]] = weakref.WeakKeyDictionary()


def refuse_second(name: str, model: nn.Module) -> None:
    """Raises RequestError if a rule already trains a part of the network that rule `name` is to train."""
    for path, module in model.named_modules():
        reference = _trainers.get(module)
        rule = reference() if reference is not None else None
        if rule is not None:
            raise RequestError(
                f"{name}: {type(module).__name__} {path!r} is already trained by rule {rule.name!r}; "
                "call detach() on that rule first"
            )


def claim(trainer: Trainer, model: nn.Module) -> None:
    """Records that a rule trains all modules of a network."""
    for module in model.modules():
        _trainers[module] = weakref.ref(trainer)


def release(model: nn.Module) -> None:
    """Releases a network for another rule."""
    for module in model.modules():
        _trainers.pop(module, None)
