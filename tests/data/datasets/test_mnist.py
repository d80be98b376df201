from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from onchip.data import load
from onchip.data.datasets import find
from onchip.data.readers.idx import read_pair
from onchip.errors import DataError

Write = Callable[..., list[Path]]
NAMES = ["mnist", "fashion-mnist", "kmnist", "emnist"]


@pytest.mark.parametrize("name", NAMES)
def test_small_files_of_the_format_are_read(name: str, tmp_path: Path, write_mnist_like: Write) -> None:
    write_mnist_like(name, tmp_path, 40, 10)
    data = load(name, root=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (36, 4, 10)
    assert data.shape == (1, 28, 28)
    info = find(name).info
    assert info is not None
    assert len(set(data.classes)) == info.classes


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_the_remedy(name: str, tmp_path: Path, write_mnist_like: Write) -> None:
    paths = write_mnist_like(name, tmp_path)
    paths[2].unlink()
    with pytest.raises(DataError, match=rf"{paths[2]} \(1 of 4 .*`onchip data fetch {name}`.*--data-root"):
        load(name, root=tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_those_that_torchvision_reads(name: str, tmp_path: Path, write_mnist_like: Write) -> None:
    from torchvision import datasets

    write_mnist_like(name, tmp_path)
    kind = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST", "kmnist": "KMNIST", "emnist": "EMNIST"}[name]
    extra = {"split": "balanced"} if name == "emnist" else {}
    theirs = getattr(datasets, kind)(tmp_path, train=True, download=False, **extra)
    ours = load(name, root=tmp_path, validation=0)
    images = theirs.data.transpose(1, 2) if name == "emnist" else theirs.data
    assert torch.equal(ours.train.samples.squeeze(1), images)
    assert torch.equal(ours.train.labels, theirs.targets)
    if name != "mnist":  # torchvision writes "0 - zero" there
        assert list(ours.classes) == list(theirs.classes)


def test_emnist_stands_upright(tmp_path: Path, write_mnist_like: Write) -> None:
    images, labels, *_ = write_mnist_like("emnist", tmp_path)
    stored = read_pair(images, labels, size=(28, 28), classes=47).samples
    assert torch.equal(load("emnist", root=tmp_path, validation=0).train.samples, stored.transpose(2, 3))


def test_a_damaged_file_is_named(tmp_path: Path, write_mnist_like: Write) -> None:
    paths = write_mnist_like("mnist", tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{paths[3]} is 17 bytes long; expected 18"):
        load("mnist", root=tmp_path)
