from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onchip.data import SEQUENCES, Flip, Split, batches
from onchip.data.readers.sample_file import SampleFile
from onchip.errors import RequestError


def make(n: int) -> Split:
    """Image i is of brightness i, and so is its label."""
    brightness = torch.arange(n, dtype=torch.uint8)
    return Split(brightness[:, None, None, None].expand(n, 1, 2, 2).contiguous(), brightness.long())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(st.integers(0, 40), st.integers(1, 50), st.booleans(), st.booleans())
def test_a_pass_gives_every_image_once_with_its_label(n: int, batch_size: int, shuffle: bool, drop_last: bool) -> None:
    seen: list[int] = []
    for images, labels in batches(make(n), batch_size, generator=seeded(), shuffle=shuffle, drop_last=drop_last):
        assert images.dtype == torch.float32
        assert torch.equal((images * 255).round().long()[:, 0, 0, 0], labels)
        assert len(labels) == batch_size or (not drop_last and len(labels) == n % batch_size)
        seen += labels.tolist()
    assert len(seen) == (n // batch_size * batch_size if drop_last else n)
    assert len(set(seen)) == len(seen)
    assert shuffle or seen == list(range(len(seen)))


def test_bytes_become_floats_from_0_to_1() -> None:
    split = Split(torch.tensor([0, 51, 255], dtype=torch.uint8).view(3, 1, 1, 1), torch.zeros(3).long())
    ((images, _),) = batches(split, 3, shuffle=False)
    assert torch.equal(images.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    assert split.samples.flatten().tolist() == [0, 51, 255]


def test_an_equal_generator_gives_equal_batches_and_the_next_pass_others() -> None:
    def one_pass(generator: torch.Generator) -> list[int]:
        return [int(i) for _, labels in batches(make(20), 6, generator=generator) for i in labels]

    generator = seeded(3)
    first, second = one_pass(generator), one_pass(generator)
    assert first == one_pass(seeded(3))
    assert first != second


def test_augment_changes_images_and_no_label() -> None:
    def darken(images: Tensor, _: torch.Generator) -> Tensor:
        return images * 0

    ((images, labels),) = batches(make(5), 5, generator=seeded(), augment=darken, shuffle=False)
    assert labels.tolist() == [0, 1, 2, 3, 4]
    assert images.max() == 0


def test_batches_go_to_the_device_asked_for() -> None:
    for images, labels in batches(make(5), 2, shuffle=False, device="meta"):
        assert images.device.type == labels.device.type == "meta"


@given(st.integers(0, 30), st.integers(1, 12), st.integers(1, 5), st.booleans(), st.booleans())
def test_shares_of_ranks_are_the_batches_of_one_process(
    n: int, batch_size: int, size: int, shuffle: bool, drop_last: bool
) -> None:
    def one_pass(**options: Any) -> list[tuple[Tensor, Tensor]]:
        return list(batches(make(n), batch_size, generator=seeded(), shuffle=shuffle, drop_last=drop_last, **options))

    ranks = [one_pass(part=(rank, size)) for rank in range(size)]
    for (images, labels), *shares in zip(one_pass(), *ranks, strict=True):
        lengths = [len(own) for _, own in shares]
        assert lengths == sorted(lengths, reverse=True)
        assert max(lengths) - min(lengths) <= 1
        assert torch.equal(torch.cat([own for own, _ in shares]), images)
        assert torch.equal(torch.cat([own for _, own in shares]), labels)


def test_a_rank_reads_its_share_alone() -> None:
    split = make(10)
    seen: list[int] = []

    class Stored:
        shape, ndim, dtype, device = split.stored.shape, split.stored.ndim, split.stored.dtype, split.stored.device

        def __len__(self) -> int:
            return 10

        def __getitem__(self, index: Tensor) -> Tensor:
            seen.append(len(index))
            return split.samples[index]

    recorded = Split(Stored(), split.labels)  # type: ignore[arg-type]
    assert sum(len(labels) for _, labels in batches(recorded, 4, generator=seeded(), part=(1, 2))) == 5
    assert seen == [2, 2, 1]


@pytest.mark.parametrize("part", [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_from_the_disk_are_those_from_memory(part: tuple[int, int], shuffle: bool, tmp_path: Path) -> None:
    split = make(11)
    file = SampleFile(tmp_path / "a.npy", "a" * 64, 11)
    file.write([split.samples.numpy()])
    stored = file.read()
    assert stored is not None
    chosen = torch.tensor([1, 3, 4, 5, 9, 2, 0])
    there = Split(stored, split.labels).take(chosen)
    passes = [batches(each, 3, generator=seeded(), shuffle=shuffle, part=part) for each in (there, split.take(chosen))]
    for (images, labels), (expected, wanted) in zip(*passes, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, wanted)
    away = Split(stored.to("meta", room=0), split.labels.to("meta"))  # as on a GPU without room for all
    for images, labels in batches(away, 4, generator=seeded(), shuffle=shuffle, part=part):
        assert images.device.type == labels.device.type == "meta"


@pytest.mark.parametrize("rank", [0, 1])
def test_the_time_steps_of_a_share_are_those_of_the_whole_batch(rank: int) -> None:
    lengths = torch.tensor([2, 1, 5, 3])
    split = Split(torch.randn(4, 6, 2), torch.arange(4), SEQUENCES, lengths)
    ((whole, labels),) = batches(split, 4, shuffle=False)
    ((own, targets),) = batches(split, 4, shuffle=False, part=(rank, 2))
    assert own.shape == (2, 5, 2)
    assert torch.equal(own, whole[2 * rank : 2 * rank + 2])
    assert torch.equal(targets, labels[:, 2 * rank : 2 * rank + 2])


@pytest.mark.parametrize(
    ("batch_size", "options", "said"),
    [
        (0, {"shuffle": False}, "batch_size=0; expected"),
        (2.5, {"shuffle": False}, "batch_size=2.5; expected"),
        (2, {}, "no generator"),
        (2, {"shuffle": False, "augment": Flip()}, "no generator"),
        (2, {"shuffle": False, "part": (2, 2)}, r"part=\(2, 2\); expected"),
        (2, {"shuffle": False, "part": (0, 0)}, r"part=\(0, 0\); expected"),
        (2, {"shuffle": False, "part": (-1, 2)}, r"part=\(-1, 2\); expected"),
    ],
)
def test_a_wrong_request_is_refused_before_the_first_batch(batch_size: int, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        batches(make(4), batch_size, **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_pass_is_the_same_wherever_the_split_is() -> None:
    here = list(batches(make(20), 6, generator=seeded(), augment=Flip(), device="cuda"))
    there = list(batches(make(20).to("cuda"), 6, generator=seeded(), augment=Flip()))
    assert all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(here, there, strict=True))
