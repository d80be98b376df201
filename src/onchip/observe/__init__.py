"""Observers: they look on while a rule works, and touch nothing."""

from onchip.observe.activity import Activity, activity
from onchip.observe.alignment import Alignment, alignment
from onchip.observe.audit import audit
from onchip.observe.factors import Factors
from onchip.observe.ledger import Ledger

__all__ = ["Activity", "Alignment", "Factors", "Ledger", "activity", "alignment", "audit"]
