"""Which rule trains which modules: two at once would each undo what the other does."""

from __future__ import annotations

import weakref
from typing import Protocol

from torch import nn

from onchip.errors import RequestError

__all__ = ["claim", "refuse_second", "release"]


class Trainer(Protocol):
    """What trains a network, by name."""

    name: str


# Weak on both sides: it keeps nothing alive, and a copied or pickled network is free.
_trainers: weakref.WeakKeyDictionary[nn.Module, weakref.ref[Trainer]] = weakref.WeakKeyDictionary()


def refuse_second(name: str, model: nn.Module) -> None:
    """Raises RequestError if a rule trains a part of the network that one called `name` is to train."""
    for path, module in model.named_modules():
        holder = _trainers.get(module)
        rule = holder() if holder is not None else None
        if rule is not None:
            raise RequestError(
                f"{name}: {type(module).__name__} {path!r} is already trained by rule {rule.name!r}; "
                "call detach() on that rule first"
            )


def claim(trainer: Trainer, model: nn.Module) -> None:
    """Notes that a rule trains all of a network."""
    for module in model.modules():
        _trainers[module] = weakref.ref(trainer)


def release(model: nn.Module) -> None:
    """Frees a network for another rule."""
    for module in model.modules():
        _trainers.pop(module, None)
