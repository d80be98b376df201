"""A traced or exported network computes the same, for other inputs than the one it was traced with."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from onchip import Static, nn
from onchip.errors import UnsupportedError

Input = Callable[[], Tensor]


def frames() -> Tensor:
    return torch.rand(5, 2, 1, 8, 8) * 2


def spikes() -> Tensor:
    return torch.rand(5, 2, 1, 8, 8).round()


def times() -> Tensor:
    return torch.rand(2, 1, 8, 8)


def over_time(neuron: Callable[[], nn.Neuron], *readout: torch.nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), neuron(), nn.AvgPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1), neuron(), nn.Flatten(), nn.Linear(64, 3), *readout),
    )


def with_times() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.TTFS(), nn.EarliestPool2d(2), nn.Flatten()),
        *(nn.Linear(64, 8, bias=False), nn.TTFS(), nn.Linear(8, 3, bias=False), nn.TTFSReadout()),
    )


def recurrent() -> nn.Sequential:
    torch.manual_seed(0)
    maps = nn.Recurrent(nn.Conv2d(4, 4, 3, padding=1), nn.LIF(learn_decay=True))
    units = nn.Recurrent(nn.Linear(8, 8, bias=False), nn.ALIF(reset="hard"))
    first = [nn.Conv2d(1, 4, 3, padding=1), maps, nn.AvgPool2d(4), nn.Flatten()]
    return nn.Sequential(*first, nn.Linear(16, 8), units, nn.Linear(8, 3), nn.LI())


class Shown(torch.nn.Module):
    """A network that is shown images for four steps."""

    def __init__(self) -> None:
        super().__init__()
        self.network = over_time(nn.LIF)

    def forward(self, images: Tensor) -> Tensor:
        return self.network(Static(images, 4))


CASES: dict[str, tuple[Callable[[], torch.nn.Module], Input]] = {
    "lif": (lambda: over_time(nn.LIF), frames),
    "hard": (lambda: over_time(lambda: nn.LIF(reset="hard", decay=0.9)), frames),
    "learned-decay": (lambda: over_time(lambda: nn.LIF(learn_decay=True)), frames),
    "alif": (lambda: over_time(lambda: nn.ALIF(learn_decay=True), nn.LI()), frames),
    "cuba-hard": (lambda: over_time(lambda: nn.CubaLIF(reset="hard", detach_reset=True)), frames),
    "decays-per-neuron": (lambda: over_time(lambda: nn.LIF(decay=torch.rand(4, 1, 1))), frames),
    "recurrent": (recurrent, frames),
    "static": (Shown, times),
    "rate": (lambda: over_time(nn.Rate), frames),
    "trials": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Rate(trials=8), nn.Linear(8, 3)), frames),
    "times": (with_times, times),
    "stochastic": (lambda: over_time(nn.Stochastic, nn.MeanReadout()), spikes),
    "filter": (lambda: over_time(lambda: nn.Stochastic(potential="filter", gate="count"), nn.MeanReadout()), spikes),
    "integrate": (lambda: over_time(lambda: nn.Stochastic(potential="integrate"), nn.MeanReadout()), spikes),
}


TRACERS: dict[str, Callable[[torch.nn.Module, Tensor], Callable[[Tensor], Tensor]]] = {
    "jit": lambda network, example: torch.jit.trace(network, example, check_trace=False),
    "make_fx": lambda network, example: make_fx(network)(example),
    "export": lambda network, example: torch.export.export(network, (example,)).module(),
}


@pytest.mark.filterwarnings("ignore")  # torch says much about tracers that are to go
@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("tracer", TRACERS)
@pytest.mark.parametrize("case", CASES)
def test_a_traced_network_computes_the_same_on_another_input(case: str, tracer: str, grad: bool) -> None:
    make, draw = CASES[case]
    network = make()
    first, second = draw(), draw()
    with torch.set_grad_enabled(grad):
        traced = TRACERS[tracer](network, first)
        for signal in (first, second):
            outputs = []
            for computed in (network, traced):
                torch.manual_seed(1)
                outputs.append(computed(signal).detach())
            torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_recurrent_random_neurons_are_not_traced() -> None:
    neurons = nn.Recurrent(nn.Linear(8, 8), nn.Stochastic())
    network = nn.Sequential(nn.Linear(6, 8), neurons, nn.Linear(8, 3), nn.MeanReadout())
    with pytest.raises(UnsupportedError, match=r"Stochastic neurons with a recurrent connection cannot be traced"):
        torch.jit.trace(network, torch.ones(5, 2, 6), check_trace=False)


@pytest.mark.filterwarnings("ignore")
def test_a_trace_can_be_stored_and_has_no_derivatives(tmp_path: Path) -> None:
    network = over_time(nn.LIF)
    torch.jit.save(torch.jit.trace(network, frames()), tmp_path / "network.pt")
    signal = frames()
    loaded = torch.jit.load(tmp_path / "network.pt")
    torch.testing.assert_close(loaded(signal), network(signal).detach())
    assert not loaded(signal).requires_grad
