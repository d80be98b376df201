"""Stochastic neurons and their read-out against what they are defined to be."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from onchip import nn
from onchip.encoding import RandomPhase
from onchip.errors import RequestError
from onchip.losses import predict
from onchip.nn.neurons.base import SavedTensors
from onchip.nn.signals import Static
from onchip.nn.spike_train import BernoulliTrain


def drive() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(6, 5, 4, dtype=torch.float64) * 0.4 + 0.4


@pytest.mark.parametrize("potential", ["mean", "filter", "instant"])
def test_the_potential_is_what_its_name_says(potential: str) -> None:
    current = drive()
    neuron = nn.Stochastic(potential=potential, time_constant=3.0)  # type: ignore[arg-type]
    _, tape, _ = neuron.run(current.clone(), None, None)
    decay = {"mean": 1.0, "filter": math.exp(-1 / 3), "instant": 0.0}[potential]
    expected = []
    for t in range(6):
        weights = torch.tensor([decay ** (t - s) if t != s else 1.0 for s in range(t + 1)], dtype=torch.float64)
        expected.append((weights.view(-1, 1, 1) * current[: t + 1]).sum(0) / weights.sum())
    torch.testing.assert_close(tape.values["probability"], torch.stack(expected).clamp(0, 1))
    torch.testing.assert_close(
        tape.values["gate"], (torch.stack(expected) > 0) & (torch.stack(expected) < 1), rtol=0, atol=0
    )


@pytest.mark.parametrize("potential", ["mean", "filter", "instant"])
def test_the_adjoint_is_the_derivative_through_the_potential(potential: str) -> None:
    """By autograd through an independent loop, with the spike's derivative put at 1 inside the gate."""
    current = drive().requires_grad_()
    decay = {"mean": 1.0, "filter": math.exp(-1 / 8), "instant": 0.0}[potential]
    sums, weight, total = torch.zeros(5, 4, dtype=torch.float64), 0.0, torch.zeros((), dtype=torch.float64)
    error = torch.randn(6, 5, 4, dtype=torch.float64)
    for t in range(6):
        sums, weight = decay * sums + current[t], decay * weight + 1.0
        total = total + (error[t] * (sums / weight).clamp(0, 1)).sum()
    total.backward()
    neuron = nn.Stochastic(potential=potential)  # type: ignore[arg-type]
    _, tape, _ = neuron.run(current.detach().clone(), None, None)
    torch.testing.assert_close(neuron.backward_through_time(error.clone(), tape), current.grad)


def membranes(current: torch.Tensor) -> list[torch.Tensor]:
    """Potentials of integrate-and-fire neurons that subtract what they sent, by an independent loop."""
    left, found = torch.zeros_like(current[0]), []
    for now in current:
        found.append(left + now)
        left = found[-1] - found[-1].clamp(0, 1)
    return found


def test_integrated_drives_are_sent_once_they_have_been_added_up() -> None:
    current = drive()
    spikes, tape, _ = nn.Stochastic(potential="integrate").run(current.clone(), None, None)
    torch.testing.assert_close(tape.values["probability"], torch.stack(membranes(current)).clamp(0, 1))
    sums, steps = current.cumsum(0), torch.arange(1, 7).view(-1, 1, 1)
    assert torch.equal(tape.values["gate"], (sums > 0) & (sums < steps))
    even = torch.rand(5, 4, dtype=torch.float64)
    spikes, tape, _ = nn.Stochastic(potential="integrate").run(even.expand(6, 5, 4).clone(), None, None)
    assert ((spikes.sum(0) - 6 * even).abs() < 1).all(), "T p, rounded up or down"


def test_the_derivative_through_time_of_integrated_drives() -> None:
    """By autograd through the independent loop; a step by step backward pass is the same."""
    current = drive().requires_grad_()
    error = torch.randn(6, 5, 4, dtype=torch.float64)
    (error * torch.stack(membranes(current)).clamp(0, 1)).sum().backward()
    neuron = nn.Stochastic(potential="integrate")
    _, tape, _ = neuron.run(current.detach().clone(), None, None)
    again = neuron.adjoint(tape.copy(), cut=False)
    torch.testing.assert_close(neuron.backward_through_time(error.clone(), tape), current.grad)
    torch.testing.assert_close(torch.stack([again(t, error[t]) for t in range(5, -1, -1)][::-1]), current.grad)


def test_integrated_drives_leave_less_noise_in_the_count_than_their_mean() -> None:
    """Early means are noisy, and their errors stay in the count, unless what was sent too much is subtracted later."""
    torch.manual_seed(0)
    current = (torch.rand(16, 4000) < 0.5).double()  # noisy drives, whose own mean is what the count is compared with
    wanted = current.mean(0)
    spread = {}
    for potential in ("mean", "integrate"):
        neuron = nn.Stochastic(potential=potential)
        spikes, _, _ = neuron.run(current.clone(), None, None)
        spread[potential] = (spikes.mean(0) - wanted).std().item()
    assert spread["integrate"] < 0.5 * spread["mean"]


@pytest.mark.parametrize("potential", ["mean", "integrate"])
@pytest.mark.parametrize("gate", ["potential", "count"])
def test_a_pool_spreads_the_derivative_through_time(
    potential: Literal["mean", "integrate"], gate: Literal["potential", "count"]
) -> None:
    """Against that of each neuron alone, with the error of its pool divided by the four neurons."""
    torch.manual_seed(0)
    current, error = torch.randn(6, 1, 2, 4, 4) * 0.4 + 0.4, torch.randn(6, 1, 2, 2, 2)
    neuron = nn.Stochastic(potential=potential, gate=gate)
    _, tape, _ = neuron.run(current.clone(), None, 2)
    gates = tape.values.get("sending", tape.values["gate"])
    if gate == "count":
        gates = gates.repeat_interleave(2, 3).repeat_interleave(2, 4)
    wide = error.repeat_interleave(2, 3).repeat_interleave(2, 4) / 4
    alone = nn.Stochastic(potential=potential).backward_through_time(wide, SavedTensors({"gate": gates}))
    torch.testing.assert_close(neuron.backward_through_time(error, tape), alone)


def test_a_pool_sends_spikes_of_the_mean_probability() -> None:
    torch.manual_seed(0)
    level = torch.rand(1, 1, 2, 4, 4)
    spikes, tape, _ = nn.Stochastic(train=BernoulliTrain()).run(level.expand(4000, 1, 2, 4, 4).clone(), None, 2)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    expected = torch.nn.functional.avg_pool2d(level[0], 2)
    torch.testing.assert_close(spikes.mean(0), expected, rtol=0.0, atol=0.04)
    error = nn.Stochastic().backward_local(torch.ones_like(spikes), tape)
    assert error.shape == (4000, 1, 2, 4, 4)
    torch.testing.assert_close(error.unique(), torch.tensor([0.25]))


def test_a_pool_that_does_not_fit_is_refused() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.Stochastic(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 2), nn.MeanReadout()]
    with pytest.raises(RequestError, match=r"AvgPool2d\(2\) after layer '0' got an image of 3x3.*send spikes only"):
        nn.Sequential(*layers)(torch.ones(2, 1, 1, 5, 5))


def test_the_gate_by_count_opens_once_a_neuron_has_fired_and_missed() -> None:
    neuron = nn.Stochastic(gate="count")
    current = torch.tensor([1.0, 0.0, 0.5]).expand(6, 1, 3).clone()
    spikes, tape, _ = neuron.run(current, None, None)
    gate = tape.values["gate"][:, 0]
    assert not gate[:, :2].any(), "always and never"
    counts = spikes[:, 0, 2].cumsum(0)
    assert gate[:, 2].tolist() == [0 < c < t for t, c in enumerate(counts.tolist(), start=1)]


@pytest.mark.parametrize("cut", [1, 2, 5])
@pytest.mark.parametrize("gate", ["potential", "count"])
@pytest.mark.parametrize("potential", ["mean", "filter", "instant", "integrate"])
def test_a_stream_goes_on_with_its_clock_and_its_count(potential: str, gate: str, cut: int) -> None:
    neuron = nn.Stochastic(potential=potential, gate=gate)  # type: ignore[arg-type]
    current, seen = drive(), []
    for lengths in ([6], [cut, 6 - cut], [1] * 6):
        torch.manual_seed(1)
        state, spikes, gates = None, [], []
        for part in current.split(lengths):
            fired, tape, state = neuron.run(part.clone(), state, None)
            spikes.append(fired)
            gates.append(tape.values["gate"])
        seen.append(torch.stack([torch.cat(spikes), torch.cat(gates)]))
    assert seen[0][1].unique().tolist() == [0.0, 1.0]
    assert all(torch.equal(found, seen[0]) for found in seen)


@pytest.mark.parametrize("inference", ["potential", "vote"])
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_readout_over_a_stream_goes_on_with_its_mean_and_its_votes(inference: str, cut: int) -> None:
    current = torch.zeros(6, 1, 2)
    current[:3, 0, 0], current[3:, 0, 1] = 1e3, 1e4  # so far apart that votes are not random: 0, 0, 0, 1, 1, 1
    readout = nn.MeanReadout(inference=inference).eval()  # type: ignore[arg-type]
    state, parts = None, []
    for part in current.split([cut, 6 - cut]):
        output, _, state = readout.run(part.clone(), state, None)
        parts.append(output)
    steps = torch.arange(1, 7).view(6, 1, 1)
    expected = (current if inference == "potential" else (current > 0).float()).cumsum(0) / steps
    torch.testing.assert_close(torch.cat(parts), expected)


def test_the_readout_tells_by_its_last_mean_or_by_votes() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 3.0, 1.0]])
    current = logits.expand(400, 1, 3)
    mean = nn.MeanReadout()(current)
    torch.testing.assert_close(mean, current)
    assert predict(mean, last=True).item() == 1
    voting = nn.MeanReadout(inference="vote")
    torch.testing.assert_close(voting(current), current)  # in training the error needs the potential
    votes = voting.eval()(current)
    torch.testing.assert_close(votes[-1], logits.softmax(-1), rtol=0.0, atol=0.12)
    torch.testing.assert_close(votes.sum(-1), torch.ones(400, 1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"time_constant": 0.0}, "got time_constant=0.0; expected a number of time steps above 0"),
        ({"gate": "both"}, "got gate='both'; expected 'potential' or 'count'"),
        ({"potential": "sum"}, "got potential='sum'; expected 'mean', 'filter', 'instant' or 'integrate'"),
    ],
)
def test_bad_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        nn.Stochastic(**options)  # type: ignore[arg-type]


def test_what_is_no_spike_is_refused() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Stochastic(), nn.Linear(2, 2), nn.MeanReadout())
    with pytest.raises(RequestError, match=r"got a spike of 0\.5; expected 0 or 1"):
        model(torch.full((4, 2, 3), 0.5))
    with pytest.raises(RequestError, match="got a Static image; expected spikes"):
        model(Static(torch.rand(2, 3), 4))
    assert model(RandomPhase(4)(torch.rand(2, 3))).shape == (4, 2, 2)
