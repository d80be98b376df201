import hashlib

import numpy as np
import pytest
import torch

from onchip.data import load
from onchip.data.datasets import find
from onchip.data.datasets.digits import FILE


def test_the_test_split_is_the_same_whatever_the_seed_or_size() -> None:
    one, two = load("digits", seed=0), load("digits", seed=7, train_size=20, validation=0.3)
    assert torch.equal(one.test.samples, two.test.samples)
    assert torch.equal(one.test.labels, two.test.labels)


def test_the_test_split_never_changes_between_versions() -> None:
    # Recorded when the split was first drawn: a change here makes published numbers incomparable.
    test = load("digits").test
    assert test.labels[:20].tolist() == [0, 4, 1, 2, 6, 7, 5, 6, 9, 1, 7, 5, 1, 8, 3, 2, 3, 9, 6, 5]
    assert int(test.samples.long().sum()) == 1_778_125


def test_the_test_split_holds_a_fifth_of_every_class() -> None:
    data = load("digits", validation=0)
    ratio = data.test.labels.bincount() / (data.test.labels.bincount() + data.train.labels.bincount())
    assert ((ratio - 0.2).abs() < 0.005).all()


def test_pixels_are_the_dots_scaled_to_bytes() -> None:
    data = load("digits", validation=0)
    assert len(data.train) + len(data.test) == 1797
    levels = torch.cat([data.train.samples, data.test.samples]).unique().tolist()
    assert levels == [round(dots * 255 / 16) for dots in range(17)]
    with np.load(FILE) as arrays:
        total = sum(round(int(dots) * 255 / 16) for dots in arrays["images"].flatten())
    assert int(data.train.samples.long().sum() + data.test.samples.long().sum()) == total


def test_the_file_never_changes() -> None:
    with np.load(FILE) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    assert (images.shape, images.dtype, labels.shape, labels.dtype) == ((1797, 8, 8), np.uint8, (1797,), np.uint8)
    content = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert content == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_scikit_learn_has_the_same_digits_in_the_same_order() -> None:
    theirs = pytest.importorskip("sklearn.datasets").load_digits()
    with np.load(FILE) as arrays:
        assert (arrays["images"] == theirs.images).all()
        assert (arrays["labels"] == theirs.target).all()


def test_it_needs_no_file() -> None:
    assert find("digits").files == ()
