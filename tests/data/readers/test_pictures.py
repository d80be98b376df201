import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from onchip.data.readers.pictures import BLOCK, decode
from onchip.errors import DataError


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (5, 4), colour: object = 7) -> Path:
    """A picture of one colour; `size` is (width, height)."""
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


def test_pixels_come_out_channel_first(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = decode([tmp_path / "a.png"])
    assert images.dtype == torch.uint8
    assert np.array_equal(images[0].numpy(), pixels.transpose(2, 0, 1))


def test_the_order_is_kept_over_many_blocks(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.bmp", "L", (1, 1), i % 251) for i in range(BLOCK + 50)]
    assert decode(paths).flatten().tolist() == [i % 251 for i in range(BLOCK + 50)]


def test_grey_pictures_have_one_channel(tmp_path: Path) -> None:
    paths = [save(tmp_path / "a.png", "L"), save(tmp_path / "b.png", "1", colour=1)]
    images = decode(paths)
    assert images.shape == (2, 1, 4, 5)
    assert images.amax((1, 2, 3)).tolist() == [7, 255]


def test_grey_beside_colour_becomes_rgb(tmp_path: Path) -> None:
    images = decode([save(tmp_path / "a.png", "L"), save(tmp_path / "b.png", colour=(1, 2, 3))])
    assert images[:, :, 0, 0].tolist() == [[7, 7, 7], [1, 2, 3]]


def test_alpha_is_dropped_where_nothing_shows_through(tmp_path: Path) -> None:
    images = decode([save(tmp_path / "a.png", "RGBA", colour=(1, 2, 3, 255))])
    assert images[0, :, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("mode", "colour", "said"),
    [("RGBA", (1, 2, 3, 9), "see-through"), ("LA", (1, 9), "see-through"), ("I;16", 300, "mode 'I;16'")],
)
def test_pictures_that_would_lose_something_are_refused(tmp_path: Path, mode: str, colour: object, said: str) -> None:
    with pytest.raises(DataError, match=rf"a\.png .*{said}"):
        decode([save(tmp_path / "a.png", mode, colour=colour)])


def test_an_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), (i, i, i)) for i in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"a\.png has several pictures"):
        decode([tmp_path / "a.png"])


def test_the_first_picture_of_another_size_is_named(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{i}.png", size=(5, 4 if i < 3 else 6)) for i in range(5)]
    with pytest.raises(DataError, match=r"3\.png is 5×6 pixels .*0\.png is 5×4; expected one size"):
        decode(paths)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a picture")
    with pytest.raises(DataError, match=r"notes\.txt is no picture"):
        decode([save(tmp_path / "a.png"), tmp_path / "notes.txt"])


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_that_is_cut_short_is_named(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"a\.{suffix} "):
        decode([path])


def test_a_png_with_a_flipped_byte_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
        decode([tmp_path / "a.png"])


def test_a_png_is_what_its_checksums_say(tmp_path: Path) -> None:
    Image.fromarray(np.arange(90, dtype=np.uint8).reshape(6, 5, 3)).save(tmp_path / "a.png", compress_level=0)
    content = (tmp_path / "a.png").read_bytes()
    start = content.index(b"IDAT") + 4
    (tmp_path / "a.png").write_bytes(content[: start + 20] + b"\xaa" + content[start + 21 :])
    with pytest.raises(DataError, match=r"a\.png cannot be decoded"):
        decode([tmp_path / "a.png"])


def test_a_picture_of_too_many_pixels_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    save(tmp_path / "a.png", "1", (2**13, 2**11 + 1), 0)
    with pytest.raises(DataError, match=r"a\.png has 8192×2049 pixels; expected 16,777,216 at most"):
        decode([tmp_path / "a.png"])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png cannot be decoded.*not a regular file"):
        decode([tmp_path / "a.png"])


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be decoded"):
        decode([tmp_path / "gone.png"])
