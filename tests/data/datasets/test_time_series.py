"""Sequences of a user's own, and those that come with the package."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import torch

import embed_japanese_vowels as script
from onchip.data import SEQUENCES, load
from onchip.data.datasets import find
from onchip.data.datasets.japanese_vowels import FILE
from onchip.data.standardized import standardized_splits
from onchip.errors import DataError, RequestError

HEADER = "@timeStamps false\n@missing false\n@classLabel true a b\n@data\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The beginning of the names of two files: three sequences to train on, two to test on."""
    (tmp_path / "Small_TRAIN.ts").write_text(HEADER + "1,3:5,5:a\n5:5:b\n1:5:b\n")
    (tmp_path / "Small_TEST.ts").write_text(HEADER + "100,2,3:7,5,4:b\n0:6:a\n")
    return tmp_path / "Small"


def test_channels_are_scaled_by_the_steps_to_train_on(files: Path) -> None:
    data = load(f"ts:{files}", validation=0)
    assert (data.kind, data.shape, data.steps, data.classes) == (SEQUENCES, (2,), 2, ("a", "b"))
    assert data.train.lengths is not None
    assert data.train.lengths.tolist() == [2, 1, 1]
    assert data.train.labels.tolist() == [0, 1, 1]
    mean, spread = 2.5, float(np.std([1, 3, 5, 1]))
    first = (torch.tensor([[1.0, 3.0], [5.0, 0.0], [1.0, 0.0]]) - mean) / spread
    first[1:, 1] = 0.0  # padding
    torch.testing.assert_close(data.train.samples[:, :, 0], first)
    assert data.train.samples[:, :, 1].abs().max() == 0.0, "a constant channel, without its mean"
    test = torch.tensor([[[100.0, 7.0], [2.0, 5.0], [3.0, 4.0]]])
    torch.testing.assert_close(
        data.test.samples[:1], (test - torch.tensor([mean, 5.0])) / torch.tensor([spread, 1.0]).float()
    )


def test_files_that_do_not_fit_each_other_are_named(files: Path) -> None:
    test = Path(f"{files}_TEST.ts")
    whole = test.read_text()
    test.write_text(whole.replace("true a b", "true b a"))
    with pytest.raises(DataError, match=rf"{test} has the classes b, a; expected those of .*TRAIN.ts, a, b"):
        load(f"ts:{files}")
    test.write_text(HEADER + "1:a\n")
    with pytest.raises(DataError, match=rf"{test} has 1 channels; expected 2"):
        load(f"ts:{files}")
    test.unlink()
    with pytest.raises(DataError, match=rf"{test} cannot be read"):
        load(f"ts:{files}")
    with pytest.raises(RequestError, match="ts: got no path; expected ts:PATH of two files"):
        load("ts:")


def test_the_scale_of_the_test_sequences_has_no_influence() -> None:
    train = [np.random.default_rng(0).normal(3.0, 2.0, (length, 2)) for length in (4, 6, 5)]
    for scale in (1.0, 1e6):
        split, _, _ = standardized_splits((train, [0, 1, 0]), ([scale * train[0]], [1]))
        assert split.lengths is not None
        own = torch.cat([one[:length] for one, length in zip(split.samples, split.lengths, strict=True)])
        torch.testing.assert_close(own.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
        torch.testing.assert_close(own.std(0, correction=0), torch.ones(2))


def test_japanese_vowels_are_the_published_utterances() -> None:
    data = load("japanese-vowels", validation=0)
    assert data.train.lengths is not None
    assert data.test.lengths is not None
    assert data.train.labels.bincount().tolist() == [30] * 9
    assert data.test.labels.bincount().tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = torch.cat([data.train.lengths, data.test.lengths])
    assert (int(lengths.min()), int(lengths.max()), int(lengths.sum())) == (7, 29, 9961)
    assert data.train.samples[0, 20:].abs().max() == 0.0, "the first has 20 steps"
    with np.load(FILE) as arrays:
        assert arrays["values"][0, :3].tolist() == [1_860_936, -207_383, 261_557], "as in the text"


def test_the_file_never_changes() -> None:
    with np.load(FILE) as arrays:
        parts = [arrays[name] for name in ("values", "lengths", "labels")]
    assert [(part.shape, part.dtype) for part in parts] == [
        ((9961, 12), np.int32), ((640,), np.uint8), ((640,), np.uint8)
    ]  # fmt: skip
    content = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
    assert content == "0fc9defe55dd0bc0720962efbc3fce82eb12f5dca6e30c97af6548c762f177a4"
    assert FILE.stat().st_size < 500_000


def test_the_script_stores_what_the_text_says(tmp_path: Path) -> None:
    (tmp_path / "JapaneseVowels_TRAIN.ts").write_text(HEADER + "1.5,-0.000001:2,3:b\n")
    (tmp_path / "JapaneseVowels_TEST.ts").write_text(HEADER + "0.25:1:a\n")
    with np.load(io.BytesIO(script.made(tmp_path))) as arrays:
        assert arrays["values"].tolist() == [[1_500_000, 2_000_000], [-1, 3_000_000], [250_000, 1_000_000]]
        assert arrays["lengths"].tolist() == [2, 1]
        assert arrays["labels"].tolist() == [1, 0]
    (tmp_path / "JapaneseVowels_TEST.ts").write_text(HEADER + "0.1234567:1:a\n")
    with pytest.raises(SystemExit, match="more than six digits"):
        script.made(tmp_path)


def test_they_need_no_file() -> None:
    assert find("japanese-vowels").files == ()
