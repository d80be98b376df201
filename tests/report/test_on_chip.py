"""Comparisons on a chip in tables: verdicts, and differences that are taken seed by seed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onchip import report
from onchip.runs.record import Record
from tests.examples import record


def runs(accuracy: dict[tuple[str, int, bool], float | None], verdict: str = "faithful") -> list[Record]:
    """Records by rule, seed and whether they have the bits of the chip; None for a run that failed."""
    made = []
    for (rule, seed, bits), value in accuracy.items():
        facts = {"name": "loihi", "digest": "0", "verdict": verdict, "clauses": "", "bits": bits}
        one = record(rule, seed, 0.5 if value is None else value)
        failed = {"status": "failed", "error": "diverged", "test_accuracy": None} if value is None else {}
        made.append(replace(one, chip=facts, **failed))  # type: ignore[arg-type]
    return made


def column(records: list[Record], head: str) -> dict[str, str]:
    table = report.table(records)
    place = table.header.index(head)
    return {row[0]: row[place] for row in table.texts()}


def test_differences_are_taken_seed_by_seed() -> None:
    accuracy = {("dfa", 0, True): 0.80, ("dfa", 0, False): 0.85, ("dfa", 1, True): 0.90, ("dfa", 1, False): 0.91}
    shown = column(runs({**accuracy, ("dfa", 2, True): 0.2, ("dfa", 2, False): None}), "against full precision")
    assert shown == {"dfa, bits of loihi": "-3.00 ± 2.83", "dfa": ""}


def test_verdicts_are_in_a_column_named_after_the_chip() -> None:
    judged = runs({("dfa", 0, True): 0.8, ("dfa", 0, False): 0.9}) + runs({("bp", 0, False): 0.95}, "unsupported")
    assert column(judged, "on loihi") == {"dfa, bits of loihi": "faithful", "dfa": "faithful", "bp": "unsupported"}


def test_records_without_a_chip_have_no_such_columns() -> None:
    header = report.table([record("dfa", 0, 0.9)]).header
    assert not {"chip", "against full precision"} & set(header)


@pytest.mark.parametrize("chip", [{"name": "loihi", "digest": "0", "bits": True}, {}])
def test_a_run_with_bits_beside_no_other_is_shown_by_its_label(chip: dict[str, str | bool]) -> None:
    assert replace(record("dfa", 0, 0.9), chip=chip).title == "dfa"


def test_both_precisions_are_one_group_and_other_chips_another() -> None:
    both = runs({("dfa", 0, True): 0.8, ("dfa", 0, False): 0.9})
    both[0] = replace(both[0], settings={**both[0].settings, "synapses": "chip:loihi"})
    assert len(report.grouped(both)) == 1
    other = [replace(run, chip={**run.chip, "name": "other"}) for run in both]
    assert len(report.grouped([*both, *other])) == 2
    assert len(report.once(both)[0]) == 2
