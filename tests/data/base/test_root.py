import sys
from pathlib import Path

import pytest

from onchip.data import data_root


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
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert data_root() == Path.home() / ".cache" / "onchip" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert data_root() == Path("/elsewhere/onchip/data")


def test_every_platform_has_its_own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONCHIP_DATA")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert data_root() == Path.home() / "Library" / "Caches" / "onchip" / "data"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    assert data_root() == Path("/local/onchip/data")
