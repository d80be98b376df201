import pytest
import torch

from onchip.data import Dataset, Split
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
    assert taken.images.flatten().tolist() == [3, 1]


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
    with pytest.raises(DataError, match=r"images of test are \(2, 5, 5\), those of train \(2, 3, 3\) \(C, H, W\)"):
        Dataset("x", ("a", "b", "c", "d"), make(), make(0), make(2, size=5))
