from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from onchip.data.readers.idx import read_pair
from onchip.data.split import Split
from onchip.errors import DataError

Write = Callable[[Path, NDArray[np.uint8]], Path]


@pytest.fixture
def pair(tmp_path: Path, write_idx: Write) -> tuple[Path, Path]:
    images = np.arange(3 * 28 * 28, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)
    return (
        write_idx(tmp_path / "images", images),
        write_idx(tmp_path / "labels", np.array([2, 0, 9], dtype=np.uint8)),
    )


def read(pair: tuple[Path, Path]) -> Split:
    return read_pair(*pair, size=(28, 28), classes=10)


def test_a_sound_pair_is_read_as_it_was_written(pair: tuple[Path, Path]) -> None:
    split = read(pair)
    assert split.samples.shape == (3, 1, 28, 28)
    assert split.samples.flatten()[:300].tolist() == [i % 256 for i in range(300)]
    assert split.labels.tolist() == [2, 0, 9]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("keep", [0, 3, 7, -1])
def test_a_file_that_is_cut_short_is_named(pair: tuple[Path, Path], which: int, keep: int) -> None:
    pair[which].write_bytes(pair[which].read_bytes()[:keep])
    with pytest.raises(DataError, match=rf"{pair[which]} .*Delete {pair[which].name}"):
        read(pair)


def test_a_file_with_bytes_too_many_is_refused(pair: tuple[Path, Path]) -> None:
    pair[0].write_bytes(pair[0].read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"is 2369 bytes long; expected 2368"):
        read(pair)


def test_a_file_of_another_format_is_refused(pair: tuple[Path, Path]) -> None:
    pair[0].write_bytes(b"\x1f\x8b\x08\x00" * 100)  # what a gzip file starts with
    with pytest.raises(DataError, match=r"starts with bytes 1f 8b 08 00; expected 00 00 08 03"):
        read(pair)


def test_images_and_labels_swapped_are_refused(pair: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match=r"labels starts with bytes 00 00 08 01; expected 00 00 08 03"):
        read(pair[::-1])


def test_a_label_outside_the_classes_is_refused(pair: tuple[Path, Path], write_idx: Write) -> None:
    write_idx(pair[1], np.array([2, 10, 9], dtype=np.uint8))
    with pytest.raises(DataError, match=r"labels has label 10 at place 1; expected 0 to 9"):
        read(pair)


def test_more_labels_than_images_are_refused(pair: tuple[Path, Path], write_idx: Write) -> None:
    write_idx(pair[1], np.zeros(4, dtype=np.uint8))
    with pytest.raises(DataError, match=r"labels has 4 labels for 3 images; expected one label per image"):
        read(pair)


def test_images_of_another_size_are_refused(pair: tuple[Path, Path], write_idx: Write) -> None:
    write_idx(pair[0], np.zeros((3, 28, 27), dtype=np.uint8))
    with pytest.raises(DataError, match=r"28×27 pixels; expected 28×28"):
        read(pair)


def test_an_empty_pair_is_refused(pair: tuple[Path, Path], write_idx: Write) -> None:
    write_idx(pair[0], np.zeros((0, 28, 28), dtype=np.uint8))
    with pytest.raises(DataError, match=r"images is empty"):
        read(pair)


def test_a_folder_in_place_of_a_file_is_refused(pair: tuple[Path, Path]) -> None:
    pair[1].unlink()
    pair[1].mkdir()
    with pytest.raises(DataError, match=r"labels cannot be read"):
        read(pair)
