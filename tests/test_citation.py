"""The files that say how the project is cited, and what changed in it, agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import onchip

ROOT = Path(__file__).parent.parent


def line(file: str, pattern: str) -> str:
    """What the group of a pattern is in the one line of a file that it fits."""
    (found,) = re.findall(pattern, (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


def test_the_citation_names_the_version_and_the_license_of_the_package() -> None:
    assert line("CITATION.cff", r"^version: (.+)$") == onchip.__version__
    assert line("CITATION.cff", r"^license: (.+)$") == line("pyproject.toml", r'^license = "(.+)"$')


def test_the_changelog_has_the_version() -> None:
    assert onchip.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
