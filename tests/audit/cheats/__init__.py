"""Feedback that reads forward weights and says that it does not: a class per way of doing so."""

from onchip.learning.feedback.base import Feedback

from . import conditions, direct, places, products

CHEATS: list[type[Feedback]] = [
    value
    for module in (places, products, conditions, direct)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Feedback) and value.__module__ == module.__name__
]
