from pathlib import Path

import pytest
import torch

from onchip.data.readers.decoded_cache import DecodedCache

TENSORS = {"images": torch.arange(6, dtype=torch.uint8).reshape(2, 3)}


def test_what_was_put_is_got(tmp_path: Path) -> None:
    cache = DecodedCache(tmp_path / "new", Path("/pictures"), "a")
    assert cache.get() is None
    cache.put(TENSORS)
    got = cache.get()
    assert got is not None
    assert torch.equal(got["images"], TENSORS["images"])
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".safetensors"]


def test_another_fingerprint_is_a_miss_and_replaces(tmp_path: Path) -> None:
    DecodedCache(tmp_path, Path("/pictures"), "a").put(TENSORS)
    changed = DecodedCache(tmp_path, Path("/pictures"), "b")
    assert changed.get() is None
    changed.put(TENSORS)
    assert changed.get() is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_folders_of_one_name_do_not_share(tmp_path: Path) -> None:
    DecodedCache(tmp_path, Path("/one/pictures"), "a").put(TENSORS)
    assert DecodedCache(tmp_path, Path("/two/pictures"), "a").get() is None


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, None])
def test_a_damaged_file_is_a_miss(tmp_path: Path, content: bytes | None) -> None:
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    cache.put(TENSORS)
    cache.path.write_bytes(cache.path.read_bytes()[:-2] if content is None else content)
    assert cache.get() is None


def test_a_place_that_cannot_be_written_is_a_warning_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="could not be stored"):
        DecodedCache(tmp_path / "file", Path("/pictures"), "a").put(TENSORS)
    cache = DecodedCache(tmp_path, Path("/pictures"), "a")
    cache.path.mkdir()  # what cannot be replaced by a file
    with pytest.warns(UserWarning, match="could not be stored"):
        cache.put(TENSORS)
    assert not list(tmp_path.glob("*.part"))
