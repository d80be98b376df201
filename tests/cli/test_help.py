"""`--help`: a page per command, its options in groups, and examples that the parser takes."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from onchip.cli import app
from onchip.cli.shared.examples import EXAMPLES

WIDTH, PAGE = 100, 72
"""Columns of a terminal, and lines of a page."""


def shown(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": str(WIDTH), "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


def commands(group: Any, *words: str) -> dict[str, Any]:
    """Every command below a group, by its words."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        inner = commands(command, *words, name) if hasattr(command, "commands") else {" ".join((*words, name)): command}
        found |= inner
    return found


COMMANDS = commands(typer.main.get_command(app))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_a_command_fits_a_page_and_ends_with_examples(name: str) -> None:
    lines = shown(*name.split(), "--help").splitlines()
    assert len(lines) <= PAGE
    assert max(map(len, lines)) <= WIDTH
    assert [line.strip() for line in lines if line.strip()][-len(EXAMPLES[name]) :] == list(EXAMPLES[name])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_examples_parse(name: str) -> None:
    for line in EXAMPLES[name]:
        words = shlex.split(line)
        arguments = words[words.index("onchip") + 1 + len(name.split()) :]
        assert words[words.index("onchip") + 1 :][: len(name.split())] == name.split()
        COMMANDS[name].make_context(name, arguments, resilient_parsing=False)


@pytest.mark.parametrize("name", ["compare", "train"])
def test_options_are_in_groups_and_rare_ones_wait_for_help_all(name: str) -> None:
    short, whole = (shown(name, option) for option in ("--help", "--help-all"))
    places = [short.index(f"─ {group} ") for group in ("Network", "Data", "Training", "Run")]
    assert places == sorted(places)
    for option in COMMANDS[name].params:
        assert option.opts[0] in whole
    assert "--weight-decay" not in short
    assert "[default: 0.9]" in short, "that of --momentum"


def test_the_first_page_has_all_commands_in_groups() -> None:
    page = shown("--help")
    for name in {name.split()[0] for name in COMMANDS}:
        assert f"│ {name} " in page
    assert page.index("Train and report") < page.index("compare") < page.index("What there is") < page.index("│ rules ")
