from __future__ import annotations

import csv
import io

import pytest

from onchip import report
from tests.examples import record

BITS = {"transport_value_bits": 320, "transport_index_bits": 100}


def test_a_row_a_rule() -> None:
    records = [record(seed=0, accuracy=0.4), record(seed=1, accuracy=0.6), record("fa", accuracy=0.5)]
    made = report.table(records)
    assert made.header[:6] == ("rule", "test %", "validation %", "seeds", "Pareto", "weights transported / step")
    assert made.texts() == [
        ("bp", "50.00 ± 14.14", "40.00 ± 14.14", "2", "", "150", "1k", "500", "1.5k", "1k"),
        ("fa", "50.00", "40.00", "1", "yes", "100", "1k", "500", "1.5k", "1k"),
    ]


def test_failures_are_counted_and_named() -> None:
    records = [record(seed=0), record(seed=1, accuracy=None), record("fa", accuracy=None)]
    rows = report.table(records).texts()
    assert rows[0][3] == "1 of 2"
    assert rows[1] == ("fa", "-", "-", "0 of 1", "", "-", "-", "-", "-", "-")
    text = report.as_markdown(records)
    assert "- failed: bp, seed 1: it diverged" in text
    assert "- failed: fa, seed 0: it diverged" in text


def test_a_column_that_no_record_fills_is_left_out() -> None:
    assert "validation %" not in report.table([record(validation_accuracy=None)]).header
    assert report.table([record(accuracy=None)]).header == ("rule", "test %", "seeds")
    assert "bits transported / step" not in report.table([record()]).header


def test_bits_stand_beside_weights_and_older_records_have_none() -> None:
    made = report.table([record(), record("fbp", ledger={**record().ledger, **BITS})])
    column = made.header.index("bits transported / step")
    assert [row[column] for row in made.texts()] == ["-", "42"]


def test_the_columns_are_aligned() -> None:
    text = report.as_markdown([record(), record("fbp:period=100;transport=top:0.1"), record("a\nb|c")])
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert r"| a b\|c " in text


def test_names_stand_left_and_numbers_right() -> None:
    records = [record(), record("fbp:period=100;transport=top:0.1", accuracy=0.05)]
    lines = [line.strip("| ").split(" | ") for line in report.as_markdown(records).splitlines() if line.startswith("|")]
    heads, rule, *rows = lines
    assert [dashes[-1] for dashes in rule] == ["-"] + [":"] * (len(heads) - 1)
    assert rows[0][0].startswith("bp ")
    assert rows[1][1] == " 5.00".rjust(len(rule[1]))
    assert heads[1] == "test %".rjust(len(rule[1]))
    assert r"\begin{tabular}{l" + "r" * (len(heads) - 1) + "}" in report.as_latex(report.grouped(records))


def test_csv_has_every_digit() -> None:
    records = [
        record(seed=0, accuracy=1 / 3),
        record(seed=1, accuracy=0.5),
        record("fa", epochs=3, validation_accuracy=None),
    ]
    rows = list(csv.DictReader(io.StringIO(report.as_csv(report.grouped(records)))))
    assert [row["rule"] for row in rows] == ["bp", "fa"]
    assert float(rows[0]["test %"]) == pytest.approx((100 / 3 + 50) / 2, rel=1e-14)
    assert float(rows[0]["test %, sd"]) > 0
    assert rows[1]["test %, sd"] == ""
    assert rows[1]["validation %"] == ""
    assert rows[0]["runs"] != rows[1]["runs"]
    assert rows[0]["Pareto"] == "yes"


def test_latex_escapes_what_it_would_read() -> None:
    text = report.as_latex(report.grouped([record("r_1:a=50%;b={x}\\y")]))
    assert r"r\_1:a=50\%;b=\{x\}\textbackslash{}y & 50.00 &" in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r@", "\n-", " =", "＝"])
def test_no_text_in_csv_is_a_formula(start: str) -> None:
    hostile = f"{start}1+1;={start}cmd|' /C calc'!A0"
    ledger = {**record().ledger, f"energy_pj_{hostile}": -1e6}
    text = report.as_csv(report.grouped([record(hostile, network=hostile, data=hostile, ledger=ledger)]))
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows:
        for cell in row:
            for piece in cell.split(";"):
                assert piece.strip()[:1] not in (*"=+@＝", "-") or float(piece) < 0, cell
    energies = [number for number in rows[1] if number.startswith("-")]
    assert [float(number) for number in energies] == [-1e6 * 1e-6 / (2 * 100)], "numbers stay numbers"
