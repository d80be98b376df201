"""What the README and the tutorial show is what happens."""

import re
import sys
import types
from pathlib import Path

import pytest
from torch import Tensor
from typer.testing import CliRunner

from onchip import nn, rules
from onchip.cli import app
from onchip.runs.record import read

ROOT = Path(__file__).parent.parent


def block(page: str) -> str:
    """The first Python block of a page."""
    found = re.search(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    assert found, page
    return found[1]


def test_the_readme_example_trains() -> None:
    names: dict[str, object] = {}
    exec(block("README.md"), names)
    out, model = names["out"], names["model"]
    assert isinstance(out, Tensor)
    assert isinstance(model, nn.Sequential)
    assert out.shape == (6, 16, 10)
    assert all(p.grad is None for p in model.parameters()), "zero_grad was the last word on them"


def test_the_example_of_devices_writes_cells(capsys: pytest.CaptureFixture[str]) -> None:
    exec(block("docs/devices.md"), {})
    assert "'cells': 159010, 'cell_writes': " in capsys.readouterr().out


def test_the_tutorials_rule_is_short_and_appears_by_its_export_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = block("docs/new-rule.md")
    assert len(source.splitlines()) <= 30
    module = types.ModuleType("onchip.rules.ternary")
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, "onchip.rules.ternary", module)
    monkeypatch.setattr(rules, "ternary", module.__dict__["ternary"], raising=False)
    monkeypatch.setattr(rules, "__all__", [*rules.__all__, "ternary"])
    words = "compare --rules bp,ternary:threshold=0.5 --net mlp --train-size 50 --epochs 1 --seeds 1 --steps 2"
    result = CliRunner().invoke(app, [*words.split(), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    labels = [record.label for record in read(tmp_path / "out" / "records.jsonl")]
    assert labels == ["bp", "ternary:threshold=0.5"]
    assert "ternary:threshold=0.5" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    listed = CliRunner().invoke(app, ["rules", "ternary"])
    assert "threshold" in listed.output
    assert "-1, 0 or 1" in listed.output
