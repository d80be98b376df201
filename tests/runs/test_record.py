from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from onchip.errors import DataError
from onchip.runs.record import Probe, Record, append, read, read_sound
from tests.examples import record


def unsealed(**changes: Any) -> dict[str, Any]:
    """Values of a record without their digest, as earlier versions wrote them."""
    values = {**json.loads(record().to_json()), **changes}
    del values["sha256"]
    return values


def test_a_record_survives_its_line() -> None:
    probed = record(probes=(Probe(3, {"1": {"cosine": 0.5, "norm_ratio": None}}),))
    for one in (record(), probed, record(accuracy=None), record(error="two\nlines\u2028and more")):
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
    with pytest.raises(DataError, match="format is 99"):
        Record.from_json(json.dumps(unsealed(format=99)))


def test_an_older_record_has_no_probes() -> None:
    values = unsealed()
    del values["probes"]
    assert Record.from_json(json.dumps(values)) == record()


@pytest.mark.parametrize(
    "wrong",
    [
        '"test_accuracy": "high"',
        '"test_accuracy": 1.5',
        '"test_accuracy": null',
        '"test_accuracy": NaN',
        '"status": "well"',
        '"label": 3',
        '"settings": []',
        '"label": "\\ud800"',
        '"seconds": -1',
        '"shape": 8',
        '"shape": ["a"]',
        '"ledger": {"steps": "10"}',
        '"ledger": {"steps": 1e999}',
        f'"ledger": {{"steps": {"9" * 400}}}',
        '"history": [{"epoch": 1}]',
        '"history": 7',
        '"unheard_of": 1',
    ],
)
def test_a_value_of_the_wrong_type_is_damage(wrong: str) -> None:
    line = json.dumps(unsealed())
    assert Record.from_json(line) == record()
    with pytest.raises(DataError, match="expected a record"):
        Record.from_json(line[:-1] + ", " + wrong + "}")  # the later of two equal keys counts


def test_a_value_that_changed_is_noticed() -> None:
    line = record().to_json()
    assert Record.from_json(line.replace(": ", ":")) == record(), "only values count, not how they are written"
    with pytest.raises(DataError, match="changed after it was written"):
        Record.from_json(line.replace('"test_accuracy": 0.5', '"test_accuracy": 0.9'))


@pytest.mark.parametrize("value", [[], None, {"a": 1}, "x" * 100_000])
def test_a_setting_is_one_plain_value(value: object) -> None:
    line = json.dumps(unsealed(settings={"net": value}))
    if isinstance(value, (list, dict)):
        with pytest.raises(DataError, match=r"\$.settings"):
            Record.from_json(line)
    else:
        assert Record.from_json(line).settings == {"net": value}


def test_sound_records_are_read_beside_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    lines = [record().to_json().encode(), b"\xff\xfe", b"[" * 100_000, record(seed=1).to_json().encode(), b'{"half']
    path.write_bytes(b"\n".join(lines))
    records, damaged = read_sound(path)
    assert records == [record(), record(seed=1)]
    assert [message.split(":")[0] for message in damaged] == [f"records.jsonl, line {n}" for n in (2, 3, 5)]
