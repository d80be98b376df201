"""Archives that a user puts in place are unpacked if they are the published ones; else tonic downloads, or a remedy."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from onchip.data import fetch
from onchip.data.publisher import Publisher
from onchip.data.readers.archives import unpack
from onchip.data.source import DatasetInfo, DatasetSource
from onchip.errors import DataError


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def test_published_archives_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    one, two = zipped(a="1"), tarred("folder/b", b"2")
    (tmp_path / "one.zip").write_bytes(one)
    (tmp_path / "two.tar.gz").write_bytes(two)
    unpack(tmp_path, {"one.zip": md5(one), "two.tar.gz": md5(two), "three.zip": "0" * 32})
    assert ((tmp_path / "a").read_text(), (tmp_path / "folder/b").read_text()) == ("1", "2")


def test_another_archive_is_named_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "one.zip").write_bytes(zipped(a="1"))
    with pytest.raises(DataError, match=rf"{tmp_path}/one\.zip has the MD5 .*; expected {'0' * 32}"):
        unpack(tmp_path, {"one.zip": "0" * 32})
    assert not (tmp_path / "a").exists()


def test_nothing_is_unpacked_outside(tmp_path: Path) -> None:
    outside = tarred("../b", b"2")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/two.tar.gz").write_bytes(outside)
    with pytest.raises(tarfile.TarError):
        unpack(tmp_path / "in", {"two.tar.gz": md5(outside)})
    assert not (tmp_path / "b").exists()


def source(archive: bytes) -> DatasetSource:
    publisher = Publisher("https://example.org/set", {"Set": {"set.zip": md5(archive)}}, "Set")
    info = DatasetInfo("some-set", "Some set", (1, 1, 1), 2, 2, 2, "nobody")
    return publisher.source(info, ("Set/a",), lambda root, again=False: None, lambda root: (0, 0))  # type: ignore[arg-type]


def test_fetch_unpacks_what_the_user_has_put_there(tmp_path: Path) -> None:
    archive = zipped(a="1")
    (tmp_path / "Set").mkdir()
    (tmp_path / "Set/set.zip").write_bytes(archive)
    source(archive).fetch(tmp_path)
    assert (tmp_path / "Set/a").read_text() == "1"


def test_fetch_names_a_wrong_archive_and_one_that_lacks_the_files(tmp_path: Path) -> None:
    (tmp_path / "Set").mkdir()
    (tmp_path / "Set/set.zip").write_bytes(b"short")
    with pytest.raises(DataError, match=r"Set/set\.zip has the MD5"):
        source(zipped(a="1")).fetch(tmp_path)
    (tmp_path / "Set/set.zip").write_bytes(b"short")
    with pytest.raises(DataError, match=r"some-set could not be unpacked in .*: "):
        source(b"short").fetch(tmp_path)


def test_fetch_downloads_both_splits_with_tonic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(save_to: str, train: bool) -> None:
        asked.append(train)
        (Path(save_to) / "Set").mkdir(exist_ok=True)
        (Path(save_to) / "Set/a").touch()

    tonic = ModuleType("tonic")
    tonic.datasets = SimpleNamespace(Set=download)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tonic", tonic)
    source(b"").fetch(tmp_path)
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n-mnist", (r"train\.zip, test\.zip into {root}/NMNIST", "garrickorchard")),
        ("dvs-cifar10", (r"airplane\.zip, .*truck\.zip into {root}/CIFAR10DVS", "figshare")),
        (
            "dvs-gesture",
            (r"DvsGesture\.tar\.gz into {root} or ibmGestureTrain\.tar\.gz, .* into {root}/DVSGesture", "ibm"),
        ),
    ],
)
def test_where_a_mirror_is_gone_the_files_and_their_place_are_named(
    name: str, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tonic, gone = ModuleType("tonic"), OSError("404: Not Found")

    class Gone:
        def __init__(self, **_: object) -> None:
            raise gone

    tonic.datasets = SimpleNamespace(NMNIST=Gone, CIFAR10DVS=Gone, DVSGesture=Gone, SHD=Gone)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tonic", tonic)
    for word in ("404: Not Found", *words):
        with pytest.raises(
            DataError, match=rf"{name} could not be downloaded to {tmp_path}: .*{word.format(root=tmp_path)}"
        ):
            fetch(name, tmp_path)
