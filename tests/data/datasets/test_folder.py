import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from onchip.data import Dataset, check, load
from onchip.data.on_disk import OnDisk
from onchip.data.readers import pictures
from onchip.data.readers.sample_file import SampleFile
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


@pytest.mark.parametrize("name", ["val", "validation"])
def test_a_folder_with_its_own_validation_split(name: str, split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / name, n=3)
    data = read(split_folder, train_size=4)
    assert (len(data.train), len(data.validation), len(data.test)) == (4, 6, 4)
    assert check(f"folder:{split_folder}", split_folder.parent).validation == 6


@pytest.mark.parametrize("name", ["val", "validation"])
def test_as_imagenet_is_laid_out_val_is_the_test_split(name: str, split_folder: Path) -> None:
    before = read(split_folder)
    (split_folder / "test").rename(split_folder / name)
    data = read(split_folder)
    assert (len(data.train), len(data.validation), len(data.test)) == (9, 1, 4)
    assert torch.equal(data.test.samples, before.test.samples)


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


def test_samples_stay_on_the_disk_and_decoding_is_in_pieces(
    tmp_path: Path, write_pictures: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_pictures(tmp_path / "pets" / "train", n=150, size=16).parent
    write_pictures(folder / "test", n=10, size=16)
    monkeypatch.setattr(pictures, "BLOCK", 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    written, begun, ahead = 0, 0, []
    decode, write = pictures._decode_block, SampleFile.write

    def decode_block(*given: Any) -> Any:
        nonlocal begun
        block = decode(*given)
        begun += len(block)
        return block

    def write_pieces(self: SampleFile, pieces: Any) -> None:
        def counted() -> Iterator[Any]:
            nonlocal written
            for piece in pieces:
                ahead.append(begun - written)
                written += len(piece)
                yield piece

        write(self, counted())

    monkeypatch.setattr(pictures, "_decode_block", decode_block)
    monkeypatch.setattr(SampleFile, "write", write_pieces)
    data = read(folder)
    assert written == begun == 320
    assert max(ahead) <= 8 * 6, "pictures in memory: of two threads, four pieces that wait, and one more for each"
    for split in (data.train, data.validation, data.test):
        assert isinstance(split.stored, OnDisk)
    content = pickle.dumps(data)
    assert len(content) < 320 * 16 + 6000 < 320 * 3 * 16 * 16 / 20, "rows and labels, and no pixel"
    assert torch.equal(pickle.loads(content).train.samples, data.train.samples)


@pytest.mark.parametrize("layout", ["whole", "split"])
def test_pictures_of_any_size_are_resized_and_cropped(layout: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = tmp_path / "pets"
    splits = [base / "train", base / "test"] if layout == "split" else [base]
    for place, (split, name) in enumerate(product(splits, ("cat", "dog"))):
        (split / name).mkdir(parents=True)
        for index in range(6):
            height, width = rng.integers(4, 40, 2)
            shape = (height, width, 3) if index % 2 != place % 2 else (height, width)
            Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(split / name / f"{index}.png")
    with pytest.raises(DataError, match=r"expected one size. Let them be resized .* folder:PATH;size="):
        read(base)
    data = load(f"folder:{base};size=8", root=tmp_path, validation=0)
    assert data.shape == (3, 8, 8), "grey ones beside colored ones become RGB"
    expected = Compose([Resize(8), CenterCrop(8)])
    got = torch.cat([data.train.samples, data.test.samples]).sort(0).values.int()
    files = sorted(base.rglob("*.png"))
    wanted = [np.asarray(expected(Image.open(file).convert("RGB"))) for file in files]
    gap = got - torch.from_numpy(np.stack(wanted)).permute(0, 3, 1, 2).sort(0).values
    assert gap.abs().max() <= 1, "rounded alike but for a level"


def test_another_size_has_a_file_of_its_own(split_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = split_folder.parent
    for options in ("", ";size=4", ";size=5"):
        assert load(f"folder:{split_folder}{options}", root=root).shape[1] == int(options[-1:] or 6)
    monkeypatch.setattr(pictures, "_decode_one", None)
    for options in ("", "; size = 4", ";size=none"):
        load(f"folder:{split_folder}{options}", root=root)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (";size=0", "size=0; expected 1 to 1,024 pixels"),
        (";size=1025", "expected 1 to 1,024 pixels"),
        (";size=a", "size got 'a'; expected int"),
        (";side=3", "side"),
        (";size=3;size=4", "'size' twice"),
    ],
    ids=["none", "large", "word", "unknown", "twice"],
)
def test_wrong_options_are_refused(options: str, said: str, split_folder: Path) -> None:
    with pytest.raises(RequestError, match=said):
        load(f"folder:{split_folder}{options}")


def test_a_long_and_thin_picture_takes_no_memory(split_folder: Path) -> None:
    Image.new("L", (2**20, 1)).save(split_folder / "train/cat/0.png")
    assert load(f"folder:{split_folder};size=1000", root=split_folder.parent).shape == (3, 1000, 1000)


def test_the_file_of_an_earlier_version_is_removed(split_folder: Path) -> None:
    read(split_folder)
    (new,) = (split_folder.parent / "root/decoded").glob("*.npy")
    old, of_another = new.with_suffix(".safetensors"), new.with_name("a.safetensors")
    for path in (old, of_another):
        path.write_bytes(b"1")
    read(split_folder)
    assert not old.exists()
    assert of_another.exists()


def test_check_decodes_again(split_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(split_folder)
    monkeypatch.setattr(pictures, "_decode_one", None)
    with pytest.raises(TypeError):
        check(f"folder:{split_folder}", split_folder.parent / "root")


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

    def decode_one(path: Path, side: int | None = None) -> Any:
        decoded.add(path)
        return real(path, side)

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


@pytest.mark.parametrize("extra", ["valid", "more"])
def test_an_unknown_split_is_refused(split_folder: Path, write_pictures: Write, extra: str) -> None:
    write_pictures(split_folder / extra)
    with pytest.raises(DataError, match=rf"holds the folders .*{extra}.*; expected train and test"):
        read(split_folder)


def test_two_validation_splits_are_refused(split_folder: Path, write_pictures: Write) -> None:
    for name in ("val", "validation"):
        write_pictures(split_folder / name)
    with pytest.raises(DataError, match=r"holds the folders test, train, val, validation; expected train and test"):
        read(split_folder)


def test_train_without_test_is_refused(split_folder: Path) -> None:
    shutil.rmtree(split_folder / "test")
    with pytest.raises(DataError, match=r"holds the folders train; expected train and test"):
        read(split_folder)


def test_a_picture_of_another_size_is_named(split_folder: Path, write_pictures: Write) -> None:
    write_pictures(split_folder / "test", n=2, size=7)
    with pytest.raises(DataError, match=r"test/cat/0\.png is 7×7 .*train/cat/0\.png is 6×6"):
        read(split_folder)
