import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from onchip.data import Dataset, check, load
from onchip.data.readers import pictures
from onchip.errors import DataError, RequestError

Write = Callable[..., Path]


@pytest.fixture
def split_folder(tmp_path: Path, write_pictures: Write) -> Path:
    write_pictures(tmp_path / "pets" / "train", n=5)
    write_pictures(tmp_path / "pets" / "test", n=2)
    return tmp_path / "pets"


def read(folder: Path, **options: Any) -> Dataset:
    return load(f"folder:{folder}", root=folder.parent / "root", **options)


def test_a_folder_with_its_own_test_split(split_folder: Path) -> None:
    data = read(split_folder, validation=0.2)
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(data.test)) == (8, 2, 4)
    assert data.shape == (3, 6, 6)
    assert data.test.labels.tolist() == [0, 0, 1, 1]


def test_a_folder_with_its_own_validation_split(split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / "validation", n=3)
    data = read(split_folder, train_size=4)
    assert (len(data.train), len(data.validation), len(data.test)) == (4, 6, 4)
    assert check(f"folder:{split_folder}", split_folder.parent).validation == 6


def test_a_folder_a_class_is_split_by_us_and_always_alike(tmp_path: Path, write_pictures: Write) -> None:
    folder = write_pictures(tmp_path / "pets", n=10, mode="L")
    one, two = read(folder, seed=0), read(folder, seed=5)
    assert (len(one.train), len(one.validation), len(one.test)) == (14, 2, 4)
    assert one.shape == (1, 6, 6)
    assert one.test.labels.tolist() == [0, 0, 1, 1]
    assert torch.equal(one.test.samples, two.test.samples)


def test_the_splits_share_no_image(tmp_path: Path, write_pictures: Write) -> None:
    data = read(write_pictures(tmp_path / "pets", n=20))
    whole = torch.cat([data.train.samples, data.validation.samples, data.test.samples])
    assert len(whole.flatten(1).unique(dim=0)) == len(whole) == 40  # the pictures are noise, so no two are alike


def test_a_second_load_decodes_nothing(split_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read(split_folder)
    monkeypatch.setattr(pictures, "_decode_one", None)
    assert torch.equal(read(split_folder).train.samples, first.train.samples)


@pytest.mark.parametrize("change", ["content", "time", "new", "renamed", "gone"])
def test_a_changed_folder_is_decoded_again(split_folder: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read(split_folder)
    first, second = split_folder / "train/cat/0.png", split_folder / "train/dog/1.png"
    if change == "content":
        first.write_bytes(second.read_bytes() + b"\0")
    elif change == "time":
        os.utime(first, (1, 1))
    elif change == "new":
        shutil.copy(first, first.with_name("9.png"))
    elif change == "renamed":
        first.rename(first.with_name("9.png"))
    else:
        first.unlink()
    decoded = set()
    real = pictures._decode_one

    def decode_one(path: Path) -> Any:
        decoded.add(path)
        return real(path)

    monkeypatch.setattr(pictures, "_decode_one", decode_one)
    read(split_folder)
    assert decoded == set(split_folder.glob("*/*/*.png"))


def test_hidden_files_and_loose_files_beside_the_splits_are_ignored(split_folder: Path) -> None:
    (split_folder / "README.md").write_text("about")
    (split_folder / ".DS_Store").write_text("")
    (split_folder / "train" / ".DS_Store").write_text("")
    (split_folder / "train" / "cat" / ".DS_Store").write_text("")
    assert read(split_folder).classes == ("cat", "dog")


def test_a_grey_picture_beside_colour_becomes_rgb(split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / "test", n=2, mode="L")
    data = read(split_folder)
    assert data.shape == (3, 6, 6)
    assert torch.equal(data.test.samples[:, 0], data.test.samples[:, 2])


def test_no_path_is_refused() -> None:
    with pytest.raises(RequestError, match="expected folder:PATH"):
        load("folder:")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path / 'pets'} cannot be read"):
        read(tmp_path / "pets")


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "pets").write_text("")
    with pytest.raises(DataError, match=r"pets cannot be read"):
        read(tmp_path / "pets")


def test_a_file_that_is_no_picture_is_named(split_folder: Path) -> None:
    (split_folder / "train/dog/notes.txt").write_text("text")
    with pytest.raises(DataError, match=r"train/dog/notes\.txt is no picture"):
        read(split_folder)


def test_a_picture_outside_any_class_is_named(split_folder: Path) -> None:
    shutil.copy(split_folder / "train/cat/0.png", split_folder / "train/stray.png")
    with pytest.raises(DataError, match=r"train/stray\.png lies outside any class"):
        read(split_folder)


def test_a_folder_in_a_class_is_named(split_folder: Path) -> None:
    (split_folder / "train/cat/more").mkdir()
    with pytest.raises(DataError, match=r"train/cat/more is no file"):
        read(split_folder)


def test_a_class_without_a_picture_is_named(split_folder: Path) -> None:
    (split_folder / "train/bird").mkdir()
    with pytest.raises(DataError, match=r"train/bird holds no picture"):
        read(split_folder)


def test_one_class_is_refused(tmp_path: Path, write_pictures: Write) -> None:
    with pytest.raises(DataError, match=r"pets holds 1 class folders; expected at least 2"):
        read(write_pictures(tmp_path / "pets", classes=("cat",)))


def test_splits_that_differ_in_classes_are_refused(split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / "test", classes=("bird",))
    with pytest.raises(DataError, match=r"test and .*train differ in the classes bird"):
        read(split_folder)


@pytest.mark.parametrize("extra", ["val", "more"])
def test_an_unknown_split_is_refused(split_folder: Path, write_pictures: Write, extra: str) -> None:
    write_pictures(split_folder / extra)
    with pytest.raises(DataError, match=rf"holds the folders .*{extra}.*; expected train and test"):
        read(split_folder)


def test_train_without_test_is_refused(split_folder: Path) -> None:
    shutil.rmtree(split_folder / "test")
    with pytest.raises(DataError, match=r"holds the folders train; expected train and test"):
        read(split_folder)


def test_a_picture_of_another_size_is_named(split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / "test", n=2, size=7)
    with pytest.raises(DataError, match=r"test/cat/0\.png is 7×7 .*train/cat/0\.png is 6×6"):
        read(split_folder)
