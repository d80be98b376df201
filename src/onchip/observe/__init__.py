"""Observers: they look on while a rule works, and touch nothing."""

from onchip.observe.alignment import Alignment, alignment
from onchip.observe.ledger import Ledger

__all__ = ["Alignment", "Ledger", "alignment"]
