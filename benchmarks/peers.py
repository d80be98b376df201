"""The same networks in other libraries, where these are installed: spikingjelly, snnTorch, Norse.

Each is used as its documentation recommends, in its fastest form in pure torch, with leaky integrate-and-fire neurons
whose membrane decays by half per step. Only the time of a step is compared, so Norse's different reset does not matter.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from onchip.nn.neurons import LIF

__all__ = ["Step", "peers"]

Step = Callable[[], None]


def peers(model: nn.Sequential, frames: Tensor, labels: Tensor) -> dict[str, Callable[[], Step]]:
    """Training steps of the libraries that are installed.

    Args:
        model: A network of ours, whose structure is copied.
        frames: The input (T, B, C, H, W).
        labels: The classes (T·B,).
    """
    known = {
        "spikingjelly BPTT": ("spikingjelly", spikingjelly),
        "spikingjelly OTTT": ("spikingjelly", spikingjelly_ottt),
        "snnTorch BPTT": ("snntorch", snntorch),
        "Norse BPTT": ("norse", norse),
    }
    return {
        name: lambda make=make: make(model, frames, labels)  # type: ignore[misc]
        for name, (package, make) in known.items()
        if importlib.util.find_spec(package)
    }


def spikingjelly(model: nn.Sequential, frames: Tensor, labels: Tensor) -> Step:
    """Layer by layer over all steps at once."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif() -> nn.Module:
        return neuron.LIFNode(2.0, False, 1.0, None, surrogate.Sigmoid(4.0), step_mode="m")

    layers = [lif() if isinstance(each, LIF) else layer.SeqToANNContainer(each) for each in _fresh(model)]
    return _trained(nn.Sequential(*layers), lambda net: net(frames).flatten(0, 1), labels, functional.reset_net)


def spikingjelly_ottt(model: nn.Sequential, frames: Tensor, labels: Tensor) -> Step:
    """Online training through time: a backward pass at each step, one update at the end."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    layers = [
        neuron.OTTTLIFNode(surrogate_function=surrogate.Sigmoid(4.0)) if isinstance(each, LIF) else each
        for each in _fresh(model)
    ]
    net = layer.OTTTSequential(*layers)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    each_step = labels.view(len(frames), -1)

    def step() -> None:
        for now, label in zip(frames, each_step, strict=True):
            (F.cross_entropy(net(now), label) / len(frames)).backward()
        optimizer.step()
        optimizer.zero_grad()
        functional.reset_net(net)

    return step


def snntorch(model: nn.Sequential, frames: Tensor, labels: Tensor) -> Step:
    """Step by step."""
    import snntorch as snn
    from snntorch import surrogate, utils

    def lif() -> nn.Module:
        return snn.Leaky(beta=0.5, spike_grad=surrogate.sigmoid(slope=4), init_hidden=True)

    net = nn.Sequential(*(lif() if isinstance(each, LIF) else each for each in _fresh(model)))
    return _trained(net, lambda net: torch.cat([net(now) for now in frames]), labels, utils.reset)


def norse(model: nn.Sequential, frames: Tensor, labels: Tensor) -> Step:
    """Step by step, with the state passed from step to step."""
    from norse import torch as snn

    constants = snn.LIFBoxParameters(tau_mem_inv=torch.tensor(500.0), alpha=torch.tensor(4.0))
    layers = [snn.LIFBoxCell(constants) if isinstance(each, LIF) else each for each in _fresh(model)]

    def forward(net: nn.Module) -> Tensor:
        state, outputs = None, []
        for now in frames:
            output, state = net(now, state)
            outputs.append(output)
        return torch.cat(outputs)

    return _trained(snn.SequentialState(*layers), forward, labels, lambda net: None)


def _fresh(model: nn.Sequential) -> list[nn.Module]:
    """The layers as torch's own modules."""
    return [nn.Flatten() if type(each).__name__ == "Flatten" else each for each in model]


def _trained(
    net: nn.Module, forward: Callable[[nn.Module], Tensor], labels: Tensor, reset: Callable[[nn.Module], None]
) -> Step:
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)

    def step() -> None:
        F.cross_entropy(forward(net), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        reset(net)

    return step
