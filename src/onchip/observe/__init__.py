"""Observers: they look on while a rule works, and touch nothing."""

from onchip.observe.ledger import Ledger

__all__ = ["Ledger"]
