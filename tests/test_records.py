from __future__ import annotations

import json
from pathlib import Path

import pytest

from onchip.errors import DataError
from onchip.records import Record, append, read
from tests.examples import record


def test_a_record_survives_its_line() -> None:
    for one in (record(), record(accuracy=None), record(error="two\nlines\u2028and more")):
        line = one.to_json()
        assert "\n" not in line
        assert Record.from_json(line) == one


def test_records_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    assert read(path) == []
    records = [record(seed=seed) for seed in range(3)]
    for one in records:
        append(path, one)
    assert read(path) == records
    assert len(path.read_text().splitlines()) == 3


def test_names_the_line_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    append(path, record())
    path.write_text(path.read_text() + '{"format": 1}\n')
    with pytest.raises(DataError, match=r"records\.jsonl, line 2"):
        read(path)


def test_refuses_another_format() -> None:
    line = json.dumps({**json.loads(record().to_json()), "format": 99})
    with pytest.raises(DataError, match="format 99"):
        Record.from_json(line)
