import pytest
import torch

from onchip.data import IMAGES, RECORDINGS, SEQUENCES, Dataset, SampleKind, Split, batches
from onchip.errors import DataError, RequestError


def make(n: int = 4, size: int = 3) -> Split:
    return Split(torch.zeros(n, 2, size, size, dtype=torch.uint8), torch.arange(n))


def test_a_split_has_a_length_and_a_device() -> None:
    split = make()
    assert len(split) == 4
    assert split.device == torch.device("cpu")


def test_take_keeps_images_with_their_labels() -> None:
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None]
    taken = Split(images, torch.arange(4)).take(torch.tensor([3, 1]))
    assert taken.labels.tolist() == [3, 1]
    assert taken.samples.flatten().tolist() == [3, 1]


def test_to_moves_images_and_labels() -> None:
    moved = make().to("meta")
    assert moved.device.type == moved.labels.device.type == "meta"


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (torch.zeros(2, 1, 3, 3), torch.arange(2), r"float32; expected .* torch.uint8"),
        (torch.zeros(2, 3, 3, dtype=torch.uint8), torch.arange(2), r"\(2, 3, 3\)"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.arange(2).int(), "int32; expected"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.zeros(2, 1).long(), r"labels \(2, 1\)"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.arange(3), "2 images and 3 labels"),
        (torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.arange(2, device="meta"), "one device"),
    ],
)
def test_a_split_refuses_tensors_that_do_not_fit(images: torch.Tensor, labels: torch.Tensor, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Split(images, labels)


def test_a_dataset_knows_its_shape_and_moves_whole() -> None:
    data = Dataset("x", ("a", "b", "c", "d"), make(), make(0), make(2))
    assert data.shape == (2, 3, 3)
    assert data.n_classes == 4
    moved = data.to("cpu")
    assert (moved.name, moved.classes) == (data.name, data.classes)
    assert (len(moved.train), len(moved.validation), len(moved.test)) == (4, 0, 2)


def test_a_dataset_refuses_labels_without_a_class() -> None:
    with pytest.raises(DataError, match=r"x: train has labels 0 to 3; expected 0 to 2"):
        Dataset("x", ("a", "b", "c"), make(4), make(0), make(2))


def test_a_dataset_refuses_splits_of_other_shapes() -> None:
    with pytest.raises(
        DataError, match=r"images of test are \(2, 5, 5\), those of train \(2, 3, 3\); expected one shape"
    ):
        Dataset("x", ("a", "b", "c", "d"), make(), make(0), make(2, size=5))


def sequences(labels: torch.Tensor, lengths: list[int] | None = None, steps: int = 5) -> Split:
    """Step t of sequence n is (100 n + t, -t)."""
    number, step = 100.0 * torch.arange(len(labels))[:, None], torch.arange(float(steps))
    samples = torch.stack([number + step, (-step).expand(len(labels), -1)], 2)  # (N, T, 2)
    return Split(samples, labels, SEQUENCES, None if lengths is None else torch.tensor(lengths))


def test_sequences_have_the_shape_of_one_step_and_the_number_of_steps() -> None:
    split = sequences(torch.arange(3), [5, 1, 2])
    assert (len(split), split.shape, split.steps) == (3, (2,), 5)
    assert Split(torch.zeros(2, 7, 1, 4, 4), torch.arange(2), SEQUENCES).shape == (1, 4, 4)
    taken = split.take(torch.tensor([2, 0])).to("cpu")
    assert taken.lengths is not None
    assert taken.lengths.tolist() == [2, 5]
    assert taken.kind == SEQUENCES


def test_a_batch_of_sequences_is_cut_to_its_longest_and_padding_has_no_target() -> None:
    first, last = batches(sequences(torch.tensor([4, 7, 6]), [2, 3, 5]), 2, shuffle=False)
    assert torch.equal(first[0][:, :, 0], torch.tensor([[0.0, 1, 2], [100, 101, 102]]))
    assert first[1].tolist() == [[4, 7], [4, 7], [-1, 7]], "(T, B)"
    assert last[0].shape == (1, 5, 2)
    assert last[1].tolist() == [[6]] * 5


def test_labels_of_steps_are_batched_with_time_first() -> None:
    labels = torch.tensor([[-1, -1, 3, 3, -1], [-1, 0, -1, 0, 0]])
    ((samples, per_step),) = batches(sequences(labels), 2, shuffle=False)
    assert torch.equal(per_step, labels.t())
    assert samples.shape == (2, 5, 2)
    split = sequences(labels, [4, 2])
    ((samples, per_step),) = batches(split, 2, shuffle=False)
    assert per_step.t().tolist() == [[-1, -1, 3, 3], [-1, 0, -1, -1]]
    assert split.sample_labels.tolist() == [3, 0]


def test_sequences_without_lengths_keep_one_label_per_sample() -> None:
    ((samples, labels),) = batches(sequences(torch.arange(3)), 3, shuffle=False)
    assert labels.tolist() == [0, 1, 2]
    assert float(samples.max()) == 204.0, "no number is scaled"


def test_bytes_of_sequences_are_counts() -> None:
    counts = Split(torch.full((2, 4, 3), 2, dtype=torch.uint8), torch.arange(2), SEQUENCES)
    ((samples, _),) = batches(counts, 2, shuffle=False)
    assert samples.dtype == torch.float32
    assert samples.unique().tolist() == [2.0]


@pytest.mark.parametrize(
    ("labels", "lengths", "said"),
    [
        (torch.arange(2), torch.tensor([3, 0]), "length of 0 for sequence 1; expected 1 to 5 time steps"),
        (torch.arange(2), torch.tensor([6, 1]), "length of 6 for sequence 0; expected 1 to 5 time steps"),
        (torch.arange(2), torch.tensor([3]), r"lengths \(1,\) .*one length per sequence"),
        (torch.arange(2), torch.tensor([3.0, 2.0]), r"float32 .*expected \(2,\) torch.int64"),
        (torch.full((2, 4), 1), None, r"labels of 4 steps for sequences of 5; expected \(N, T\)"),
        (torch.tensor([[-1] * 5, [0] * 5]), None, "no target at any time step of sequence 0"),
        (torch.tensor([[0] * 5, [-1] * 4 + [1]]), torch.tensor([5, 4]), "no target at any time step of sequence 1"),
        (torch.tensor([[0] * 5, [0, 0, -1, 1, 1]]), None, "targets of several classes of sequence 1"),
        (torch.zeros(2, 5, 1).long(), None, r"labels \(2, 5, 1\) .*expected \(N,\) or \(N, T\)"),
    ],
)
def test_a_split_refuses_labels_and_lengths_that_do_not_fit(
    labels: torch.Tensor, lengths: torch.Tensor | None, said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        Split(torch.zeros(2, 5, 3), labels, SEQUENCES, lengths)


@pytest.mark.parametrize("kind", [IMAGES, RECORDINGS])
def test_only_sequences_have_lengths_or_labels_of_steps(kind: SampleKind) -> None:
    samples = torch.zeros(2, *[3] * (kind.dimensions[0] - 1), dtype=torch.uint8)
    with pytest.raises(RequestError, match=f"got lengths for {kind.name}; expected none"):
        Split(samples, torch.arange(2), kind, torch.ones(2).long())
    with pytest.raises(RequestError, match=r"expected \(N,\) torch.int64"):
        Split(samples, torch.zeros(2, 3).long(), kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_sequences_are_finite(value: float) -> None:
    with pytest.raises(RequestError, match="sequences with NaN or infinity"):
        Split(torch.full((2, 3, 1), value), torch.arange(2), SEQUENCES)


def test_a_dataset_takes_splits_of_other_longest_sequences_but_of_one_kind() -> None:
    short = sequences(torch.arange(2), steps=2)
    data = Dataset("x", ("a", "b"), sequences(torch.arange(2)), short, short)
    assert (data.kind, data.shape, data.steps) == (SEQUENCES, (2,), 5)
    images = Split(torch.zeros(2, 1, 3, 3, dtype=torch.uint8), torch.arange(2))
    with pytest.raises(DataError, match="x: test holds images, train sequences; expected one kind"):
        Dataset("x", ("a", "b"), short, short, images)
    with pytest.raises(DataError, match="validation has labels -2 to 1; expected 0 to 1"):
        Dataset("x", ("a", "b"), short, sequences(torch.tensor([[-2] * 5, [1] * 5])), short)
