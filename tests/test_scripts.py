"""Every experiment and benchmark loads, so that the names that it imports exist."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [path for folder in ("experiments", "benchmarks") for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts_load_and_say_what_they_do(path: Path) -> None:
    names = runpy.run_path(str(path))
    assert names["__doc__"].strip().split("\n")[0].endswith((".", "?", ":"))
