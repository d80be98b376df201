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
from onchip.data.datasets.function import function
from onchip.data.datasets.japanese_vowels import japanese_vowels
from onchip.data.datasets.mnist import emnist, fashion_mnist, kmnist, mnist
from onchip.data.datasets.n_mnist import n_mnist
from onchip.data.datasets.shd import shd
from onchip.data.datasets.store_recall import store_recall
from onchip.data.datasets.time_series import time_series
from onchip.data.source import DatasetSource
from onchip.errors import unknown_name
from onchip.runs.code import code_name
from onchip.runs.grammar import bind, parse

__all__ = [
    "cifar10",
    "cifar100",
    "digits",
    "dvs_cifar10",
    "dvs_gesture",
    "emnist",
    "fashion_mnist",
    "japanese_vowels",
    "kmnist",
    "mnist",
    "n_mnist",
    "shd",
    "store_recall",
]

OWN: dict[str, Callable[[str], DatasetSource]] = {"folder:": folder, "ts:": time_series}
"""What reads a user's own data, by the beginning of its name; the rest is a path, so that they are in no list."""


def registry() -> dict[str, Callable[..., DatasetSource]]:
    """The exported functions, by the names that users type."""
    return {name.replace("_", "-"): globals()[name] for name in __all__}


def find(name: str) -> DatasetSource:
    """The data set of that name, with options such as `dvs-gesture:frames=20;size=48`; a user's own data, `folder:PATH`
    or `ts:PATH`; or what a user's function returns, such as `my_data.py:load`, whose file is then run.

    Raises:
        RequestError: there is no data set of that name, or an option does not exist or is out of its range.
    """
    for prefix, make in OWN.items():
        if name.startswith(prefix):
            return make(name.removeprefix(prefix))
    if (code := code_name(name)) is not None:
        return function(code)
    known = registry()
    base, options, _ = name.partition(":")
    if base not in known:
        raise unknown_name("data set", name, [*known, *(f"{prefix}PATH" for prefix in OWN)])
    return known[base](**bind(f"data set {base!r}", known[base], parse(name).options if options else {}))
