"""What a network and its gradients are doing, layer by layer."""

from onchip.diagnostics.activity import Activity, activity
from onchip.diagnostics.alignment import Alignment, alignment
from onchip.diagnostics.factors import FactorRecorder

__all__ = ["Activity", "Alignment", "FactorRecorder", "activity", "alignment"]
