from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import onchip
from onchip.runs import provenance
from onchip.runs.provenance import Code, code


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in the folder of a checkout that does not track it yet."""
    if shutil.which("git") is None:
        pytest.skip("there is no git")
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.setattr(provenance, "PACKAGE", folder)
    git(tmp_path, "init", "--quiet")
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_names_the_commit_and_whether_the_package_is_as_committed(package: Path) -> None:
    git(package, "add", ".")
    git(package, "commit", "--quiet", "--message", "a")
    commit = git(package, "rev-parse", "HEAD")
    assert code.__wrapped__() == Code(onchip.__version__, commit, clean=True)
    (package.parent / "runs").touch()
    assert code.__wrapped__().clean, "results beside the package do not change it"
    (package / "new.py").touch()
    assert code.__wrapped__() == Code(onchip.__version__, commit, clean=False)


def test_the_version_is_that_of_the_tag(package: Path) -> None:
    git(package, "add", ".")
    git(package, "commit", "--quiet", "--message", "a")
    git(package, "tag", "v7.8")
    assert code.__wrapped__().version == "7.8"
    git(package, "commit", "--quiet", "--allow-empty", "--message", "b")
    assert code.__wrapped__().version.startswith("7.8-1-g")


def test_somebody_elses_checkout_says_nothing(package: Path) -> None:
    assert code.__wrapped__() == Code(onchip.__version__)
