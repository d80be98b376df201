"""State of a training run in one safetensors file: its tensors, and the rest as JSON in the header."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from onchip._files import write_whole
from onchip.errors import DataError

FORMAT = "onchip checkpoint 1"


def save(path: Path, state: dict[str, Any]) -> None:
    """Write a state in one piece; an earlier file stays until the new one is whole.

    Args:
        path: the file; its folder must exist.
        state: dicts, lists, tuples, tensors, numbers, strings, booleans and None, nested as you like.

    Raises:
        TypeError: something else is in it.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _pack(state, "state", tensors)
    metadata = {"format": FORMAT, "state": json.dumps(skeleton)}
    write_whole(path, safetensors.torch.save(tensors, metadata))


def load(path: Path) -> dict[str, Any]:
    """The state that `save` wrote, its tensors on the CPU.

    Raises:
        DataError: the file is damaged or holds something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise DataError(f"checkpoint {path.name} cannot be read: {error}; delete it to begin that run again") from error
    if metadata.get("format") != FORMAT:
        raise DataError(f"{path.name} got format {metadata.get('format')!r}; expected {FORMAT!r}")
    state: dict[str, Any] = _unpack(json.loads(metadata["state"]), tensors)
    return state


def save_weights(path: Path, weights: dict[str, Tensor], record: str) -> None:
    """Write a network's weights under their own names, for any program that reads safetensors.

    Args:
        path: the file; its folder must exist.
        weights: the network's `state_dict()`.
        record: what made them, one line of JSON, kept in the header as `record`.
    """
    tensors = {name: value.detach().to("cpu", copy=True).contiguous() for name, value in weights.items()}
    write_whole(path, safetensors.torch.save(tensors, {"record": record}))


def _pack(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The value as JSON with each tensor replaced by its name; the tensors go into the dict.

    Containers are tagged, because JSON has no tuples and knows text keys only.
    """
    if isinstance(value, Tensor):
        # A copy of its own: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
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
    items = [_unpack(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items
