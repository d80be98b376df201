"""From what was asked for to the runs of a comparison: which rules there are, and which are left out."""

from dataclasses import replace

from onchip.data import Dataset
from onchip.runs.request import Request
from onchip.runs.sweep_config import SweepConfig
from onchip.training import on_chip
from onchip.training import sweep as comparison
from onchip.training.registry import distinct
from onchip.training.resolved import Given

__all__ = ["selected"]


def selected(asked: Request, data: Dataset, given: Given = Given()) -> tuple[SweepConfig, list[str]]:
    """The comparison that was asked for; and for each default rule that is left out, the reason.

    Args:
        asked: The request.
        data: The data set that it names.
        given: Objects in place of names.

    Raises:
        RequestError: A setting is wrong, or a rule is named twice.
        UnsupportedError: A chip cannot run a rule that was asked for.
    """
    sweep, left_out = _whole(asked, data, given)
    return replace(sweep, shard=asked.shard), left_out


def _whole(asked: Request, data: Dataset, given: Given) -> tuple[SweepConfig, list[str]]:
    """The same, for all parts of the comparison."""
    if asked.chip is not None:
        return on_chip.judged(asked, data, given)
    if asked.rules is not None:
        return asked.sweep(rule.label for rule in distinct(asked.rules)), []
    rules, left_out = comparison.trainable(asked.base, data, given)
    return asked.sweep(rules), left_out
