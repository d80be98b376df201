"""A digest among the values of a JSON file, by which a change is noticed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values for a file, with the SHA-256 of them all, however JSON will write them."""
    return {**values, SEAL: _digest(values)}


def unsealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that `sealed` got. Files of earlier versions have no digest, and are taken as they are.

    Raises:
        ValueError: They are others than those that were sealed.
    """
    rest = {name: value for name, value in values.items() if name != SEAL}
    if SEAL in values and values[SEAL] != _digest(rest):
        raise ValueError("its values were changed after it was written: their sha256 is another")
    return rest


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
