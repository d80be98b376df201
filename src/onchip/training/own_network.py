"""Networks that a user's function builds, or that a user passes as they are."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from onchip import nn
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.nn.graph import LayerGraph
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Signal
from onchip.runs.grammar import command_name
from onchip.runs.user_function import UserFunction

FORWARDS = torch.nn.Sequential.forward, nn.Sequential.forward
"""Forward passes of containers, which are those of a chain: no rule calls another one."""


@dataclass(frozen=True)
class OwnNetwork:
    """A network from a user's function.

    The function takes no parameters, or any of `shape` (of one input, without the batch), `classes` and `neuron`
    (makes one layer of the neurons that were asked for), and returns an `nn.Module`.

    Args:
        function: The function.
        fresh: Whether each call has to return a new network; not for a network that the user passed as it is.
    """

    function: UserFunction
    fresh: bool = True

    def __call__(
        self, shape: tuple[int, ...], classes: int, *, neuron: Callable[[], nn.Neuron] = nn.LIF
    ) -> nn.Sequential:
        """The network.

        Raises:
            RequestError: The function failed, or returned no network.
            UnsupportedError: A container of the network has a forward pass of its own.
        """
        supplied = self.function.supplied(shape=shape, classes=classes, neuron=neuron)
        model = self.function(**supplied)
        if not isinstance(model, torch.nn.Module):
            raise RequestError(
                f"{self.name} returned {type(model).__name__}; expected an nn.Module, such as onchip.nn.Sequential"
            )
        for path, module in model.named_modules():
            if isinstance(module, torch.nn.Sequential) and type(module).forward not in FORWARDS:
                where = repr(path) if path else "the network"
                raise UnsupportedError(
                    f"{self.name}: {where} is a {type(module).__name__} with a forward pass of its own, which no rule "
                    "would call; expected a plain Sequential"
                )
        return _as_chain(model)

    def __str__(self) -> str:
        return f"{self.name}, a function of your own"

    @property
    def name(self) -> str:
        """What it is called in messages and records."""
        return self.function.name

    @property
    def takes_neuron(self) -> bool:
        """Whether the function has a parameter `neuron`."""
        return "neuron" in self.function.supplied(shape=None, classes=None, neuron=None)

    def graph(self, model: nn.Sequential) -> LayerGraph:
        """The layers of a network that it returned.

        Raises:
            RequestError: The network has a layer that no rule can treat, or is otherwise no spiking network.
        """
        try:
            return build_graph(model)
        except OnchipError as error:
            raise RequestError(f"{self.name} returned a network that onchip cannot read: {error}") from error

    def check_output(self, model: nn.Sequential, signal: Signal, classes: int) -> None:
        """Runs a network once.

        Raises:
            RequestError: It cannot take the signal, or its output is not one number for each class.
        """
        model.eval()
        try:
            with torch.no_grad():
                out: Tensor = model(signal)
        except (OnchipError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise RequestError(f"the network of {self.name} cannot take the data: {reason:.400}") from error
        finally:
            model.train()
        if out.shape[-1] != classes:
            raise RequestError(
                f"the network of {self.name} has {out.shape[-1]} outputs; expected {classes}, one for each class of "
                "the data. If some classes have no samples there, say how many there are: classes=... in Python, or an "
                "onchip.data.Dataset"
            )

    def check_fresh(self, first: nn.Sequential, second: nn.Sequential) -> None:
        """Compares two networks that it returned under one seed.

        Raises:
            RequestError: They share weights, so that runs would train each other's network; or they differ.
        """
        if not self.fresh:
            return
        both = list(zip(first.parameters(), second.parameters(), strict=False))
        if any(one is other or one.data_ptr() == other.data_ptr() for one, other in both):
            raise RequestError(
                f"{self.name} returned the same weights twice; expected a new network at each call, because each run "
                "trains one"
            )
        states = first.state_dict(), second.state_dict()
        if states[0].keys() != states[1].keys() or not all(
            torch.equal(value, states[1][name]) for name, value in states[0].items()
        ):
            raise RequestError(
                f"{self.name} returned two different networks under one seed; expected weights drawn from torch's "
                "global generator alone, which the seed of a run sets"
            )


def neuron_names(graph: LayerGraph) -> str:
    """The neurons of the hidden layers as a record shows them, such as `lif`; those of all layers if none is hidden."""
    hidden = [layer.neuron for layer in graph.layers if not layer.neuron.readout] or [graph.layers[-1].neuron]
    return ",".join(dict.fromkeys(command_name(type(neuron).__name__) for neuron in hidden))


def _as_chain(model: torch.nn.Module) -> nn.Sequential:
    """The same modules under the same names in a `Sequential` that runs signals."""
    if isinstance(model, nn.Sequential):
        return model
    if isinstance(model, torch.nn.Sequential):
        return nn.Sequential(OrderedDict(model.named_children()))
    return nn.Sequential(model)
