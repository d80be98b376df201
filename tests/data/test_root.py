import sys
from pathlib import Path

import platformdirs
import pytest
from platformdirs import user_cache_path
from platformdirs.macos import MacOS

from onchip.data import data_root
from onchip.kernels import store


def test_the_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHIP_DATA", "/from-environment")
    assert data_root("/given") == Path("/given")
    assert data_root() == Path("/from-environment")


def test_a_tilde_is_the_home_folder() -> None:
    assert data_root("~/x") == Path.home() / "x"


@pytest.mark.parametrize("value", ["", None])
def test_without_either_it_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("ONCHIP_DATA")
    if value is not None:
        monkeypatch.setenv("ONCHIP_DATA", value)
    assert data_root() == user_cache_path("onchip", appauthor=False, opinion=False) / "data"


@pytest.mark.skipif(sys.platform != "linux", reason="folders of Linux")
def test_data_and_compiled_kernels_are_in_one_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONCHIP_DATA")
    for value, cache in (("", Path.home() / ".cache"), ("here", Path.home() / ".cache"), ("/there", Path("/there"))):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert data_root() == cache / "onchip" / "data"
        assert store.folder() == cache / "onchip" / "compiled"


def test_another_platform_has_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONCHIP_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(platformdirs, "PlatformDirs", MacOS)
    assert data_root() == Path.home() / "Library/Caches/onchip/data"
