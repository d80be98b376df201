"""State of a training run in one sealed file: its tensors, and the rest as JSON in the header."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from onchip import _sealed
from onchip._sealed import read_sealed, write_sealed
from onchip.errors import DataError

FORMAT = "onchip checkpoint 2"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state in one piece; an earlier file stays until the new one is whole.

    Args:
        path: the file; its folder must exist.
        state: dicts, lists, tuples, tensors, numbers, strings, booleans and None, nested as you like.

    Raises:
        TypeError: something else is in it.
    """
    write_sealed(path, *_packed(state))


def load(path: Path) -> dict[str, Any]:
    """The state that `save` wrote, its tensors on the CPU.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    tensors, metadata = read_sealed(path)
    if metadata.get("format") != FORMAT:
        raise DataError(f"its format is {metadata.get('format')!r:.40}; expected {FORMAT!r}")
    try:
        state = _unpack(json.loads(metadata["state"]), tensors)
        if not isinstance(state, dict):
            raise TypeError(f"it is a {type(state).__name__}, not a dict")
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"it holds no state of a run: {type(error).__name__}: {error!s:.200}") from error
    return state


def digest(state: dict[str, Any]) -> str:
    """What two states have in common only if they are equal, types and shapes of tensors included."""
    return _sealed.digest(*_packed(state))


def save_weights(path: Path, weights: dict[str, Tensor], record: str) -> None:
    """Write a network's weights under their own names, for any program that reads safetensors.

    Args:
        path: the file; its folder must exist.
        weights: the network's `state_dict()`.
        record: what made them, one line of JSON, kept in the header as `record`.
    """
    write_sealed(path, weights, {"record": record})


def _packed(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a state, and the rest of it."""
    tensors: dict[str, Tensor] = {}
    skeleton = _pack(state, "state", tensors)
    return tensors, {"format": FORMAT, "state": json.dumps(skeleton)}


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON with each tensor replaced by its name; the tensors go into the dict.

    Containers are tagged, because JSON has no tuples and knows text keys only.
    """
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        items = [[key, _pack(item, f"{name}.{key}", tensors)] for key, item in value.items()]
        if not all(isinstance(key, (str, int)) for key in value):
            raise TypeError(f"a checkpoint got the keys {list(value)} in {name}; expected text or whole numbers")
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_pack(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint got {name} of type {type(value).__name__}; expected tensors and plain values")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _unpack(item, tensors) for key, item in content}
    return {"list": list, "tuple": tuple}[kind](_unpack(item, tensors) for item in content)
