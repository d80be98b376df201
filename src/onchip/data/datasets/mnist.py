"""MNIST and the data sets that took its format."""

import string
from pathlib import Path

from onchip.data.readers.idx import read_pair
from onchip.data.source import DatasetInfo, DatasetSource, RawSplits
from onchip.data.split import Split

DIGITS = tuple(string.digits)
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
# EMNIST's 47 balanced classes: letters whose two cases look alike are one (Cohen et al. 2017).
CHARACTERS = (*string.digits, *string.ascii_uppercase, *"abdefghnqrt")


def mnist() -> DatasetSource:
    """70,000 handwritten digits of 28×28 pixels.

    Reference: Y. LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE, 1998.
    """
    return _like_mnist("mnist", "MNIST", "MNIST", DIGITS, "LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/")


def fashion_mnist() -> DatasetSource:
    """70,000 articles of clothing, 28×28 pixels.

    Reference: H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017.
    """
    return _like_mnist("fashion-mnist", "Fashion-MNIST", "FashionMNIST", CLOTHES, "Xiao et al. 2017, arXiv:1708.07747")


def kmnist() -> DatasetSource:
    """70,000 cursive Japanese characters, 28×28 pixels.

    Reference: T. Clanuwat et al., Deep learning for classical Japanese literature, arXiv:1812.01718, 2018.
    """
    return _like_mnist("kmnist", "Kuzushiji-MNIST", "KMNIST", KANA, "Clanuwat et al. 2018, arXiv:1812.01718")


def emnist() -> DatasetSource:
    """131,600 handwritten digits and letters, 28×28 pixels: the balanced split, 47 classes.

    The files hold every image transposed; here it stands upright, like MNIST's.

    Reference: G. Cohen et al., EMNIST: an extension of MNIST to handwritten letters, arXiv:1702.05373, 2017.
    """
    reference = "Cohen et al. 2017, arXiv:1702.05373"
    info = DatasetInfo("emnist", "EMNIST balanced", (1, 28, 28), 47, 112_800, 18_800, reference)
    return _source(info, "EMNIST", ("emnist-balanced-train", "emnist-balanced-test"), CHARACTERS, transposed=True)


def _like_mnist(name: str, title: str, folder: str, classes: tuple[str, ...], reference: str) -> DatasetSource:
    info = DatasetInfo(name, title, (1, 28, 28), 10, 60_000, 10_000, reference)
    return _source(info, folder, ("train", "t10k"), classes)


def _source(
    info: DatasetInfo, folder: str, prefixes: tuple[str, str], classes: tuple[str, ...], *, transposed: bool = False
) -> DatasetSource:
    """A data set in two pairs of IDX files, `folder`/raw/`prefix`-{images-idx3,labels-idx1}-ubyte."""
    pairs = [(f"{folder}/raw/{p}-images-idx3-ubyte", f"{folder}/raw/{p}-labels-idx1-ubyte") for p in prefixes]

    def read(root: Path) -> RawSplits:
        train, test = (
            read_pair(root / images, root / labels, size=(info.shape[1], info.shape[2]), classes=len(classes))
            for images, labels in pairs
        )
        return RawSplits(classes, _upright(train), _upright(test)) if transposed else RawSplits(classes, train, test)

    def download(root: Path) -> None:
        from torchvision import datasets  # takes seconds, so on demand

        options = {"split": "balanced"} if folder == "EMNIST" else {}
        getattr(datasets, folder)(root, download=True, **options)

    return DatasetSource(info.name, info, tuple(file for pair in pairs for file in pair), read, download)


def _upright(split: Split) -> Split:
    return Split(split.samples.transpose(2, 3).contiguous(), split.labels)
