from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import onchip.data.datasets as datasets_package
from onchip.data import check, describe, fetch, load, status
from onchip.data.datasets import find
from onchip.errors import DataError, RequestError

Write = Callable[..., list[Path]]
NAMES = [info.name for info in describe()]


def test_every_export_is_described_by_the_name_it_loads_under() -> None:
    assert [name.replace("_", "-") for name in datasets_package.__all__] == NAMES == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_states_its_facts(name: str) -> None:
    source = find(name)
    info = source.info
    assert info is not None
    assert info.name == source.name == name
    assert len(info.shape) + info.kind.leading in info.kind.dimensions
    assert (info.steps is None) != info.kind.over_time
    assert min(info.classes, info.train, info.test) > 1
    assert info.reference
    assert info.embedded == (not source.files) == (source.download is None)


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_loads_or_says_what_is_missing(name: str, tmp_path: Path) -> None:
    if find(name).files:
        with pytest.raises(DataError, match=rf"no file {tmp_path}.*onchip data fetch {name}"):
            load(name, root=tmp_path)
    else:
        assert load(name, root=tmp_path).name == name


def test_status_tells_what_is_there(tmp_path: Path, write_mnist_like: Write) -> None:
    paths = write_mnist_like("mnist", tmp_path)
    write_mnist_like("kmnist", tmp_path)[0].unlink()
    found = {each.info.name: each for each in status(tmp_path)}
    assert list(found) == NAMES
    assert {name for name, each in found.items() if each.present and not each.info.embedded} == {"mnist"}
    assert all(each.present for each in found.values() if each.info.embedded)
    assert found["kmnist"].missing == (tmp_path / "KMNIST/raw/train-images-idx3-ubyte",)
    assert paths[0].parent == tmp_path / "MNIST/raw"


def test_check_reads_the_embedded_data_set() -> None:
    found = check("digits")
    assert (found.train, found.validation, found.test) == (1438, 0, 359)
    assert found.shape == (1, 8, 8)


def test_check_refuses_numbers_that_were_not_published(tmp_path: Path, write_mnist_like: Write) -> None:
    write_mnist_like("mnist", tmp_path, 40, 10)
    with pytest.raises(DataError, match=r"None, 10, 40, 10\); expected \(\(1, 28, 28\), None, 10, 60000, 10000\)"):
        check("mnist", tmp_path)


def test_check_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no file"):
        check("cifar10", tmp_path)


def test_fetch_downloads_through_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_mnist_like: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchvision import datasets

    def pretend(root: Path, **options: Any) -> None:
        print("Extracting")
        assert options == {"download": True}
        write_mnist_like("fashion-mnist", root)

    monkeypatch.setattr(datasets, "FashionMNIST", pretend)
    assert fetch("fashion-mnist", tmp_path / "new").present
    assert capsys.readouterr().out == ""  # standard output is for what the user asked for


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_fetch_does_nothing_where_nothing_is_missing(name: str, tmp_path: Path, write_mnist_like: Write) -> None:
    write_mnist_like("mnist", tmp_path)
    assert fetch(name, tmp_path).present


@pytest.mark.parametrize("name", [name for name in NAMES if find(name).files])
def test_fetch_reports_a_network_that_is_not_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{name} could not be downloaded to {tmp_path}"):
        fetch(name, tmp_path)


def test_fetch_refuses_a_folder_of_the_users_own(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="data of your own"):
        fetch(f"folder:{tmp_path}", tmp_path)
