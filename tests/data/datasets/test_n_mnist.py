"""N-MNIST: events become frames, by hand; what is missing or damaged is named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from onchip.data import batches, check, load
from onchip.data.datasets.n_mnist import n_mnist
from onchip.encoding import Constant, Frames
from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from tests.data.event_files import bin_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two recordings a digit to train on and one to test on, each with its own digit's columns of events."""
    for split, names in (("Train", ("00001", "00007")), ("Test", ("00003",))):
        for digit in range(10):
            folder = tmp_path / "NMNIST" / split / str(digit)
            folder.mkdir(parents=True)
            for name in names:
                places = [(3 * digit + right, y) for right in range(3) for y in range(34)]
                events = [(x, y, y % 2, 26_250 * frame) for frame in range(12) for x, y in places]
                (folder / f"{name}.bin").write_bytes(bin_file(events))
    return tmp_path


def test_events_become_frames(tmp_path: Path, root: Path) -> None:
    events = [(5, 7, 1, 0), (5, 7, 1, 26_249), (33, 0, 0, 26_250), (0, 33, 1, 314_999), (1, 1, 0, 8_000_000)]
    (root / "NMNIST/Test/0/00003.bin").write_bytes(bin_file(events))
    frames = load("n-mnist", root=root).test.samples[0]
    found = [tuple(place) for place in frames.nonzero().tolist()]
    assert found == [(0, 1, 7, 5), (1, 0, 0, 33), (11, 0, 1, 1), (11, 1, 33, 0)], "(frame, polarity, y, x)"
    assert frames[0, 1, 7, 5] == 2, "two events"
    assert frames.sum() == 5
    halves = load("n-mnist:frames=2", root=root).test.samples[0]
    assert torch.equal(halves, torch.stack([frames[:6].sum(0), frames[6:].sum(0)]).to(torch.uint8))


def test_it_loads_as_recordings_in_order_of_class(root: Path) -> None:
    data = load("n-mnist", root=root, validation=0)
    assert (len(data.train), len(data.test), data.shape, data.steps) == (20, 10, (2, 34, 34), 12)
    assert data.train.labels.tolist() == [digit for digit in range(10) for _ in range(2)]
    images, _ = next(batches(data.train, 4, shuffle=False))
    spikes = Frames(3)(images)
    assert isinstance(spikes, torch.Tensor)
    assert spikes.shape == (3, 4, 2, 34, 34)
    expected = (images.view(4, 3, 4, 2, 34, 34).sum(2) > 0).float().transpose(0, 1)
    assert torch.equal(spikes, expected)


@pytest.mark.parametrize("augment", [None, "crop:1,cutout:2"])
def test_a_run_trains_on_it(augment: str | None, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHIP_DATA", str(root))
    spec = RunConfig(
        data="n-mnist", net="mlp", rule="opzo", epochs=15, steps=6, batch_size=10, lr=2e-3, augment=augment
    )
    record = train(spec, load_data(spec))
    assert record.encoder == "frames"
    assert record.test_accuracy is not None
    assert record.test_accuracy > 0.5, "each digit has columns of its own"


def test_what_does_not_fit_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONCHIP_DATA", str(root))
    data = load("n-mnist", root=root)
    images, _ = next(batches(data.train, 2, shuffle=False))
    with pytest.raises(RequestError, match="Frames got steps=5 for recordings of 12 frames"):
        Frames(5)(images)
    with pytest.raises(RequestError, match=r"Frames got images of shape \(2, 2, 34, 34\); expected recordings"):
        Frames(4)(images[:, 0])
    with pytest.raises(RequestError, match=r"Constant got recordings of shape .*Use Frames"):
        Constant(4)(images)
    spec = RunConfig(data="n-mnist", net="mlp", augment="crop:2,autoaugment")
    with pytest.raises(RequestError, match=r"AutoAugment got samples of shape \(12, 2, 34, 34\); expected images"):
        train(spec, load_data(spec))
    for wrong in ("0", "1001", "2.5", "many"):
        with pytest.raises(RequestError, match=r"n-mnist'?,? .*frames"):
            load(f"n-mnist:frames={wrong}", root=root)
    spec = RunConfig(data="n-mnist", neuron="ttfs", net="mlp")
    with pytest.raises(RequestError, match=r"'frames' makes .* expected LIF or IF"):
        train(spec, load_data(spec))


def test_missing_and_damaged_files_are_named(root: Path) -> None:
    with pytest.raises(DataError, match=r"expected \(\(2, 34, 34\), 12, 10, 60000, 10000\)"):
        check("n-mnist", root)
    odd = root / "NMNIST/Train/4/00001.bin"
    kept = odd.read_bytes()
    odd.write_bytes(kept[:-1])
    with pytest.raises(DataError, match=rf"{odd} is 6119 bytes long; expected 5 for each of its events"):
        load("n-mnist", root=root)
    odd.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{odd} is 0 bytes long; expected 5 for each of its events"):
        load("n-mnist", root=root)
    odd.write_bytes(bin_file([(34, 0, 0, 0)]))
    with pytest.raises(DataError, match=r"event at \(34, 0\), number 0; expected x < 34"):
        load("n-mnist", root=root)
    odd.write_bytes(bin_file([(1, 1, 0, 9), (1, 1, 0, 8)]))
    with pytest.raises(DataError, match=rf"{odd} has events out of order"):
        load("n-mnist", root=root)
    odd.write_bytes(kept)
    (root / "NMNIST/Test/9/00003.bin").unlink()
    with pytest.raises(DataError, match=r"Test/9 holds no recording"):
        load("n-mnist", root=root)
    (root / "NMNIST/Test/9").rmdir()
    with pytest.raises(DataError, match=r"n-mnist: no file .*NMNIST/Test/9 .*onchip data fetch n-mnist"):
        load("n-mnist", root=root)


def test_without_tonic_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tonic.datasets", None)
    with pytest.raises(DataError, match=r"n-mnist could not be downloaded.*pip install onchip\[events\]"):
        n_mnist().fetch(tmp_path)
