"""What README and docs/ tell readers to run, runs: every `onchip` command and every block of Python, page by page.

A block that cannot run here is marked on the page, by a comment before it that GitHub and the site do not show:

    <!-- needs: files of MNIST -->                         the whole block is left out
    <!-- takes: hours, in lines with vgg11 or resnet34 --> these lines of it are left out

Commands that train get a small share of the data for one epoch, and audits few training steps: `SMALL`. Blocks of
Python with `<!-- example: NAME -->` are run by the test that `EXAMPLES` names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from onchip import nn
from onchip.cli import app
from onchip.data import load
from tests.test_pages import PAGES, ROOT, commands

TRAINING = {"--epochs": "1", "--train-size": "20"}
SMALL = {
    "compare": {**TRAINING, "--seeds": "1"},
    "train": TRAINING,
    "audit": {"--span": "2"},
}
"""Options that commands get here, in the place of the same ones on the page."""

STAND_INS = {"mnist": "digits", "fashion-mnist": "digits", "cifar10": "digits"}
"""Data of the package in place of images that must be downloaded."""

EXAMPLES = {
    "docs/chips.md": "tests/test_page_runs.py",
    "docs/extending.md": "tests/test_extending.py",
    "docs/leaving.md": "tests/training/test_trained.py",
    "docs/your-own.md": "tests/test_your_own.py",
}
"""Pages with examples that a test of their own runs, and that test; of docs/your-own.md also the commands."""

BLOCK = re.compile(r"((?:<!-- [^\n]*? -->\n\s*)*)^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"<!-- example: (\w+\.\w+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (?:needs|takes): ([^\n]*?)(?:,? in lines with ([^\n]*?))? -->")


@dataclass(frozen=True)
class Step:
    """Something to run: the words of a command, or Python."""

    command: list[str] | None = None
    python: str = ""


def steps(page: Path) -> Iterator[Step]:
    """What a page tells readers to run, in its order, without what it marks."""
    for marks, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        found = MARK.findall(marks)
        if any(not lines for _, lines in found):
            continue
        left_out = [part for _, lines in found for part in lines.split(" or ")]
        if language == "python":
            if "<!-- example: " not in marks:
                yield Step(python=text)
            continue
        whole = text.replace("\\\n", " ")
        kept = [line for line in whole.splitlines() if not any(part in line for part in left_out)]
        yield from (Step(command=words) for words in commands("\n".join(kept)))


def small(command: list[str]) -> list[str]:
    """A command of a page as it runs here."""
    options = SMALL.get(command[0], {})
    kept: list[str] = []
    for word in command:
        before = kept[-1] if kept else ""
        kept.append(options.get(before, {"--data": STAND_INS.get(word, word), "--jobs": "1"}.get(before, word)))
    return [*kept, *(word for name, value in options.items() if name not in command for word in (name, value))]


def prepare(folder: Path) -> None:
    """Writes the files that commands name: those of examples with a file's name, and two pictures."""
    for page in PAGES:
        for name, text in FILE.findall(page.read_text(encoding="utf-8")):
            (folder / name).write_text(text, encoding="utf-8")
    (folder / "pictures").mkdir()
    for index, image in enumerate(load("digits").test.stored[:2]):
        Image.fromarray(image[0].numpy()).save(folder / "pictures" / f"{index}.png")


def run(page: Path) -> dict[str, Any]:
    """Runs what a page says in the folder where it is; returns the names that its Python leaves."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for step in steps(page):
        if step.command is None:
            exec(compile(step.python, str(page), "exec"), names)
            continue
        words = small(step.command)
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"onchip {' '.join(words)}\n{result.output}\n{result.exception!r}"
    return names


def of_readme(names: dict[str, Any], printed: str) -> None:
    assert isinstance(names["out"], Tensor)
    assert names["out"].shape == (6, 16, 10)
    assert "| opzo |" in printed
    assert isinstance(names["model"], nn.Sequential)
    trained = dict(names["rule"].detach().named_parameters())
    assert all(value.equal(trained[name]) for name, value in names["model"].named_parameters())


def of_start(names: dict[str, Any], printed: str) -> None:
    assert names["accuracy"] > 0.85


def of_devices(names: dict[str, Any], printed: str) -> None:
    assert "'cells': 159010, 'cell_writes': " in printed


def of_learning_group(names: dict[str, Any], printed: str) -> None:
    assert names["again"].rule.describe() == names["rule"].describe()
    assert names["again"].optimizer.param_groups[0]["momentum"] == 0.9


AFTERWARDS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "README.md": of_readme,
    "docs/start.md": of_start,
    "docs/devices.md": of_devices,
    "docs/learning-group.md": of_learning_group,
}
"""What must be true when a page has been run."""

NEEDS = {"docs/learning-group.md": "nir", "docs/nir.md": "nir", "README.md": "nir"}
"""Extras without which a page is skipped."""

RUN = [page for page in PAGES if page.name != "your-own.md" and any(steps(page))]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = page.relative_to(ROOT).as_posix()
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONCHIP_DATA", str(tmp_path / "data"))
    prepare(tmp_path)
    names = run(page)
    if name in AFTERWARDS:
        AFTERWARDS[name](names, capsys.readouterr().out)


def test_examples_have_a_test_of_their_own() -> None:
    pages = {page for page in PAGES if "<!-- example: " in page.read_text(encoding="utf-8")}
    assert {page.relative_to(ROOT).as_posix() for page in pages} == set(EXAMPLES)
    for name, test in EXAMPLES.items():
        assert Path(name).name in (ROOT / test).read_text(encoding="utf-8")


def test_marks_are_understood() -> None:
    for page in PAGES:
        for mark in re.findall(r"<!-- (?:needs|takes).*", page.read_text(encoding="utf-8")):
            assert MARK.fullmatch(mark), mark


def test_marks_leave_out_what_they_name(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    blocks = [
        "<!-- needs: data, in lines with a.py or vgg -->\n```sh\nonchip cost a.py\nonchip rules\nonchip cost vgg\n```",
        "<!-- takes: hours -->\n\n```python\n1 / 0\n```",
        "<!-- example: x -->\n```python\n1 / 0\n```",
        "```python\nx = 1\n```",
    ]
    page.write_text("\n".join(blocks) + "\n", encoding="utf-8")
    assert [step.command or step.python for step in steps(page)] == [["rules"], "x = 1\n"]


def test_commands_become_small() -> None:
    asked = ["train", "--data", "mnist", "--epochs", "9", "--jobs", "4"]
    assert small(asked) == ["train", "--data", "digits", "--epochs", "1", "--jobs", "1", "--train-size", "20"]
    assert small(["rules", "fbp"]) == ["rules", "fbp"]
