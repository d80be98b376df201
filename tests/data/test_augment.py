from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from onchip.data import AutoAugment, Compose, Crop, Cutout, Flip, augment
from onchip.data.autoaugment_policy import CIFAR10
from onchip.errors import RequestError

Augment = Callable[[Tensor, torch.Generator], Tensor]
PARTS: list[Augment] = [AutoAugment(), Crop(2), Flip(), Cutout(3), Compose(), Compose(Crop(1), Flip(), Cutout(2))]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(b: int = 8, c: int = 3, h: int = 7, w: int = 5) -> Tensor:
    return torch.rand(b, c, h, w, generator=seeded(1)) * 0.9 + 0.1  # no pixel is black


def test_every_export_is_tried() -> None:
    assert {type(part).__name__ for part in PARTS} == set(augment.__all__)


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_every_part_keeps_shape_range_and_input_and_repeats(part: Augment) -> None:
    images = noise()
    before = images.clone()
    out = part(images, seeded(5))
    assert out.shape == images.shape
    assert out.dtype == images.dtype
    assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(images, before)
    assert torch.equal(out, part(images, seeded(5)))


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_every_part_takes_an_empty_batch(part: Augment) -> None:
    assert part(noise(b=0), seeded()).shape == (0, 3, 7, 5)


@pytest.mark.parametrize("part", [AutoAugment(), Crop(2), Flip(), Cutout(3)], ids=repr)
def test_each_image_has_a_draw_of_its_own(part: Augment) -> None:
    alike = noise(b=1).expand(32, -1, -1, -1)
    assert len(part(alike, seeded()).flatten(1).unique(dim=0)) > 1


@given(st.integers(1, 4), st.integers(0, 99))
def test_a_crop_is_a_window_of_the_padded_image(p: int, seed: int) -> None:
    images = noise(b=3)
    padded = pad(images, (p,) * 4)
    for out, wide in zip(Crop(p)(images, seeded(seed)), padded, strict=True):
        windows = [wide[:, i : i + 7, j : j + 5] for i in range(2 * p + 1) for j in range(2 * p + 1)]
        assert any(torch.equal(out, window) for window in windows)


def test_a_crop_reaches_every_shift() -> None:
    point = torch.zeros(400, 1, 3, 3)
    point[:, :, 1, 1] = 1
    assert (Crop(1)(point, seeded()).sum(0) > 0).all()


def test_a_flip_is_the_image_or_its_mirror_about_half_the_time() -> None:
    images = noise(b=400)
    out = Flip()(images, seeded())
    mirrored = (out == images.flip(-1)).flatten(1).all(1)
    assert (mirrored | (out == images).flatten(1).all(1)).all()
    assert 150 < int(mirrored.sum()) < 250  # 200 ± 5 standard deviations of 10


@given(st.integers(1, 9), st.integers(0, 99))
def test_a_cutout_is_one_square_clipped_at_the_edge(size: int, seed: int) -> None:
    images = noise(b=3)
    for out, image in zip(Cutout(size)(images, seeded(seed)), images, strict=True):
        hole = out == 0
        assert torch.equal(out[~hole], image[~hole])
        assert (hole == hole[:1]).all()  # alike in every channel
        rows, columns = hole[0].any(1), hole[0].any(0)
        assert torch.equal(hole[0], rows[:, None] & columns)
        for side in (rows, columns):
            place = side.nonzero().flatten()
            inside = int(place[0]) > 0 and int(place[-1]) < len(side) - 1
            assert len(place) == int(place[-1] - place[0]) + 1
            assert len(place) == size if inside else size // 2 <= len(place) <= size or len(place) == len(side)


def test_compose_applies_the_parts_in_order() -> None:
    generator = seeded(2)
    expected = Flip()(Crop(2)(noise(), generator), generator)
    assert torch.equal(Compose(Crop(2), Flip())(noise(), seeded(2)), expected)
    assert Compose(Crop(2), Flip()) == Compose(Crop(2), Flip())


@pytest.mark.parametrize("part", [Crop, Cutout])
@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_sizes_below_one_pixel_are_refused(part: type[Crop] | type[Cutout], value: int) -> None:
    with pytest.raises(RequestError, match=rf"{part.__name__} got .*{value}; expected (int|.* at least 1)"):
        part(value)


RECORDINGS = [part for part in PARTS if not isinstance(part, AutoAugment)]


@pytest.mark.parametrize("part", RECORDINGS, ids=repr)
def test_all_frames_of_a_recording_change_as_an_image_of_as_many_channels(part: Augment) -> None:
    recordings = torch.rand(8, 4, 2, 7, 5, generator=seeded(1)) * 0.9 + 0.1
    before = recordings.clone()
    out = part(recordings, seeded(5))
    assert torch.equal(out, part(recordings.flatten(1, 2), seeded(5)).view(recordings.shape))
    assert torch.equal(recordings, before)
    assert part(recordings[:0], seeded()).shape == (0, 4, 2, 7, 5)
    assert part(recordings[:, :0], seeded()).shape == (8, 0, 2, 7, 5)


def test_what_moves_within_a_recording_still_moves() -> None:
    frames = torch.zeros(200, 3, 1, 9, 9)
    for frame in range(3):
        frames[:, frame, 0, 3 + frame, 4] = 1  # a point that goes down by one pixel a frame
    out = Compose(Crop(2), Flip())(frames, seeded())
    places = out.nonzero()[:, 3:].view(200, 3, 2)
    assert (places.diff(dim=1) == torch.tensor([1, 0])).all()
    assert len(places[:, 0].unique(dim=0)) == 25, "of all recordings, each way"


@pytest.mark.parametrize("part", [AutoAugment(), Crop(2), Flip(), Cutout(3)], ids=repr)
def test_what_has_no_pixels_is_refused(part: Augment) -> None:
    with pytest.raises(RequestError, match=rf"{type(part).__name__} got samples of shape \(9, 7\); expected images"):
        part(torch.zeros(2, 9, 7), seeded())


def test_autoaugment_refuses_recordings() -> None:
    with pytest.raises(RequestError, match=r"AutoAugment got samples of shape \(4, 3, 7, 5\); .* Use Crop, Flip or"):
        AutoAugment()(torch.zeros(2, 4, 3, 7, 5), seeded())


def test_autoaugment_refuses_other_than_grey_and_colour() -> None:
    with pytest.raises(RequestError, match="got images of 2 channels; expected 1 or 3"):
        AutoAugment()(noise(c=2), seeded())


def test_autoaugment_takes_grey_images_and_touches_no_other_randomness() -> None:
    before = torch.get_rng_state()
    out = AutoAugment()(noise(b=64, c=1), seeded())
    assert out.shape == (64, 1, 7, 5)
    assert torch.equal(torch.get_rng_state(), before)


def test_autoaugment_leaves_an_image_alone_as_often_as_the_policy_says() -> None:
    # Where neither operation of a pair is made; some that are made change nothing either.
    alone = sum((1 - one.probability) * (1 - two.probability) for one, two in CIFAR10) / len(CIFAR10)
    images = noise(b=1, h=16, w=16).mul(255).round().div(255).expand(1000, -1, -1, -1)
    same = (AutoAugment()(images, seeded()) == images).flatten(1).all(1).float().mean().item()
    assert alone - 0.05 < same < alone + 0.15


def test_an_image_gets_the_pair_it_drew_whatever_batch_it_is_in() -> None:
    images = noise(b=40, h=16, w=16)
    pairs = torch.randint(len(CIFAR10), (40,), generator=(generator := seeded(3)))
    chances, senses = torch.rand(2, 40, generator=generator), torch.randint(2, (2, 40), generator=generator)
    for index, out in enumerate(AutoAugment()(images, seeded(3))):
        expected = images[index : index + 1].mul(255).round().to(torch.uint8)
        for turn, operation in enumerate(CIFAR10[int(pairs[index])]):
            if chances[turn, index] < operation.probability:
                expected = operation(expected, backwards=bool(senses[turn, index]))
        assert torch.equal(out, expected[0].float() / 255)
