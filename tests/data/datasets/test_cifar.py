import hashlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets

from onchip.data import load
from onchip.data.datasets import cifar, find
from onchip.errors import DataError

KINDS = {"cifar10": datasets.CIFAR10, "cifar100": datasets.CIFAR100}


class Trap:
    """A pickle of this makes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def set_trap(name: str, root: Path) -> Path:
    for file in find(name).files:
        (root / file).parent.mkdir(exist_ok=True)
        (root / file).write_bytes(pickle.dumps(Trap(root / "sprung")))
    return root / "sprung"


@pytest.mark.parametrize("name", KINDS)
def test_the_trap_works(name: str, tmp_path: Path) -> None:
    sprung = set_trap(name, tmp_path)
    pickle.loads((tmp_path / find(name).files[0]).read_bytes())
    assert sprung.exists()


@pytest.mark.parametrize("name", KINDS)
def test_a_strangers_pickle_is_refused_unopened(name: str, tmp_path: Path) -> None:
    sprung = set_trap(name, tmp_path)
    with pytest.raises(DataError, match=rf"{tmp_path / find(name).files[0]} is not the published file .*MD5"):
        load(name, root=tmp_path)
    assert not sprung.exists()


@pytest.mark.parametrize("name", KINDS)
def test_torchvision_checks_before_it_opens(name: str, tmp_path: Path) -> None:
    sprung = set_trap(name, tmp_path)
    with pytest.raises(RuntimeError, match="corrupted"):
        KINDS[name](tmp_path)
    assert not sprung.exists()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("md5", [None, "", "0" * 31])
def test_without_a_checksum_nothing_is_opened(
    name: str, md5: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprung = set_trap(name, tmp_path)
    monkeypatch.setattr(KINDS[name], "train_list", [[file, md5] for file, _ in KINDS[name].train_list])
    with pytest.raises(DataError, match=r"states no checksum"):
        load(name, root=tmp_path)
    assert not sprung.exists()


@pytest.mark.parametrize("name", KINDS)
def test_every_file_is_checked(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_small(name, tmp_path, monkeypatch)
    for file in find(name).files:
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(content + b"\0")
        with pytest.raises(DataError, match=rf"{file} is not the published file"):
            load(name, root=tmp_path)
        (tmp_path / file).write_bytes(content)
    load(name, root=tmp_path)


@pytest.mark.parametrize("name", KINDS)
def test_small_files_of_the_format_are_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = write_small(name, tmp_path, monkeypatch)
    data = load(name, root=tmp_path, validation=0)
    assert data.shape == (3, 32, 32)
    assert len(data.classes) == (10 if name == "cifar10" else 100)
    assert torch.equal(data.train.samples[:20].flatten(1), torch.from_numpy(pixels))
    assert data.test.labels.tolist() == list(range(10)) * 2


@pytest.mark.parametrize("name", KINDS)
def test_a_missing_file_is_named_with_the_remedy(name: str, tmp_path: Path) -> None:
    set_trap(name, tmp_path)
    gone = tmp_path / find(name).files[-1]
    gone.unlink()
    with pytest.raises(DataError, match=rf"no file {gone} \(1 of .*`onchip data fetch {name}`"):
        load(name, root=tmp_path)


def write_small(name: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> "np.ndarray[Any, Any]":
    """Twenty images a file in CIFAR's format, and torchvision told of their sums; returns the pixels."""
    kind: Any = KINDS[name]
    pixels = np.random.default_rng(0).integers(0, 256, (20, 3072), dtype=np.uint8)
    labels = "labels" if name == "cifar10" else "fine_labels"
    batch = {"data": pixels, labels: list(range(10)) * 2}
    names = {kind.meta["key"]: [f"class {i}" for i in range(10 if name == "cifar10" else 100)]}
    sums = {}
    for path in find(name).files:
        content = pickle.dumps(names if path.endswith("meta") else batch)
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(content)
        sums[Path(path).name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    for each in ("train_list", "test_list"):
        monkeypatch.setattr(kind, each, [[file, sums[file]] for file, _ in getattr(kind, each)])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": sums[kind.meta["filename"]]})
    return pixels


def test_the_listed_files_are_all_that_torchvision_opens() -> None:
    for name, kind in KINDS.items():
        opened = [file for file, _ in [*kind.train_list, *kind.test_list]] + [kind.meta["filename"]]
        assert {Path(file).name for file in find(name).files} == set(opened)
        assert {Path(file).parent.name for file in find(name).files} == {kind.base_folder}
    assert cifar.__all__ == list(KINDS)
