"""What learning hardware makes of a rule: its update in the engine's grammar, the verdict, and an interpreter."""

from onchip.mapping.check import check, judge
from onchip.mapping.derivation import derive
from onchip.mapping.setting import Inputs, Setting, inputs_of
from onchip.mapping.verdict import Derivation, Reason, Verdict, Written

__all__ = [
    "Derivation",
    "Inputs",
    "Reason",
    "Setting",
    "Verdict",
    "Written",
    "check",
    "derive",
    "inputs_of",
    "judge",
]
