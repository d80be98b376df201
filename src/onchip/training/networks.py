"""The network of a run before it trains: what builds it, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import torch

from onchip import nn
from onchip.errors import RequestError
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import SignalKind
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.own_network import OwnNetwork, neuron_names


@dataclass(frozen=True)
class Network:
    """A network that a run can build, any number of times.

    Args:
        make: Builds it, with weights from torch's global generator, on the CPU.
        kind: The kind of signal that its neurons exchange.
        neuron: Its neurons, as a record shows them.
        parameters: Its trained numbers.
        own: The user's function that builds it; None for a network from the list.
    """

    make: Callable[[], nn.Sequential]
    kind: SignalKind
    neuron: str
    parameters: int
    own: OwnNetwork | None = None


def network_of(
    config: RunConfig,
    shape: tuple[int, ...],
    classes: int,
    *,
    seeded: Callable[[], AbstractContextManager[None]],
    given: OwnNetwork | None = None,
) -> Network:
    """The network that a configuration names.

    Args:
        config: The configuration.
        shape: Shape of an input, without the batch.
        classes: Number of classes.
        seeded: Sets torch's global generator to the seed of the run while a block runs.
        given: A network that was passed as an object, in place of the name.

    Raises:
        RequestError: There is no such network or neuron, or a user's function is wrong, or returns something wrong.
        UnsupportedError: A user's network has a part that no rule can treat.
    """
    make_neuron, kind = registry.neuron(config.neuron)
    named = given or registry.network(config.net)
    make = partial(named, shape, classes, neuron=make_neuron)
    if not isinstance(named, OwnNetwork):
        with torch.device("meta"), seeded():  # a network without memory, for its number of parameters
            return Network(make, kind, config.neuron, _parameters(make()))
    if config.neuron != RunConfig.neuron and not named.takes_neuron:
        raise RequestError(
            f"got neuron {config.neuron!r} for {named.name}, which takes no parameter `neuron`; leave the neuron out, "
            "or add that parameter"
        )
    if not named.fresh:
        for setting, usual in (("init", "default"), ("readout_scale", 1.0)):
            if (value := getattr(config, setting)) != usual:
                raise RequestError(
                    f"{setting.replace('_', '-')} got {value} for {named.name}, which was passed with weights of its "
                    f"own; expected {usual}. Change its weights first, or pass the function that builds it"
                )
    with seeded():
        first = make()
    with seeded():
        second = make()
    graph = named.graph(first)
    named.check_fresh(first, second)
    neuron = config.neuron if named.takes_neuron else neuron_names(graph)
    return Network(make, graph.kind, neuron, _parameters(first), named)


def example_network(net: str, neuron: str, shape: tuple[int, ...], classes: int) -> Network:
    """The network of a name, to be looked at rather than trained.

    Raises:
        RequestError: As `network_of`.
        UnsupportedError: As `network_of`.
    """

    @contextmanager
    def seeded() -> Iterator[None]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            yield

    return network_of(RunConfig(net=net, neuron=neuron), shape, classes, seeded=seeded)


def center_weights(model: nn.Sequential) -> None:
    """Subtracts from the weights of each hidden neuron their mean; weights of the last layer do not change.

    Inputs of spike times are positive, so that a common part of all inputs drives each neuron by the sum of its weights
    times that part. With weights of random sum many neurons of deep layers therefore fire for every sample or for none;
    with the sum 0 most of them fire for some samples and not for others.

    Reference: ours, for spike times; L. Huang et al., Centered Weight Normalization, ICCV 2017, keep the sum at 0
        throughout the training of other networks.
    """
    with torch.no_grad():
        for layer in build_graph(model).layers[:-1]:
            inputs = tuple(range(1, layer.parameter.dim()))
            layer.parameter.sub_(layer.parameter.mean(inputs, keepdim=True))


def scale_readout(model: nn.Sequential, factor: float) -> None:
    """Multiplies weights and biases of the last layer by a factor, and so the output of a linear read-out.

    Raises:
        RequestError: The layer computes its weights from others, which do not change in proportion.
    """
    layer = build_graph(model).layers[-1]
    if layer.weight is not layer.parameter:
        raise RequestError(
            f"readout-scale got {factor:g} for {layer.name}, whose weights are standardized; expected 1, or a read-out "
            "such as nn.Linear"
        )
    with torch.no_grad():
        for parameter in (layer.parameter, layer.bias):
            if parameter is not None:
                parameter.mul_(factor)


def _parameters(model: nn.Sequential) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
