"""The optional package that defines NIR's nodes."""

import importlib
from typing import Any

from onchip.errors import RequestError


def nir() -> Any:
    """The package `nir`.

    Raises:
        RequestError: It is not installed.
    """
    return _imported("nir")


def h5py() -> Any:
    """The package `h5py`, which `nir` brings.

    Raises:
        RequestError: It is not installed.
    """
    return _imported("h5py")


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise RequestError(
            f"NIR files need the packages nir and h5py, and {name} cannot be imported ({error}); "
            "pip install 'onchip[nir]'"
        ) from error
