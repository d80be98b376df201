"""run.json, records.jsonl of every format, options in TOML."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

from onchip import report
from onchip.cli.shared.config import read_config
from onchip.runs.config import RunConfig
from onchip.runs.record import Probe, Record, read, read_sound
from onchip.runs.request import combined
from onchip.runs.sweep_config import SweepConfig
from tests.examples import record
from tests.fuzz.mutants import check_all, damaged, odd, outcome

Count = Callable[[str, object], None]

SWEEP = SweepConfig(RunConfig(net="mlp", epochs=2), ("bp", "fbp:period=2;transport=top:0.5"), (0, 4))
RECORDS = [record(), record("fbp:period=2", 1, options={"period": 2}, probes=(Probe(3, {"1": {"cosine": 0.5}}),))]
LINES = "".join(one.to_json() + "\n" for one in RECORDS).encode()
VALUES = {name: value for name, value in json.loads(RECORDS[1].to_json()).items() if name != "sha256"}
OLD = {**VALUES, "format": 1, "options": {"centring": "uncentred"}, "ledger": {"products_pull": 3}}
TOML = b"""net = "mlp"
rules = ["bp", "fa"]
epochs = 3
lr = 1e-2
train-size = 50
augment = "crop:4,flip"
seeds = [0, 7]
"""


def test_a_damaged_run_json_is_refused(record_property: Count) -> None:
    def check(content: bytes) -> None:
        assert outcome(lambda: SweepConfig.from_json(content)) in (None, SWEEP)

    check_all(damaged(SWEEP.to_json().encode()), check, 120, record_property)


def test_an_odd_run_json_is_a_sweep_or_refused(record_property: Count) -> None:
    def check(values: object) -> None:
        sweep = outcome(lambda: SweepConfig.from_json(json.dumps(values)))
        if sweep is not None:
            assert SweepConfig.from_json(sweep.to_json()) == sweep
            outcome(sweep.runs)

    check_all(odd(SWEEP.to_dict()), check, 120, record_property)


def test_damaged_records_are_left_out_or_as_they_were(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"

    def check(content: bytes) -> None:
        path.write_bytes(content)
        sound, messages = read_sound(path)
        assert all(one in RECORDS for one in sound)
        assert all("\n" not in message for message in messages)
        assert outcome(lambda: read(path)) in (None, sound)
        gathered = outcome(lambda: report.gather([tmp_path]))
        assert gathered is None or all(one in RECORDS for one in gathered[0])

    check_all(damaged(LINES), check, 150, record_property)


def _groups(values: object) -> list[report.Group]:
    """Values that are a record beside another, if they are one."""
    line = json.dumps(values)
    one = outcome(lambda: Record.from_json(line))
    if one is None:
        return []
    assert Record.from_json(one.to_json()) == one
    return report.grouped(report.once([one, dataclasses.replace(RECORDS[0], label=one.label)])[0])


def _shown(values: object) -> None:
    groups = _groups(values)
    if not groups:
        return
    assert report.as_csv(groups)
    assert report.as_latex(groups)
    for group in groups:
        assert report.as_markdown(group.records, group.title)


def test_odd_records_without_a_digest_are_shown_or_refused(record_property: Count) -> None:
    check_all(odd(VALUES), _shown, 150, record_property)


def test_odd_records_are_drawn_or_refused(record_property: Count) -> None:
    check_all(odd(VALUES), lambda values: bool(report.page(_groups(values))), 25, record_property)


def test_odd_records_of_format_1_are_shown_or_refused(record_property: Count) -> None:
    check_all(odd(OLD), _shown, 100, record_property)


def test_damaged_options_are_a_request_or_refused(record_property: Count, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    known = [*RunConfig.__dataclass_fields__, "rules", "seeds"]

    def check(content: bytes) -> None:
        path.write_bytes(content)
        outcome(lambda: combined(read_config(path, known)))

    check_all(damaged(TOML), check, 100, record_property)
