"""Networks as plain data and back: which layers there are, and what each of their classes is called with."""

from __future__ import annotations

import inspect
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from onchip._types import converted
from onchip.errors import DataError, UnsupportedError
from onchip.nn import neurons
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons.base import Neuron
from onchip.nn.pooling import EarliestPool2d
from onchip.nn.recurrent import Recurrent
from onchip.nn.residual import Residual
from onchip.nn.sequential import Sequential
from onchip.nn.weight_standardization import WeightStandardizedConv2d
from onchip.runs.grammar import convert, describe
from onchip.runs.model_file import Layer, Option

Sides = int | tuple[int | None, ...]

_CONVOLUTION = {
    "in_channels": int,
    "out_channels": int,
    "kernel_size": Sides,
    "stride": Sides,
    "padding": Sides | str,
    "dilation": Sides,
    "groups": int,
    "bias": bool,
    "padding_mode": str,
}
_AVERAGE = {"kernel_size": Sides, "stride": Sides, "padding": Sides, "ceil_mode": bool, "count_include_pad": bool}
_LARGEST = {"kernel_size": Sides, "stride": Sides, "padding": Sides, "dilation": Sides, "ceil_mode": bool}

LAYERS: dict[type[nn.Module], dict[str, Any]] = {
    nn.Linear: {"in_features": int, "out_features": int, "bias": bool},
    nn.Conv1d: _CONVOLUTION,
    nn.Conv2d: _CONVOLUTION,
    WeightStandardizedConv2d: {
        "in_channels": int,
        "out_channels": int,
        "kernel_size": Sides,
        "stride": Sides,
        "padding": Sides,
        "bias": bool,
    },
    nn.Flatten: {"start_dim": int, "end_dim": int},
    nn.Identity: {},
    nn.Dropout: {"p": float},
    nn.AvgPool1d: _AVERAGE,
    nn.AvgPool2d: {**_AVERAGE, "divisor_override": int | None},
    nn.AdaptiveAvgPool2d: {"output_size": Sides},
    nn.MaxPool1d: _LARGEST,
    nn.MaxPool2d: _LARGEST,
    EarliestPool2d: {"kernel_size": int},
}
"""The layers apart from neurons: the attributes that say how they compute, and their types."""

NEURONS: tuple[type[Neuron], ...] = (*(getattr(neurons, name) for name in neurons.__all__), *neurons.READOUTS)
CONTAINERS: tuple[type[nn.Module], ...] = (Sequential, Residual, Recurrent)
TYPES = {each.__name__: each for each in (*LAYERS, *NEURONS, *CONTAINERS)}


def described(model: nn.Module) -> tuple[Layer, ...]:
    """The layers of a network.

    Raises:
        UnsupportedError: A layer is of a type that is not in this package's lists, or is used twice with its weights.
    """
    seen: set[int] = set()
    if type(model) not in (Sequential, nn.Sequential):
        raise UnsupportedError(f"the network is a {type(model).__name__}; expected onchip.nn.Sequential")
    return _children("", model, seen)


def built(layers: Iterable[Layer], tensors: Mapping[str, Tensor]) -> Sequential:
    """The network that `described` described, with its weights.

    Args:
        layers: Its layers.
        tensors: Its `state_dict()`; the network takes over their memory.

    Raises:
        DataError: There is no such layer, or no such option of it, or the tensors are those of another network.
    """
    model = _module(Layer("", Sequential.__name__, layers=tuple(layers)), "", tensors)
    assert isinstance(model, Sequential)
    try:
        model.load_state_dict(dict(tensors), assign=True)
        build_graph(model)
    except Exception as error:  # torch's own, for one
        raise DataError(f"the weights are not those of these layers: {_line(error)}") from error
    return model


def _children(path: str, module: nn.Module, seen: set[int]) -> tuple[Layer, ...]:
    children = ((name, child) for name, child in module._modules.items() if child is not None)
    return tuple(_described(_joined(path, name), name, child, seen) for name, child in children)


def _described(path: str, name: str, module: nn.Module, seen: set[int]) -> Layer:
    kind = type(module)
    what = f"{kind.__name__} {path!r}"
    if kind in (Sequential, nn.Sequential, Residual, Recurrent):
        named = "Sequential" if kind is nn.Sequential else kind.__name__
        return Layer(name, named, layers=_children(path, module, seen))
    if module.state_dict():
        if id(module) in seen:
            raise UnsupportedError(f"{what} is in the network twice with the same weights; expected a layer for each")
        seen.add(id(module))
    if kind in NEURONS:
        assert isinstance(module, Neuron)
        options = {each: _neuron_option(what, value) for each, value in module.options().items()}
        return Layer(name, kind.__name__, options)
    if kind not in LAYERS:
        raise UnsupportedError(
            f"{what} is no layer that a file can describe; expected {', '.join(TYPES)}, or the code that builds it"
        )
    return Layer(name, kind.__name__, {each: _layer_option(each, getattr(module, each)) for each in LAYERS[kind]})


def _layer_option(name: str, value: Any) -> Option:
    if name == "bias":
        return value is not None
    option: Option = tuple(value) if isinstance(value, tuple | list) else value
    return option


def _neuron_option(what: str, value: Any) -> Option:
    if isinstance(value, Tensor):
        return {"shape": tuple(value.shape)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if type(value).__module__.partition(".")[0] not in ("builtins", "onchip"):
        raise UnsupportedError(f"{what} has {type(value).__name__} as an option; expected a part of this package")
    return describe(value)


def _module(layer: Layer, path: str, tensors: Mapping[str, Tensor]) -> nn.Module:
    kind = TYPES.get(layer.type)
    if kind is None:
        raise DataError(f"layer {path!r:.80} is of type {layer.type!r:.40}; expected one of {', '.join(TYPES)}")
    children = {child.name: _module(child, _joined(path, child.name), tensors) for child in layer.layers}
    if len(children) < len(layer.layers):
        raise DataError(f"{layer.type} {path!r:.80} has two layers of one name")
    try:
        if kind is Sequential:
            made: nn.Module = Sequential(OrderedDict(children))
        elif kind in CONTAINERS:
            made = kind(**children)
        elif kind in NEURONS:
            made = kind(**_neuron_values(kind, layer, path, tensors))
        else:
            made = _weights_or_pool(kind, layer)
    except Exception as error:  # whatever a class says of its options
        raise DataError(f"{layer.type} {path!r:.80} cannot be built: {_line(error)}") from error
    return made


def _weights_or_pool(kind: type[nn.Module], layer: Layer) -> nn.Module:
    expected = LAYERS[kind]
    if layer.options.keys() != expected.keys():
        raise DataError(f"it has the options {', '.join(layer.options)!r:.120}; expected {', '.join(expected)}")
    values = {name: converted(value, expected[name]) for name, value in layer.options.items()}
    with torch.device("meta"):  # the weights come from the file
        if kind is not WeightStandardizedConv2d:
            return kind(**values)
        values |= {name: _one_side(values[name]) for name in ("kernel_size", "stride", "padding")}
        return WeightStandardizedConv2d(values.pop("in_channels"), values.pop("out_channels"), **values)


def _one_side(sides: Any) -> int:
    side, *others = sides if isinstance(sides, tuple) else (sides,)
    if any(other != side for other in others):
        raise DataError(f"it has the sides {sides}; expected squares")
    return int(side)


def _neuron_values(kind: type[nn.Module], layer: Layer, path: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    parameters = inspect.signature(kind, eval_str=True).parameters
    if layer.options.keys() != parameters.keys():
        raise DataError(f"it has the options {', '.join(layer.options)!r:.120}; expected {', '.join(parameters)}")
    learns, values = layer.options.get("learn_decay") is True, dict[str, Any]()
    for name, value in layer.options.items():
        if isinstance(value, str):
            values[name] = convert(value, parameters[name].annotation, name)
        elif learns and f"{path}.{name}_parameter" in tensors:  # any first value: the learned one comes from the file
            values[name] = torch.full(tensors[f"{path}.{name}_parameter"].shape, 0.5)
        elif isinstance(value, dict):
            values[name] = tensors[f"{path}.{name}_per_neuron"]
        else:
            values[name] = value
    return values


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
