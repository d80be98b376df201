"""The examples of the README and of docs/ run, their links lead somewhere, and their commands parse."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from torch import Tensor

import onchip
from onchip import nn
from onchip.cli import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of every `onchip ...` command of a shell block."""
    joined = text.replace("\\\n", " ").replace("&&", "\n")
    words = [shlex.split(line, comments=True) for line in joined.splitlines()]
    return [line[1:] for line in words if line and Path(line[0]).name == "onchip"]


def test_the_readme_example_trains() -> None:
    names: dict[str, object] = {}
    exec(blocks(ROOT / "README.md", "python")[0], names)
    out, model = names["out"], names["model"]
    assert isinstance(out, Tensor)
    assert isinstance(model, nn.Sequential)
    assert out.shape == (6, 16, 10)
    assert all(p.grad is None for p in model.parameters()), "zero_grad was the last word on them"


def test_the_readme_compares_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"onchip": onchip}
    exec(blocks(ROOT / "README.md", "python")[1], names)
    assert "| opzo |" in capsys.readouterr().out
    assert isinstance(names["model"], nn.Sequential)
    trained = dict(names["rule"].detach().named_parameters())
    assert all(value.equal(trained[name]) for name, value in names["model"].named_parameters())


def test_the_example_of_devices_writes_cells(capsys: pytest.CaptureFixture[str]) -> None:
    exec(blocks(ROOT / "docs" / "devices.md", "python")[0], {})
    assert "'cells': 159010, 'cell_writes': " in capsys.readouterr().out


def test_the_example_of_the_learning_group_restores_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nir")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(blocks(ROOT / "docs" / "learning-group.md", "python")[0], names)
    assert names["again"].rule.describe() == names["rule"].describe()
    assert names["again"].optimizer.param_groups[0]["momentum"] == 0.9


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@every_page
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page, "python"):
        compile(block, page.name, "exec")


@every_page
def test_commands_parse(page: Path) -> None:
    inline = "\n".join(re.findall(r"`(onchip [a-z][^`.]*)`", page.read_text(encoding="utf-8").replace("\n", " ")))
    for line in commands("\n".join([*blocks(page, "sh"), inline])):
        options_exist(line)


def options_exist(line: list[str]) -> None:
    """Whether there are the command and the options that words name."""
    command, words = typer.main.get_command(app), line
    while words and hasattr(command, "commands"):
        name, *words = words
        assert name in command.commands, f"onchip has no command {name}"
        command = command.commands[name]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= known, f"{shlex.join(line)}: no option {', '.join(sorted(used - known))}"


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:python )?((?:src|tests|docs|experiments|benchmarks)/[\w/.-]+)", text))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert missing <= set(re.findall(r"Save it as `([\w/.]+)`", text))


def test_classes_in_the_glossary_exist() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    named = {name for name in re.findall(r"`(?:\w+\.)*([A-Z]\w+)`", text) if not name.isupper() or len(name) > 1}
    modules = [info.name for info in pkgutil.walk_packages(onchip.__path__, "onchip.")]
    known = {name for module in modules if "__main__" not in module for name in dir(importlib.import_module(module))}
    assert named <= known, named - known


@every_page
def test_dotted_names_exist(page: Path) -> None:
    for dotted in set(re.findall(r"`(onchip(?:\.\w+)+)", page.read_text(encoding="utf-8"))):
        try:
            pkgutil.resolve_name(dotted)
        except (ImportError, AttributeError):
            pytest.fail(f"{page.name} names {dotted}, which does not exist")
