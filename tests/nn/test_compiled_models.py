"""torch.compile of whole networks: the same outputs and gradients, from its tracer and autograd's.

The code that torch's own compiler makes of the graph is its matter, and takes too long here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import Static, models, nn, rules
from onchip import encoding as encode
from onchip.errors import RequestError, UnsupportedError
from onchip.nn.signals import Signal

IMAGES = torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
MAPS = 8 * 4 * 4


def conv() -> nn.Sequential:
    """Pools that neurons take and others, both resets, a learnt decay, standardised weights."""
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.LIF(learn_decay=True),
        nn.AvgPool2d(2),
        nn.WeightStandardizedConv2d(8, 8, 3, padding=1),
        nn.LIF(reset="hard", detach_reset=True),
        nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.IF())),
        nn.Flatten(),
        nn.Linear(MAPS, 3),
    )


@pytest.fixture(autouse=True)
def _forgets() -> Iterator[None]:
    yield
    torch.compiler.reset()


def learnt(network: nn.Sequential, forward: Callable[..., Any], signal: Signal) -> tuple[Tensor, list[Tensor]]:
    """Output and gradients, under one draw of whatever is random."""
    torch.manual_seed(1)
    network.zero_grad()
    out = forward(signal)
    out.square().mean().backward()
    return out, [p.grad for p in network.parameters() if p.grad is not None]


def adaptive() -> nn.Sequential:
    """Neurons with two states, decays of the layer, of each channel and of each neuron, and a leaky read-out."""
    decays = torch.linspace(0.3, 0.9, 8)
    return nn.Sequential(
        nn.Conv2d(2, 8, 3, padding=1),
        nn.ALIF(decay=decays.view(8, 1, 1), learn_decay=True),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.CubaLIF(reset="hard"),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(MAPS, 8),
        nn.CubaLIF(decay=decays),
        nn.Linear(8, 3),
        nn.LI(learn_decay=True),
    )


@pytest.mark.parametrize("build", [conv, adaptive])
@pytest.mark.parametrize("static", [True, False])
def test_neurons_over_time_are_one_graph(build: Callable[[], nn.Sequential], static: bool) -> None:
    network, held = build(), Static(2 * IMAGES, steps=4)
    signal = held if static else held.expand().contiguous()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True)
    (out, gradients), (wanted, wants) = learnt(network, compiled, signal), learnt(network, network, signal)
    assert wanted.abs().sum() > 0
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(gradients, wants)
    with torch.no_grad():
        torch.testing.assert_close(compiled(signal), wanted)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # torch's tracer looks at it
@pytest.mark.parametrize("neuron", [nn.TTFS, nn.Stochastic, nn.Rate])
def test_other_neurons_are_compiled_in_parts(neuron: type[nn.Neuron]) -> None:
    network = models.conv_small((2, 8, 8), 3, neuron=neuron)
    signal = (encode.Latency() if neuron is nn.TTFS else encode.RandomPhase(8))(IMAGES)
    compiled = torch.compile(network, backend="aot_eager")
    (out, gradients), (wanted, wants) = learnt(network, compiled, signal), learnt(network, network, signal)
    torch.testing.assert_close(out, wanted)
    torch.testing.assert_close(gradients, wants)


def test_bad_input_is_refused_as_ever() -> None:
    network = nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3))
    with pytest.raises(RequestError, match="expected \\(4,\\)"):
        torch.compile(network, backend="aot_eager")(torch.rand(2, 3, 5))
    with pytest.raises(UnsupportedError, match="OptimizedModule"):
        rules.bp(torch.compile(network, backend="aot_eager"))  # type: ignore[arg-type]
