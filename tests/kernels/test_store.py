"""Which libraries are loaded: whole ones of this user, in a folder that nobody else may write to."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onchip.kernels import native, store

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes and owners of POSIX")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def put(content: bytes = b"library", name: str | None = None, mode: int = 0o700) -> Path:
    """A file in the folder, by default as `keep` would store it."""
    path = store.opened() / (name or f"kernels-{hashlib.sha256(content).hexdigest()}.so")
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_is_kept_is_found_under_its_name_and_private(cache: Path) -> None:
    source = store.opened() / "building"
    source.write_bytes(b"library")
    source.chmod(0o777)
    path = store.keep(source, "kernels")
    assert list(store.kept("kernels")) == [path]
    assert not list(store.kept("other"))
    assert path.stat().st_mode & 0o777 == 0o700
    assert store.folder().stat().st_mode & 0o777 == 0o700


def test_a_file_with_another_content_than_its_name_says_is_not_found(cache: Path) -> None:
    put(b"librar", f"kernels-{hashlib.sha256(b'library').hexdigest()}.so")
    put(b"", "kernels-.so")
    assert not list(store.kept("kernels"))


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_file_that_others_may_write_to_is_not_found(cache: Path, mode: int) -> None:
    path = put(mode=mode)
    assert not list(store.kept("kernels"))
    path.chmod(0o755)
    assert list(store.kept("kernels")) == [path]


def test_a_link_is_not_followed(cache: Path) -> None:
    path = put()
    path.rename(cache / "elsewhere")
    path.symlink_to(cache / "elsewhere")
    assert not list(store.kept("kernels"))


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o1777])
def test_a_folder_that_others_may_write_to_is_refused(cache: Path, mode: int) -> None:
    put()
    store.folder().chmod(mode)
    with pytest.raises(store.UntrustedError, match=r"others may write to it\. Remove it, or set XDG_CACHE_HOME"):
        store.kept("kernels")


def test_a_folder_in_one_that_everybody_may_write_to_is_refused(cache: Path) -> None:
    put()
    cache.chmod(0o777)
    with pytest.raises(store.UntrustedError, match=f"everybody may write to {cache}, and replace"):
        store.kept("kernels")
    cache.chmod(0o1777)  # as /tmp
    assert list(store.kept("kernels"))


def test_what_belongs_to_another_user_is_refused(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put()
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    with pytest.raises(store.UntrustedError, match="belongs to another user"):
        store.kept("kernels")
    assert not store._is_intact(path)


def test_an_untrusted_folder_leaves_the_work_to_torch_in_one_line(cache: Path) -> None:
    store.opened().chmod(0o777)
    script = "from onchip import kernels\nprint(kernels.active())"
    environment = {**os.environ, native.VARIABLE: "auto"}
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert ran.stdout == "torch\n"
    assert "others may write to it" in ran.stderr or "there is no C compiler" in ran.stderr


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for relative in ("cache", "./cache", "../cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert store.folder() == Path.home() / ".cache" / "onchip" / "compiled"
