"""docs/nir.md says what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from onchip import interop
from onchip.interop.readers import Reader
from tests.interop.test_readers import table

PAGE = (Path(__file__).parent.parent.parent / "docs" / "nir.md").read_text(encoding="utf-8")


def test_the_table_of_the_page_is_the_one_of_the_tests() -> None:
    assert table() in PAGE


@pytest.mark.parametrize("reader", interop.READERS.values(), ids=lambda reader: reader.name)
def test_readers_and_versions_are_those_of_the_profiles(reader: Reader) -> None:
    assert f"| `{reader.name}` | {reader.version} |" in PAGE


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec(PAGE.split("```python\n")[1].split("```")[0], {})
    assert "| lif | LIF(decay=0.5, threshold=1, reset='hard') | faithful | - |" in capsys.readouterr().out
