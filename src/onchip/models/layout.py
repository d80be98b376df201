"""Networks written as papers write them: `16C3-P2-32C3-P2-F128`."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from onchip import nn
from onchip.errors import RequestError
from onchip.nn.neurons import readout_of
from onchip.nn.neurons.base import Neuron

GAIN = 3.0
"""Factor on torch's range of initial weights before neurons that integrate over time steps. With a factor of 1 the
second layer of `conv_small` fires at a rate of 0.000 on digits at T = 6, and learns nothing."""

DEEP_GAIN = 5.0
"""The same factor after the first convolution or pool, where inputs are sparse or averaged.
Rates of the hidden layers at T = 6, seed 0, by the factor after the first layer:

    vgg7, CIFAR-10   1: .02 .00 .00 .00 .00 .00       3: .15 .09 .04 .02 .00 .00      5: .21 .21 .24 .24 .22 .23
    vgg7, digits     1: .03 .00 .00 .00 .00 .00       3: .14 .10 .03 .01 .00 .00      5: .16 .18 .17 .21 .12 .10
    vgg11, CIFAR-10  1: .02, then .00 in all          3: .00 from the eighth layer    5: .17 to .24 in all ten

`bp` learned digits better with 5 than with 3 in `conv_wide`, and worse in `mlp`, which keeps 3 throughout."""

STANDARDIZED = {nn.TIME_STEPS: DEEP_GAIN, nn.SPIKE_TIMES: math.sqrt(2.0)}
"""Norm of the standardized weights of a neuron, by the signals of the network; before spike times that of He's."""


@dataclass(frozen=True)
class Layout:
    """A chain of layers for any image size and number of classes; calling it builds the network.

    The layers stand between hyphens, in any case:

    - `16C3`: a convolution to 16 maps by kernels of 3x3 that keeps the image's size, followed by neurons;
      `16C3WS`: the same with weight standardization; without it before stochastic neurons.
    - `P2`: a pool of 2x2, of averages, or of the earliest spikes for neurons that send spike times.
    - `F128`: a fully connected layer of 128 neurons.
    - `R128`: the same with a recurrent connection from each neuron to all of them.
    - `10` at the end: the read-out, which closes every network; it may be left out.

    Layers of neurons that send spike times have no bias.

    Args:
        text: the layers.
        about: where the network comes from.

    Raises:
        RequestError: the text does not follow these rules; when called, the images are too small for the pools, or
            the read-out is of another number of classes.

    Example:
        >>> Layout("2C3-P2-F5")((1, 8, 8), 10)[-1]
        Linear(in_features=5, out_features=10, bias=True)
    """

    text: str
    about: str = ""

    def __post_init__(self) -> None:
        self._layers()

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def resembles(text: str) -> bool:
        """Whether some layer of a text is written as in a layout, so that it is no name."""
        return any(re.match(r"\d+C\d|[PFR]\d", token, re.IGNORECASE) for token in text.split("-"))

    def __call__(self, shape: tuple[int, ...], classes: int, *, neuron: Callable[[], Neuron] = nn.LIF) -> nn.Sequential:
        """The network, for inputs of `shape` without the batch, with its first weights from torch's generator."""
        chain, layers = _Chain(self.text, shape, classes, neuron), self._layers()
        least = math.prod(sizes[0] for append, sizes in layers if append is _Chain.pool)
        if len(shape) == 3 and min(shape[1:]) < least:
            raise RequestError(
                f"network {self.text!r} got images of {shape[1]}x{shape[2]} pixels; its pools need at least "
                f"{least}x{least}. Use larger images or fewer pools"
            )
        for append, sizes in layers:
            append(chain, *sizes)
        chain.close()
        return nn.Sequential(*chain.modules)

    def _layers(self) -> list[tuple[Callable[..., None], list[int]]]:
        """What appends each layer to a chain, and its sizes."""
        return [self._layer(token, place) for place, token in enumerate(self.text.split("-"), 1)]

    def _layer(self, token: str, place: int) -> tuple[Callable[..., None], list[int]]:
        for pattern, append in GRAMMAR.items():
            match = re.fullmatch(pattern, token, re.IGNORECASE)
            if match and 0 not in (sizes := [int(size) for size in match.groups()]):
                return append, sizes
        raise RequestError(
            f"network {self.text!r} got {token!r} as layer {place}; expected a convolution such as 16C3, a pool such "
            "as P2, a fully connected layer such as F128, a recurrent layer such as R128, or the number of classes at "
            "the end"
        )


class _Chain:
    """A network that grows from its input, with the shape that the next layer receives."""

    def __init__(self, text: str, shape: tuple[int, ...], classes: int, neuron: Callable[[], Neuron]) -> None:
        self.modules: list[torch.nn.Module] = []
        self._text, self._shape, self._classes, self._neuron = text, shape, classes, neuron
        self._signal = neuron().signal
        self._bias = self._signal.bias
        self._gain, self._closed = GAIN, False

    def convolution(self, maps: int, kernel: int) -> None:
        self._convolution(maps, kernel, None)

    def standardized(self, maps: int, kernel: int) -> None:
        self._convolution(maps, kernel, STANDARDIZED.get(self._signal))

    def pool(self, side: int) -> None:
        channels, height, width = self._image(f"P{side}")
        self.modules.append(nn.AvgPool2d(side) if self._bias else nn.EarliestPool2d(side))
        self._shape = (channels, height // side, width // side)
        self._gain = DEEP_GAIN

    def dense(self, width: int) -> None:
        layer = self._initialized(nn.Linear(self._flat(f"F{width}"), width, bias=self._bias))
        self._append_neurons(layer, (width,))

    def recurrent(self, width: int) -> None:
        layer = self._initialized(nn.Linear(self._flat(f"R{width}"), width, bias=self._bias))
        # Torch's own range: spikes return at each step, and with a gain they would sustain themselves.
        recurrent = nn.Linear(width, width, bias=False)
        self.modules += [layer, nn.Recurrent(recurrent, self._neuron())]
        self._shape = (width,)

    def readout(self, classes: int) -> None:
        if classes != self._classes:
            raise RequestError(
                f"network {self._text!r} ends in {classes} classes; expected {self._classes}, those of the data. "
                "Leave the number out"
            )
        layer = nn.Linear(self._flat(str(classes)), classes, bias=self._bias)
        self.modules.append(layer if self._bias else self._initialized(layer))
        readout = readout_of(self._signal)
        if not readout.optional:
            self.modules.append(readout())
        self._closed = True

    def close(self) -> None:
        """Appends the read-out if the text did not."""
        if not self._closed:
            self.readout(self._classes)

    def _convolution(self, maps: int, kernel: int, gain: float | None) -> None:
        channels, height, width = self._image(f"{maps}C{kernel}")
        if kernel % 2 == 0:
            raise RequestError(f"network {self._text!r} got a kernel of {kernel}x{kernel}; expected odd sides, as 3x3")
        layer: torch.nn.Module
        if gain is None:
            layer = self._initialized(nn.Conv2d(channels, maps, kernel, padding=kernel // 2, bias=self._bias))
        else:
            pad, bias = kernel // 2, self._bias
            layer = nn.WeightStandardizedConv2d(channels, maps, kernel, padding=pad, bias=bias, gain=gain)
        self._append_neurons(layer, (maps, height, width))
        self._gain = DEEP_GAIN

    def _append_neurons(self, layer: torch.nn.Module, shape: tuple[int, ...]) -> None:
        self.modules += [layer, self._neuron()]
        self._shape = shape

    def _image(self, token: str) -> tuple[int, ...]:
        """Shape (C, H, W) of what a layer receives that needs an image."""
        self._open(token)
        if len(self._shape) != 3:
            raise RequestError(
                f"network {self._text!r} got {token} on input of shape {self._shape}; expected images (C, H, W). "
                "Put convolutions and pools before fully connected layers"
            )
        return self._shape

    def _flat(self, token: str) -> int:
        """Inputs of a fully connected layer; images are flattened before the first one."""
        self._open(token)
        if not any(isinstance(module, nn.Flatten) for module in self.modules):
            self.modules.append(nn.Flatten())
        return math.prod(self._shape)

    def _open(self, token: str) -> None:
        if self._closed:
            raise RequestError(
                f"network {self._text!r} goes on with {token} after the number of classes; expected that number at the "
                "end alone. Write F before a hidden layer's width"
            )

    def _initialized(self, layer: nn.Linear | nn.Conv2d) -> torch.nn.Module:
        """Weights that keep the layers active from the first step."""
        if not self._bias:
            # He's variance, as Goupy et al. 2025 draw them.
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        elif not isinstance(self._neuron(), nn.Rate | nn.Stochastic):  # which pass on what is below any threshold
            with torch.no_grad():
                layer.weight.mul_(self._gain)
        return layer


SIZE = r"(\d{1,5})"
GRAMMAR: dict[str, Callable[..., None]] = {
    f"{SIZE}C{SIZE}": _Chain.convolution,
    f"{SIZE}C{SIZE}WS": _Chain.standardized,
    f"P{SIZE}": _Chain.pool,
    f"F{SIZE}": _Chain.dense,
    f"R{SIZE}": _Chain.recurrent,
    SIZE: _Chain.readout,
}
