"""The engine of learning rules, and the parts that a rule is composed of."""

from onchip.learning.coding.base import ErrorCode
from onchip.learning.coding.random_steps import RandomSteps
from onchip.learning.coding.real import RealErrors
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.feedback.base import DirectFeedback, Feedback, LayerwiseFeedback, LossSignals
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.feedback.local import FixedReadouts, LocalReadouts
from onchip.learning.feedback.stored import CopiedFeedback, RandomFeedback, StoredFeedback
from onchip.learning.feedback.summed import SummedFeedback
from onchip.learning.feedback.target import TargetProjection
from onchip.learning.feedback.transposed import TransposedFeedback
from onchip.learning.observers import FactorObserver, Observer, UpdateSink
from onchip.learning.rule import Rule
from onchip.learning.temporal.base import Temporal
from onchip.learning.temporal.coincidence import Coincidences, Counts
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.spike_timing import SpikeTiming
from onchip.learning.temporal.through_time import ThroughTime

__all__ = [
    "Coincidences",
    "CopiedFeedback",
    "Counts",
    "DirectFeedback",
    "ErrorCode",
    "FactorObserver",
    "Feedback",
    "FixedReadouts",
    "LayerwiseFeedback",
    "LocalReadouts",
    "LossSignals",
    "MatrixFeedback",
    "Observer",
    "Online",
    "RandomFeedback",
    "RandomSteps",
    "RealErrors",
    "Rule",
    "SpikeErrors",
    "SpikeTiming",
    "StoredFeedback",
    "SummedFeedback",
    "TargetProjection",
    "Temporal",
    "ThroughTime",
    "TransposedFeedback",
    "UpdateSink",
]
