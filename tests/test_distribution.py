"""The wheel and the source distribution: complete, equal, and enough to run the first command outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

build = pytest.importorskip("hatchling.build")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel, and the source distribution unpacked."""
    folder, before = tmp_path_factory.mktemp("built"), Path.cwd()
    os.chdir(ROOT)
    try:
        wheel, source = folder / build.build_wheel(str(folder)), folder / build.build_sdist(str(folder))
    finally:
        os.chdir(before)
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    return wheel, folder / source.name.removesuffix(".tar.gz")


def members(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_every_file_of_the_package_and_no_other(built: tuple[Path, Path]) -> None:
    inside = {name for name in members(built[0]) if not name.startswith("onchip-")}
    asked = ["git", "ls-files", "src/onchip"]
    tracked = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert inside == {name.removeprefix("src/") for name in tracked}


def test_a_wheel_of_the_source_distribution_is_the_same(
    built: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, source = built
    monkeypatch.chdir(source)
    assert members(tmp_path / build.build_wheel(str(tmp_path))) == members(wheel)
    for name in ("check", "README.md", "CHANGELOG.md", "CITATION.cff", "LICENSE", "tests/test_distribution.py"):
        assert (source / name).is_file()


def test_the_first_command_runs_outside_the_checkout(built: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        archive.extractall(tmp_path / "site")
    command = ["-m", "onchip", "compare", "--rules", "bp,dfa", "--seeds", "1", "--epochs", "1", "--train-size", "60"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ONCHIP"))}
    # A checkout that is installed for development is found by its .pth file, after the path.
    environment["PYTHONPATH"] = str(tmp_path / "site")
    program = [sys.executable, "-c", "import onchip; print(onchip.__file__)"]
    where = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert where.stdout.strip() == str(tmp_path / "site" / "onchip" / "__init__.py")
    ran = subprocess.run([sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "dfa" in ran.stdout
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "report.html").stat().st_size > 10_000
