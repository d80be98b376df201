"""Small data files of the real formats, made by the tests; and no network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from onchip.data.datasets import find

Bytes = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def no_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is read from, or written to, the data or the cache of whoever runs the tests."""
    monkeypatch.setenv("ONCHIP_DATA", str(tmp_path / "default-root"))


def idx(array: Bytes) -> bytes:
    """An IDX file of unsigned bytes."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.fixture
def write_idx() -> Callable[[Path, Bytes], Path]:
    def write(path: Path, array: Bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(idx(array))
        return path

    return write


@pytest.fixture
def write_mnist_like() -> Callable[..., list[Path]]:
    """Writes the four files of a data set in MNIST's format: images of noise, labels 0, 1, 2, ..."""

    def write(name: str, root: Path, n_train: int = 40, n_test: int = 10) -> list[Path]:
        source = find(name)
        assert source.info is not None
        rng = np.random.default_rng(0)
        paths = [root / file for file in source.files]
        for (images, labels), n in zip((paths[:2], paths[2:]), (n_train, n_test), strict=True):
            images.parent.mkdir(parents=True, exist_ok=True)
            images.write_bytes(idx(rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)))
            labels.write_bytes(idx((np.arange(n) % min(10, source.info.classes)).astype(np.uint8)))
        return paths

    return write


@pytest.fixture
def write_pictures() -> Callable[..., Path]:
    """Writes folder/CLASS/0.png, 1.png, ... of noise, `n` a class."""

    def write(
        folder: Path, classes: tuple[str, ...] = ("cat", "dog"), n: int = 5, mode: str = "RGB", size: int = 6
    ) -> Path:
        rng = np.random.default_rng(len(folder.name))
        for name in classes:
            (folder / name).mkdir(parents=True, exist_ok=True)
            for i in range(n):
                shape = (size, size, 3) if mode == "RGB" else (size, size)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / name / f"{i}.png")
        return folder

    return write
