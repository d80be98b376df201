import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from onchip.data import Split, check, load
from onchip.errors import DataError, RequestError


def rows(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.samples}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**63 - 1), st.floats(0, 0.9), st.integers(1, 100))
def test_the_splits_share_no_image(seed: int, validation: float, train_size: int) -> None:
    data = load("digits", seed=seed, validation=validation, train_size=train_size)
    assert len(data.train) == train_size
    assert len(data.validation) == (max(1, round(validation * 1438)) if validation else 0)
    train, held, test = rows(data.train), rows(data.validation), rows(data.test)
    # No two of the 1,797 images are equal, so bytes tell them apart.
    assert train.isdisjoint(held)
    assert train.isdisjoint(test)
    assert held.isdisjoint(test)


def test_a_seed_draws_the_same_splits_again_and_another_seed_others() -> None:
    one, again, other = load("digits", seed=1), load("digits", seed=1), load("digits", seed=2)
    assert torch.equal(one.train.samples, again.train.samples)
    assert torch.equal(one.validation.labels, again.validation.labels)
    assert rows(one.validation) != rows(other.validation)


def test_a_smaller_train_size_is_part_of_a_larger_one() -> None:
    small, large = (load("digits", train_size=n, seed=4) for n in (100, 300))
    assert rows(small.train) < rows(large.train)
    assert rows(small.validation) == rows(large.validation)
    assert small.train.labels.bincount().tolist() == pytest.approx([10] * 10, abs=1)


def test_the_validation_split_is_stratified() -> None:
    data = load("digits", validation=0.1)
    share = data.validation.labels.bincount() / (data.train.labels.bincount() + data.validation.labels.bincount())
    assert ((share - 0.1).abs() < 0.01).all()


def test_no_validation_leaves_all_to_train() -> None:
    data = load("digits", validation=0)
    assert (len(data.train), len(data.validation)) == (1438, 0)
    assert data.validation.samples.shape == (0, 1, 8, 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"validation": 1.0}, r"validation=1.0; expected"),
        ({"validation": -0.1}, r"validation=-0.1"),
        ({"validation": float("nan")}, r"validation=nan"),
        ({"train_size": 0}, r"train_size=0"),
        ({"train_size": 1.5}, r"train_size=1.5"),
        (
            {"train_size": 1295},
            r"1294 images to train on when 144 of 1438 are .* expected train_size=1295 images",
        ),
        ({"seed": -1}, r"seed=-1"),
        ({"seed": 2**63}, r"seed="),
        ({"seed": 0.5}, r"seed=0.5"),
        ({"validation": 0.9999}, r"0 images to train on when 1438 of 1438 are set aside .* expected at least 1"),
        ({"validation": 0, "train_size": 1439}, r"1438 images to train on; expected train_size=1439 images"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        load("digits", **options)


@pytest.mark.parametrize("name", ["mnits", "fashion_mnist", "folder", "", "Digits"])
def test_an_unknown_name_lists_the_names_there_are(name: str) -> None:
    with pytest.raises(RequestError, match=rf"unknown data set '{name}'.*digits.*") as caught:
        load(name)
    assert "folder:PATH" in str(caught.value)
    assert "fashion-mnist" in str(caught.value)


def test_download_reports_a_network_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"mnist could not be downloaded .*Check the network"):
        load("mnist", root=tmp_path, download=True)


def test_the_environment_names_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_mnist_like: Callable[..., list[Path]]
) -> None:
    write_mnist_like("kmnist", tmp_path)
    monkeypatch.setenv("ONCHIP_DATA", str(tmp_path))
    assert len(load("kmnist").test) == 10


REAL = os.environ.get("ONCHIP_DATA", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.skipif(not Path(REAL, "MNIST").is_dir(), reason="ONCHIP_DATA does not hold the real files")
def test_the_real_files_are_what_was_published(name: str) -> None:
    found = check(name, REAL)
    assert (found.train, found.test) == (60_000, 10_000)
