"""What every neuron owes to the engine: one suite over the export list. No neuron is named in it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.errors import OnchipError, RequestError
from onchip.nn import neurons
from onchip.nn.neurons.base import Drive, Neuron
from onchip.nn.signals import Static
from tests.cases import gradients, loss_of, scaled, spikes, times

NAMES = neurons.__all__
TIMED = [name for name in NAMES if not getattr(neurons, name).signal.over_time]
STEPPED = [name for name in NAMES if name not in TIMED]


def make(name: str) -> Neuron:
    neuron: Neuron = getattr(neurons, name)()
    return neuron


def drive_of(neuron: Neuron, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """A drive (T, 3, features...), or the two planes (2, 3, features...), that makes some neurons fire."""
    first = 5 if neuron.signal.over_time else neuron.signal.parts
    return torch.randn(first, 3, *shape, dtype=dtype) + 0.5


def drawn(neuron: Neuron, drive: Drive) -> Tensor:
    """Activity, with the same random draws each time."""
    torch.manual_seed(0)
    activity = neuron(drive)
    assert isinstance(activity, Tensor)
    return activity


def network(name: str) -> tuple[nn.Sequential, Tensor]:
    """Two layers of these neurons and a read-out of their kind, with an input."""
    kind = make(name).signal
    timed = not kind.over_time
    layers = [nn.Linear(6, 8, bias=not timed), make(name), nn.Linear(8, 7, bias=not timed), make(name)]
    closing = next(readout for readout in neurons.READOUTS if readout.signal is kind)
    readout = [nn.Linear(7, 3, bias=not timed), closing()]
    return scaled(nn.Sequential(*layers, *readout), 2.0), times(4, 6) if timed else spikes(5, 4, 6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(7,), (2, 4, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activity_has_the_drives_shape_and_type(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    neuron = make(name)
    drive = drive_of(neuron, *shape, dtype=dtype)
    before = drive.clone()
    activity = drawn(neuron, drive)
    assert activity.shape == (drive.shape if neuron.signal.over_time else drive.shape[1:])
    assert activity.dtype == dtype
    assert torch.equal(drive, before), "a neuron's plain forward pass must leave its drive alone"
    assert torch.equal(drawn(neuron, drive), activity)
    assert activity.unique().numel() > 1


@pytest.mark.parametrize("name", NAMES)
def test_fire_is_forward(name: str) -> None:
    neuron = make(name)
    drive = drive_of(neuron, 7)
    torch.manual_seed(0)
    fired, _, state = neuron.run(drive.clone(), None, None)
    assert torch.equal(fired, drawn(neuron, drive))
    assert state is None or neuron.signal.over_time


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("shape", [(7,), (2, 4, 4)])
def test_a_static_drive_equals_the_same_drive_at_every_step(name: str, shape: tuple[int, ...]) -> None:
    neuron = make(name)
    static = Static(drive_of(neuron, *shape)[0], 5)
    assert torch.equal(drawn(neuron, static), drawn(neuron, static.expand()))
    torch.manual_seed(0)
    fired, _, state = neuron.run(static, None, None)
    torch.manual_seed(0)
    written_out, _, expected = neuron.run(static.expand().clone(), None, None)
    assert torch.equal(fired, written_out)
    torch.testing.assert_close(state, expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", TIMED)
def test_a_static_signal_has_no_spike_times(name: str) -> None:
    with pytest.raises(RequestError, match="got a Static image"):
        network(name)[0](Static(torch.rand(2, 6), 4))


@pytest.mark.parametrize("name", STEPPED)
@pytest.mark.parametrize("cut", [1, 3])
def test_two_chunks_with_the_state_carried_are_one_run(name: str, cut: int) -> None:
    neuron = make(name)
    drive = drive_of(neuron, 7)
    torch.manual_seed(0)
    whole, _, last = neuron.run(drive.clone(), None, None)
    torch.manual_seed(0)
    early, _, state = neuron.run(drive[:cut].clone(), None, None)
    kept = copy.deepcopy(state)
    late, _, end = neuron.run(drive[cut:].clone(), state, None)
    assert torch.equal(torch.cat([early, late]), whole)
    torch.testing.assert_close(end, last)
    torch.testing.assert_close(state, kept, rtol=0, atol=0)  # the state handed in does not change
    if any(bool(value.any()) for value in state or () if value is not None):  # some neurons keep nothing
        assert not torch.equal(drawn(neuron, drive[cut:]), late), "the state must matter for this test to say anything"


@pytest.mark.parametrize("name", NAMES)
def test_plain_autograd_agrees_with_backpropagation(name: str) -> None:
    model, signal = network(name)
    torch.manual_seed(0)
    loss_of(model(signal)).backward()
    plain = gradients(model)
    model.zero_grad()
    rule = rules.bp(model)
    torch.manual_seed(0)
    rule.backward(loss_of(rule.forward(signal)))
    assert plain.keys() == dict(model.named_parameters()).keys()
    for key, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, plain[key])
        assert bool(gradient.any()), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["backward_through_time", "backward_local"])
def test_a_tape_is_spent_once(name: str, way: str) -> None:
    neuron = make(name)
    activity, tape, _ = neuron.run(drive_of(neuron, 7), None, None)
    error = getattr(neuron, way)(torch.ones_like(activity), tape)
    assert bool(torch.isfinite(error).all())
    with pytest.raises(OnchipError, match="backward was called twice"):
        getattr(neuron, way)(torch.ones_like(activity), tape)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_can_be_read(name: str) -> None:
    assert repr(make(name)).startswith(f"{name}(")
