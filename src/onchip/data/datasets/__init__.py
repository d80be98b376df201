"""The data sets, one function each.

`__all__` is the registry: the command line and `onchip.data.load` take these names, with hyphens, and options by
keyword. To add a data set, write a function that returns its `DatasetSource` and export it here.
"""

from collections.abc import Callable

from onchip.data.datasets.cifar import cifar10, cifar100
from onchip.data.datasets.digits import digits
from onchip.data.datasets.dvs_cifar10 import dvs_cifar10
from onchip.data.datasets.dvs_gesture import dvs_gesture
from onchip.data.datasets.folder import folder
from onchip.data.datasets.mnist import emnist, fashion_mnist, kmnist, mnist
from onchip.data.datasets.n_mnist import n_mnist
from onchip.data.datasets.shd import shd
from onchip.data.source import DatasetSource
from onchip.errors import unknown_name
from onchip.runs.grammar import bind, parse

__all__ = [
    "cifar10",
    "cifar100",
    "digits",
    "dvs_cifar10",
    "dvs_gesture",
    "emnist",
    "fashion_mnist",
    "kmnist",
    "mnist",
    "n_mnist",
    "shd",
]

PREFIX = "folder:"  # a user's own pictures have a path as their name, so they are in no list


def registry() -> dict[str, Callable[..., DatasetSource]]:
    """The exported functions, by the names that users type."""
    return {name.replace("_", "-"): globals()[name] for name in __all__}


def find(name: str) -> DatasetSource:
    """The data set of that name, with options such as `dvs-gesture:frames=20;size=48`, or the folder in `folder:PATH`.

    Raises:
        RequestError: there is no data set of that name, or an option does not exist or is out of its range.
    """
    if name.startswith(PREFIX):
        return folder(name.removeprefix(PREFIX))
    known = registry()
    base, options, _ = name.partition(":")
    if base not in known:
        raise unknown_name("data set", name, [*known, f"{PREFIX}PATH"])
    return known[base](**bind(f"data set {base!r}", known[base], parse(name).options if options else {}))
