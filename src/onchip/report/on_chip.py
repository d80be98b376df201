"""What the records of a comparison on a chip say of it: the verdict on each rule, and what the chip's bits cost."""

from collections.abc import Sequence

from onchip.report.summary import Spread, Summary
from onchip.runs.record import Record

__all__ = ["difference", "head", "verdict"]


def head(records: Sequence[Record]) -> str:
    """Head of the column of verdicts: the names of the chips."""
    names = dict.fromkeys(f"on {record.chip.get('name')}" for record in records if "verdict" in record.chip)
    return ", ".join(names) or "chip"


def verdict(summary: Summary) -> str:
    """The verdict on a rule; empty if it was not judged."""
    return ", ".join(dict.fromkeys(str(run.chip["verdict"]) for run in summary.runs if "verdict" in run.chip))


def difference(summary: Summary, summaries: Sequence[Summary]) -> Spread | None:
    """Test accuracy with the bits of a chip above that in full precision, in points, seed by seed; None for others."""
    exact = {
        (run.label, run.seed): run.test_accuracy
        for each in summaries
        for run in each.good
        if "verdict" in run.chip and not run.chip.get("bits")
    }
    points = tuple(
        100.0 * (run.test_accuracy - beside)
        for run in summary.good
        if "verdict" in run.chip and run.chip.get("bits") and run.test_accuracy is not None
        if (beside := exact.get((run.label, run.seed))) is not None
    )
    return Spread(points) if points else None
