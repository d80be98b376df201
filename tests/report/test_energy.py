"""Energies at the time of the report: what they contain, and what they name."""

from __future__ import annotations

import pytest

from onchip import report
from onchip.cost.energy import WORK, table
from onchip.errors import RequestError
from onchip.report.costs import COSTS
from onchip.report.energy import costs, unpriced, unpriced_lines
from onchip.report.summary import summarize
from onchip.runs.record import Record
from tests.examples import record

SAMPLES = 100 * 2
"""Samples of an epoch, epochs."""
COUNTS = {**record().ledger, **dict.fromkeys(WORK, 0), "acs_forward": 1000, "spikes": 10}


def run(rule: str = "bp", seed: int = 0, **ledger: float) -> Record:
    return record(rule, seed, ledger={**COUNTS, **ledger})


def test_energy_is_by_the_tables_that_records_name_and_the_first_has_a_column() -> None:
    found = costs([run(energy_pj_horowitz_45nm=5.0, energy_pj_loihi=7.0, energy_operations_pj_loihi=7.0)])[len(COSTS) :]
    assert [(cost.name, cost.column, cost.detail) for cost in found] == [
        ("energy-horowitz-45nm", "µJ / sample: arithmetic and memory (horowitz-45nm)", False),
        ("energy-loihi", None, True),
    ]
    assert found[1].axis == "energy of synapses and neurons with their spikes by loihi per training sample [µJ]"
    assert costs([run()]) == list(COSTS), "records that name none"


def test_tables_that_are_asked_for_have_the_columns() -> None:
    found = costs([run(energy_pj_loihi=7.0)], ["seneca", "odin"])[len(COSTS) :]
    assert [(cost.table, cost.column is not None, cost.detail) for cost in found] == [
        ("seneca", True, False),
        ("odin", True, False),
        ("loihi", False, True),
    ]
    with pytest.raises(RequestError, match="unknown hardware table 'abacus'"):
        costs([run()], ["abacus"])


def test_energy_is_computed_from_the_counts_whatever_was_recorded() -> None:
    one = run(acs_forward=6e8, macs_error=4e8, acs_update=1e9, energy_pj_loihi=1.0)
    seneca, loihi = costs([one], ["seneca"])[len(COSTS) :]
    assert seneca.of(one) == pytest.approx(2.8 * 1e9 * 1e-6 / SAMPLES)
    assert loihi.of(one) == pytest.approx((23.6 * 1e9 + 120 * 1e9 + 30.7 * 10) * 1e-6 / SAMPLES)


def test_runs_that_lack_a_count_with_a_price_have_no_energy() -> None:
    lacking = record("fa")
    (seneca,) = costs([run(), lacking], ["seneca"])[len(COSTS) :]
    assert seneca.of(run()) is not None
    assert seneca.of(lacking) is None
    assert seneca.of(record(history=())) is None
    shown = report.table([run(), lacking], hardware=["seneca"])
    assert [row[shown.names.index("energy")].text for row in shown.rows] == ["1.4e-05", "-"]


def test_one_column_never_mixes_prices_of_several_versions() -> None:
    """A record of an earlier version lacks a count: all runs keep the energies that were recorded."""
    newer = run(state_updates=5, energy_pj_horowitz_45nm=4e8)
    older = run("fa", energy_pj_horowitz_45nm=6e8)
    del older.ledger["state_updates"]
    (energy,) = costs([newer, older])[len(COSTS) :]
    assert [energy.of(one) for one in (newer, older)] == pytest.approx([4e8 * 1e-6 / SAMPLES, 6e8 * 1e-6 / SAMPLES])
    (alone,) = costs([newer])[len(COSTS) :]
    assert alone.of(newer) == pytest.approx(table("horowitz-45nm").energy(newer.ledger).total_pj * 1e-6 / SAMPLES)


def test_tables_of_others_keep_what_they_recorded_and_say_so() -> None:
    priced = {**record().ledger, "energy_pj_a_b": 4e8, "energy_pj_c": 1, "energy_operations_pj_a_b": 7}
    found = costs([record(), record(ledger=priced)])[len(COSTS) :]
    assert [(cost.name, cost.column) for cost in found] == [("energy-a-b", "µJ / sample (a-b)"), ("energy-c", None)]
    assert found[0].of(record(ledger=priced)) == pytest.approx(4e8 * 1e-6 / SAMPLES)
    assert found[0].of(record()) is None
    assert "a-b are as recorded: what they leave out is not known" in report.as_markdown([record(ledger=priced)])


def test_what_is_unpriced_is_named_with_its_rules() -> None:
    runs = [run(seed=0), run(seed=1, transport_value_bits=3), run("opzo", random_draws=7)]
    runs.append(record("fa", accuracy=None))
    summaries = summarize(runs)
    lines = unpriced(summaries, costs(runs, ["horowitz-45nm", "loihi"]))
    assert lines == [
        "Unpriced by horowitz-45nm, and in no sum: sending of spikes (all rules); random numbers (opzo).",
        "Unpriced by loihi, and in no sum: transport of weights (bp); random numbers (opzo).",
    ]
    assert unpriced_lines(table("loihi"), {"bp": ["random_draws"]}) == [
        "Unpriced by loihi, and in no sum: random numbers (bp)."
    ]
    assert unpriced_lines(table("loihi"), {"bp": [], "fa": []}) == []


def test_every_kind_of_table_names_what_its_energies_leave_out() -> None:
    runs = [run(random_draws=7, energy_pj_loihi=1.0), run("fa", energy_pj_loihi=1.0)]
    groups = report.grouped(runs)
    line = "Unpriced by loihi, and in no sum: random numbers (bp)."
    assert report.table(runs).unpriced == (line,)
    for text in (report.as_markdown(runs), report.as_csv(groups), report.as_latex(groups)):
        assert line in text
    page = report.page(groups)
    assert f'<p class="unpriced" data-column="energy-loihi">{line}</p>' in page
    without = report.as_markdown(runs, columns=["test"])
    assert "Unpriced" not in without, "no energy is shown"
    assert "Unpriced" not in report.as_markdown([record()])
