"""The files that say how the project is cited, and what changed in it, agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import onchip

ROOT = Path(__file__).parent.parent


def test_the_citation_names_the_version_and_the_license_of_the_package() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.+)$", text, re.MULTILINE)[1] == onchip.__version__  # type: ignore[index]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert (
        re.search(r"^license: (.+)$", text, re.MULTILINE)[1]
        == re.search(  # type: ignore[index]
            r'^license = "(.+)"$', project, re.MULTILINE
        )[1]
    )


def test_the_changelog_has_the_version() -> None:
    assert onchip.__version__ in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
