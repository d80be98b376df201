import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from onchip._sealed import write_sealed
from onchip.data.readers.decoded_cache import DecodedCache

IMAGES = torch.arange(6, dtype=torch.uint8).reshape(2, 1, 1, 3)


def test_what_was_put_is_got(tmp_path: Path) -> None:
    cache = DecodedCache(tmp_path / "new", Path("/pictures"), "a")
    assert cache.get(2) is None
    cache.put(IMAGES)
    got = cache.get(2)
    assert got is not None
    assert torch.equal(got, IMAGES)
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".safetensors"]


def test_another_fingerprint_is_a_miss_and_replaces(tmp_path: Path) -> None:
    DecodedCache(tmp_path, Path("/pictures"), "a").put(IMAGES)
    changed = DecodedCache(tmp_path, Path("/pictures"), "b")
    assert changed.get(2) is None
    changed.put(IMAGES)
    assert changed.get(2) is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_of_one_name_do_not_share(tmp_path: Path) -> None:
    DecodedCache(tmp_path, Path("/one/pictures"), "a").put(IMAGES)
    assert DecodedCache(tmp_path, Path("/two/pictures"), "a").get(2) is None


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, None])
def test_a_damaged_file_is_a_miss(tmp_path: Path, content: bytes | None) -> None:
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    cache.put(IMAGES)
    cache.path.write_bytes(cache.path.read_bytes()[:-2] if content is None else content)
    assert cache.get(2) is None


@pytest.mark.parametrize(
    "tensors",
    [{}, {"pictures": IMAGES}, {"images": IMAGES.float()}, {"images": IMAGES.flatten()}, {"images": IMAGES[:1]}],
)
def test_other_tensors_are_a_miss(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    write_sealed(cache.path, tensors, {"fingerprint": "a"})
    assert cache.get(2) is None
    write_sealed(cache.path, {"images": IMAGES}, {"fingerprint": "a"})
    assert cache.get(2) is not None


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_a_miss_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    make(cache.path)
    assert cache.get(2) is None


def test_a_place_that_cannot_be_written_is_a_warning_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be stored"):
        DecodedCache(tmp_path / "file", Path("/pictures"), "a").put(IMAGES)
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    cache.path.mkdir()  # what cannot be replaced by a file
    with pytest.warns(UserWarning, match="could not be stored"):
        cache.put(IMAGES)
    assert not list(tmp_path.glob("*.part"))
