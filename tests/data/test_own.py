"""A user's own samples: tensors, torch data sets and loaders."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from onchip.data import IMAGES, SEQUENCES, Split, batches
from onchip.data import Dataset as Splits
from onchip.data.loading import divided
from onchip.data.own import own_split, own_splits
from onchip.data.sample_source import SampleSource
from onchip.data.samples import FEATURES, FLOAT_IMAGES, SampleKind
from onchip.errors import DataError, RequestError

N = 23
INPUTS = torch.arange(N * 4).view(N, 1, 2, 2) / (N * 4)
LABELS = torch.arange(N) % 3


class Indexed(Dataset[Any]):
    def __init__(self, inputs: Tensor = INPUTS, labels: Tensor = LABELS) -> None:
        self.inputs, self.labels = inputs, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.inputs[index], int(self.labels[index])


class Iterated(IterableDataset[Any]):
    def __init__(self, samples: int = N) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return (Indexed()[index] for index in range(self.samples))


FORMS: dict[str, Any] = {
    "pair": lambda: (INPUTS, LABELS),
    "list": lambda: [INPUTS.numpy(), LABELS.numpy()],
    "tensors": lambda: TensorDataset(INPUTS, LABELS),
    "dataset": Indexed,
    "iterable": Iterated,
    "loader": lambda: DataLoader(Indexed(), batch_size=5),
    "shuffled loader": lambda: DataLoader(Indexed(), batch_size=5, shuffle=True),
    "split": lambda: Split(INPUTS, LABELS, FLOAT_IMAGES),
    "sampled": lambda: DataLoader(Indexed(), 5, sampler=RandomSampler(Indexed(), generator=torch.Generator())),
    "batches": lambda: DataLoader(Indexed(), batch_sampler=[[3, 4, 5, 6, 7], [0, 1], [*range(8, 23)], [2]]),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sorted_pass(split: SampleSource, **options: Any) -> tuple[Tensor, Tensor]:
    passed = list(batches(split, 5, **options))
    inputs, labels = torch.cat([inputs for inputs, _ in passed]), torch.cat([labels for _, labels in passed])
    order = inputs[:, 0, 0, 0].argsort()
    return inputs[order], labels[order]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_brings_every_sample_once_with_its_label(form: str) -> None:
    split = own_split(FORMS[form](), "train")
    assert (len(split), split.kind, split.shape, split.sample_shape) == (N, FLOAT_IMAGES, (1, 2, 2), (1, 2, 2))
    assert split.sample_labels.bincount().tolist() == [8, 8, 7]
    for options in ({"shuffle": False}, {"generator": seeded()}):
        inputs, labels = sorted_pass(split, **options)
        assert torch.equal(inputs, INPUTS)
        assert torch.equal(labels, LABELS)
    sizes = [len(labels) for _, labels in batches(split, 5, shuffle=False)]
    assert len(sizes) == split.n_batches(5)
    assert sizes == ([5, 2, 15, 1] if form == "batches" else [5, 5, 5, 5, 3])
    assert split.batch_size == {"batches": 15}.get(form, 5 if "loader" in form or form == "sampled" else None)


@pytest.mark.parametrize("form", ["dataset", "shuffled loader", "sampled"])
def test_the_order_comes_from_the_generator_of_a_pass_alone(form: str) -> None:
    split = own_split(FORMS[form](), "train")

    def order(generator: torch.Generator) -> list[float]:
        return [float(x) for inputs, _ in batches(split, 5, generator=generator) for x in inputs[:, 0, 0, 0]]

    generator, torch_before = seeded(7), torch.get_rng_state()
    first, second = order(generator), order(generator)
    assert torch.equal(torch.get_rng_state(), torch_before), "the caller's draws are others"
    assert first != second
    torch.rand(3)
    again = seeded(7)
    assert [order(again), order(again)] == [first, second]
    assert order(seeded(8)) != first


def test_draws_of_samples_come_from_the_generator_too() -> None:
    class Noisy(Indexed):
        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            inputs, label = super().__getitem__(index)
            return inputs * torch.rand(()), label

    split = own_split(Noisy(), "train")
    one, two, other = (list(batches(split, 5, generator=seeded(seed))) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(one, two, strict=True))
    assert not all(torch.equal(a, b) for (a, _), (b, _) in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("inputs", "kind", "shape", "steps"),
    [
        (torch.zeros(3, 1, 2, 2, dtype=torch.uint8), IMAGES, (1, 2, 2), None),
        (torch.zeros(3, 1, 2, 2, dtype=torch.float64), FLOAT_IMAGES, (1, 2, 2), None),
        (torch.zeros(3, 1, 2, 2, dtype=torch.bool), FLOAT_IMAGES, (1, 2, 2), None),
        (torch.zeros(3, 7, dtype=torch.float16), FEATURES, (7,), None),
        (-torch.ones(3, 6, 7), SEQUENCES, (7,), 6),
        (torch.zeros(3, 6, 7, dtype=torch.bool), SEQUENCES, (7,), 6),
        (torch.ones(3, 6, 2, 4, 4, dtype=torch.uint8), SEQUENCES, (2, 4, 4), 6),
        (np.zeros((3, 7), np.float64), FEATURES, (7,), None),
    ],
)
@pytest.mark.parametrize("labels", [torch.arange(3), torch.arange(3, dtype=torch.int32), np.arange(3)])
def test_tensors_are_what_their_type_and_axes_say(
    inputs: Any, labels: Any, kind: SampleKind, shape: tuple[int, ...], steps: int | None
) -> None:
    split = own_split((inputs, labels), "train")
    assert (split.kind, split.shape, split.steps) == (kind, shape, steps)
    drawn, targets = next(batches(split, 3, shuffle=False))
    assert drawn.dtype == torch.float32
    assert torch.equal(drawn, torch.as_tensor(inputs).float())
    assert targets.tolist() == [0, 1, 2]


@pytest.mark.parametrize("form", ["tensors", "dataset", "loader"])
def test_sequences_may_have_lengths_and_labels_per_step(form: str) -> None:
    inputs, lengths = torch.randn(4, 6, 2), torch.tensor([6, 2, 3, 1])
    labels = torch.tensor([[1] * 6, [0] * 6, [-1, 2, -1, 1, 1, 1], [0] * 6])
    whole = TensorDataset(inputs, labels, lengths)

    class Triples(Dataset[Any]):
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Any:
            return whole[index]

    split = own_split({"tensors": whole, "dataset": Triples(), "loader": DataLoader(Triples(), 2)}[form], "train")
    expected = list(Split(inputs, labels, SEQUENCES, lengths).draw(2, None))
    assert split.sample_labels.tolist() == [1, 0, 2, 0]
    for (samples, targets), (e_samples, e_targets) in zip(split.draw(2, None), expected, strict=True):
        assert torch.equal(samples, e_samples)
        assert torch.equal(targets, e_targets)
    assert expected[1][1].tolist() == [[-1, 0], [2, -1], [-1, -1]], "what is beyond the length has no target"


@pytest.mark.parametrize("form", ["pair", "dataset", "iterable", "loader", "shuffled loader", "batches"])
def test_ranks_share_the_batches_of_one_process(form: str) -> None:
    split = own_split(FORMS[form](), "train")
    ranks = [list(batches(split, 5, generator=seeded(), part=(rank, 3))) for rank in range(3)]
    for (inputs, labels), *shares in zip(batches(split, 5, generator=seeded()), *ranks, strict=True):
        assert torch.equal(torch.cat([own for own, _ in shares]), inputs)
        assert torch.equal(torch.cat([own for _, own in shares]), labels)


def test_a_dataset_is_divided_as_tensors_are() -> None:
    parts = own_splits((Indexed(), (INPUTS, LABELS)), "own")
    divisions = [divided("own", each, train_size=12, validation=0.2) for each in (parts, tensors())]
    for part in ("train", "validation", "test"):
        one, other = (getattr(division, part) for division in divisions)
        assert torch.equal(one.sample_labels, other.sample_labels)
        for a, b in zip(one.draw(4, None), other.draw(4, None), strict=True):
            assert torch.equal(a[0], b[0])
            assert torch.equal(a[1], b[1])


def tensors() -> Any:
    return own_splits(((INPUTS, LABELS), (INPUTS, LABELS)), "own")


@pytest.mark.parametrize("form", ["loader", "iterable"])
def test_a_loader_is_not_divided(form: str) -> None:
    parts = own_splits((FORMS[form](), (INPUTS, LABELS)), "own")
    for share, size in ((0.1, None), (0.0, 5)):
        with pytest.raises(RequestError, match="own, train cannot be divided, because a loader brings it"):
            divided("own", parts, validation=share, train_size=size)
    assert len(divided("own", parts, validation=0.0).validation) == 0
    three = own_splits((FORMS[form](), (INPUTS[:4], LABELS[:4]), (INPUTS, LABELS)), "own")
    assert len(divided("own", three, validation=0.1).validation) == 4


def test_a_whole_data_set_is_taken_as_it_is() -> None:
    split = Split(INPUTS, LABELS, FLOAT_IMAGES)
    whole = Splits("mine", ("a", "b", "c", "d"), split, split.take(torch.arange(0)), split)
    parts = own_splits(whole, "own")
    assert (parts.classes, parts.train, parts.validation) == (whole.classes, split, None)
    assert own_splits(dataclasses.replace(whole, validation=split), "own").validation is split


WRONG: dict[str, tuple[Any, str]] = {
    "nothing": (None, r"own returned None; expected an onchip\.data\.Dataset, \(train, test\)"),
    "a number": (3, "own returned a int"),
    "one": (((INPUTS, LABELS),), "own returned a tuple of 1"),
    "a pair of tensors": ((INPUTS, LABELS), "own, train: got a Tensor; expected a torch Dataset, a DataLoader"),
    "a text": (("train", "test"), "own, train: got a str"),
    "no test": (((INPUTS, LABELS), None), "own, test: got None"),
    "four": (((INPUTS, LABELS, LABELS, LABELS), (INPUTS, LABELS)), "got 4 tensors; expected inputs and labels"),
    "no batch": (((torch.tensor(1.0), LABELS), (INPUTS, LABELS)), "got inputs as a single number"),
    "strings": (((INPUTS, ["a"] * N), (INPUTS, LABELS)), "labels of type list; expected a tensor"),
    "objects": (((np.array(["a"] * N), LABELS), (INPUTS, LABELS)), "inputs of type ndarray; expected a tensor"),
    "float labels": (((INPUTS, LABELS.float()), (INPUTS, LABELS)), "got labels of torch.float32; expected whole"),
    "one-hot labels": (((INPUTS, torch.eye(3)[LABELS].long()), (INPUTS, LABELS)), r"got labels \(23, 3\)"),
    "fewer labels": (((INPUTS, LABELS[:4]), (INPUTS, LABELS)), "got 23 images and 4 labels"),
    "negative labels": (((INPUTS, LABELS - 1), (INPUTS, LABELS)), "own, train has labels -1 to 1; expected"),
    "huge labels": (((INPUTS, LABELS + 10**12), (INPUTS, LABELS)), "expected classes counted from 0, 100,000"),
    "one class": (((INPUTS, LABELS * 0), (INPUTS, LABELS * 0)), "all labels are 0; expected at least two classes"),
    "numbers": (((INPUTS * 2, LABELS), (INPUTS, LABELS)), r"own, train: got images in \[0, 1\.978.*values in \[0, 1\]"),
    "NaN": (((INPUTS / 0, LABELS), (INPUTS, LABELS)), r"values in \[0, 1\], and no NaN"),
    "NaN in sequences": (((INPUTS[:, 0] / 0, LABELS), (INPUTS, LABELS)), "sequences with NaN or infinity"),
    "whole numbers": (((INPUTS.long(), LABELS), (INPUTS, LABELS)), r"inputs of torch\.int64.*with \.float\(\)"),
    "one axis": (((INPUTS[:, 0, 0, 0], LABELS), (INPUTS, LABELS)), r"inputs \(23,\) torch\.float32; expected floats"),
    "bytes of two axes": (((INPUTS[:, 0, 0].byte(), LABELS), (INPUTS, LABELS)), r"inputs \(23, 2\) torch\.uint8"),
    "a length of 0": (((INPUTS[:, 0], LABELS, LABELS), (INPUTS, LABELS)), "a length of 0 for sequence 0"),
    "lengths of images": (((INPUTS, LABELS, LABELS), (INPUTS, LABELS)), "got lengths for images"),
    "no samples": (((INPUTS[:0], LABELS[:0]), (INPUTS, LABELS)), "own, train has no samples"),
    "an empty set": ((Indexed(INPUTS[:0], LABELS[:0]), (INPUTS, LABELS)), "own, train: it has no samples"),
    "an empty loader": ((Iterated(0), (INPUTS, LABELS)), "own, train: it has no samples"),
}


@pytest.mark.parametrize("what", WRONG)
def test_anything_else_is_refused_by_name(what: str) -> None:
    returned, message = WRONG[what]
    with pytest.raises(RequestError, match=message) as caught:
        own_splits(returned, "own")
    assert "\n" not in str(caught.value)


class Wrong(Indexed):
    """Samples of which the one at index 9 is wrong."""

    def __init__(self, wrong: Any) -> None:
        super().__init__()
        self.wrong = wrong

    def __getitem__(self, index: int) -> Any:
        if index != 9:
            return super().__getitem__(index)
        return self.wrong() if callable(self.wrong) else self.wrong


def failing() -> Any:
    raise KeyError("gone\nfor good")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (failing, r"^own, train failed in .*test_own\.py, line \d+: KeyError: .gone.*for good.$"),
        ((INPUTS[0] * 0 + 2, 0), r"^own, train, batch 1: got images in \[0, 2\]"),
        ((INPUTS[0] / 0, 0), r"^own, train, batch 1: .*no NaN"),
        ((INPUTS[0], 0.5), r"^own, train, batch 1: got labels of torch\.float"),
        ((INPUTS[0, :, :1], 0), r"^own, train failed.*RuntimeError"),
        (INPUTS[0], "own, train failed|own, train, batch 1"),
    ],
)
def test_a_wrong_sample_of_a_loader_is_found_before_training(wrong: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        own_splits((Wrong(wrong), (INPUTS, LABELS)), "own", Path(__file__))
    assert "\n" not in str(caught.value)


def test_batches_that_are_no_pairs_are_refused() -> None:
    for items in (torch.zeros(5, 3), [{"x": 1}] * 5):
        with pytest.raises(DataError, match=r"train, batch 1: it is a (Tensor|dict); expected \(inputs, labels\)"):
            own_split(DataLoader(items, batch_size=2), "train")  # type: ignore[arg-type]


def test_batches_of_several_shapes_are_refused() -> None:
    class Two(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Any]:
            yield torch.zeros(4, 1, 2, 2), LABELS[:4]
            yield torch.zeros(4, 1, 3, 3), LABELS[:4]

    with pytest.raises(RequestError, match=r"train: it has images of \(1, 2, 2\) and \(1, 3, 3\); expected samples of"):
        own_split(DataLoader(Two(), batch_size=None), "train")


class Changing(IterableDataset[Any]):
    """Samples that change after some passes."""

    def __init__(self, after: int, samples: int = N, label: int | None = None, side: int = 2) -> None:
        self.after, self.samples, self.label, self.side = after, samples, label, side

    def __iter__(self) -> Iterator[Any]:
        self.after -= 1
        for index in range(N if self.after >= 0 else self.samples):
            inputs, label = INPUTS[index], int(LABELS[index])
            if self.after < 0:
                inputs = inputs[:, : self.side]
                label = label if self.label is None else self.label
            yield inputs, label


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 9}, "train brought 9 samples, but 23 in the pass before training"),
        ({"samples": 0}, "train brought 0 samples, but 23"),
        ({"label": 3}, "train brought the label 3; in the pass before training, labels were below 3"),
        ({"side": 1}, r"train brought images of \(1, 1, 2\); expected images of \(1, 2, 2\)"),
    ],
)
def test_a_loader_that_changes_is_noticed(changes: dict[str, Any], message: str) -> None:
    split = own_split(Changing(2, **changes), "train")
    assert len(list(split.draw(5, None))) == 5
    with pytest.raises(DataError, match=message):
        list(split.draw(5, None))


def test_a_batch_is_read_when_it_is_needed_and_not_kept() -> None:
    read = 0

    class Lazy(Iterated):
        def __iter__(self) -> Iterator[Any]:
            nonlocal read
            for sample in super().__iter__():
                read += 1
                yield sample

    split = own_split(Lazy(), "train")
    kept = [value for value in vars(split).values() if isinstance(value, Tensor)]
    assert [value.tolist() for value in kept] == [LABELS.tolist()]
    assert read == N
    drawn = split.draw(5, None)
    assert read == N
    next(drawn)
    assert read == N + 5


@pytest.mark.parametrize("seed", range(4))
def test_random_returns_are_taken_or_refused(seed: int) -> None:
    """Whatever a function returns: samples that can be drawn, or one error in one line."""
    draw = random.Random(seed)

    def shape() -> tuple[int, ...]:
        return tuple(draw.choice((0, 1, 2, 3, 4)) for _ in range(draw.randint(0, 6)))

    def tensor() -> Any:
        made = torch.randn(shape()) * draw.choice((0.1, 1.0, 100.0))
        return made.abs().to(draw.choice((torch.float32, torch.float64, torch.uint8, torch.int64, torch.bool)))

    def samples() -> Any:
        inputs = torch.randn(4, 3, 2) if draw.random() < 0.8 else tensor()
        labels = torch.arange(4) % 2 if draw.random() < 0.8 else draw.choice((tensor(), torch.arange(4) - 1))
        pair: Any = (inputs, labels, torch.arange(4)) if draw.random() < 0.2 else (inputs, labels)
        pair = draw.choice(((inputs,), inputs, None, 3, "x")) if draw.random() < 0.2 else pair
        if isinstance(pair, tuple) and draw.random() < 0.4:
            try:
                data = TensorDataset(*pair)
            except (AssertionError, IndexError):
                return pair
            return draw.choice((data, DataLoader(data, batch_size=2), DataLoader(data, batch_size=None)))
        return pair

    taken, said = 0, list[str]()
    for _ in range(250):
        returned = draw.choice((tuple, list))(samples() for _ in range(draw.choice((2, 2, 2, 3, 1))))
        try:
            data = divided("own", own_splits(returned, "own"), validation=draw.choice((0.0, 0.3)))
        except (RequestError, DataError) as error:
            said.append(str(error))
            continue
        taken += 1
        for split in (data.train, data.validation, data.test):
            for inputs, labels in batches(split, 2, generator=seeded()):
                assert inputs.shape[0] == labels.shape[-1]
                assert torch.isfinite(inputs).all()
                assert -1 <= int(labels.min()) <= int(labels.max()) < data.n_classes
    assert taken, said[:5]
    assert not any("\n" in message for message in said)
