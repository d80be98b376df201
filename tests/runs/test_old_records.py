"""Committed records of format 1 read under the names of today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from onchip.runs.old_records import modernized
from onchip.runs.record import Record

FOLDER = Path(__file__).parents[2] / "experiments" / "records"
LINES = {
    path.name: [line for line in path.read_text(encoding="utf-8").splitlines() if json.loads(line).get("format") == 1]
    for path in sorted(FOLDER.glob("*.jsonl"))
}


@pytest.mark.parametrize("name", [name for name, lines in LINES.items() if lines])
def test_every_committed_record_reads(name: str) -> None:
    for line in LINES[name]:
        assert Record.from_json(line).format == 2


def test_old_names_become_new_ones() -> None:
    line = next(line for line in LINES["opzo.jsonl"] if '"centring": "leaveoneout"' in line)
    old = json.loads(line) | {"label": "opzo:centring=uncentred"}
    record = Record.from_json(json.dumps(old))
    assert record.options["centering"] == "leaveoneout"
    assert "centring" not in record.options
    assert record.label == "opzo:centering=uncentered"


def test_counts_of_old_ledgers_have_their_names_of_today() -> None:
    old = {"label": "fa", "options": {}, "settings": {}, "ledger": {"products_pull": 3, "update_wait_phases": 2.0}}
    assert modernized(old)["ledger"] == {"products_backward": 3, "update_locking_phases": 2.0}
