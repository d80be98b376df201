"""The tables in docs/ are made from the records, and no run was recorded twice."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = sorted(path.stem for path in (ROOT / "experiments" / "records").glob("*.jsonl"))
TABLES = [name for name in EXPERIMENTS if not name.endswith("_tuning")]


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_in_the_docs_are_made_from_the_records(name: str) -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md"))
    for marker, table in importlib.import_module(name).tables().items():
        assert f"<!-- table: {marker} -->\n\n{table}\n\n<!-- end of table -->" in pages, (
            f"run `python experiments/{name}.py --table`"
        )


def test_every_table_in_the_docs_has_an_experiment() -> None:
    for path in (ROOT / "docs").glob("*.md"):
        markers = re.findall(r"<!-- table: (\w+) -->", path.read_text(encoding="utf-8"))
        # Sentences, and a second table of an experiment.
        markers = [marker.removesuffix("_found").removesuffix("_firing") for marker in markers]
        assert set(markers) <= {*EXPERIMENTS, "departures", "scan"}  # departures are measured anew, without records
