"""LIF and IF: their dynamics, their options, their learnable decay."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip.errors import RequestError
from onchip.nn import IF, LIF
from onchip.nn.signals import Static
from onchip.surrogate import ATan
from tests.oracle import run_steps


def by_hand(drive: list[float], *, decay: float, threshold: float, hard: bool) -> list[float]:
    v, spikes = 0.0, []
    for current in drive:
        u = decay * v + current
        s = 1.0 if u >= threshold else 0.0
        v = u * (1 - s) if hard else u - threshold * s
        spikes.append(s)
    return spikes


@settings(max_examples=50, deadline=None)
@given(
    drive=st.lists(st.integers(-8, 16), min_size=1, max_size=12),
    decay=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    threshold=st.sampled_from([0.5, 1.0, 2.0]),
    hard=st.booleans(),
)
def test_spikes_follow_the_recursion(drive: list[int], decay: float, threshold: float, hard: bool) -> None:
    """In eighths and with a decay of quarters every number is exact, so that ties at the threshold count."""
    currents = [value / 8 for value in drive]
    neuron = LIF(decay=decay, threshold=threshold, reset="hard" if hard else "soft").double()
    spikes = neuron(torch.tensor(currents, dtype=torch.float64)[:, None, None])
    assert spikes[:, 0, 0].tolist() == by_hand(currents, decay=decay, threshold=threshold, hard=hard)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    decay=st.floats(0.05, 0.95),
    hard=st.booleans(),
    learn_decay=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_chunks_make_the_whole_run(
    lengths: list[int], decay: float, hard: bool, learn_decay: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    neuron = LIF(decay=decay, reset="hard" if hard else "soft", learn_decay=learn_decay)
    drive = torch.randn(sum(lengths), 2, 6) + 0.5
    whole, _, last = neuron.run(drive.clone(), None, None)
    state, pieces = None, []
    for chunk in drive.split(lengths):
        piece, _, state = neuron.run(chunk.clone(), state, None)
        pieces.append(piece)
    assert torch.equal(torch.cat(pieces), whole)
    assert state is not None
    assert last is not None
    torch.testing.assert_close(state, last, rtol=0, atol=0)


def test_a_membrane_keeps_half_of_its_potential_a_step() -> None:
    """One spike short of the threshold, λ = 0.5: after one step 0.5 of the first 0.9 is left, 0.45."""
    _, tape, kept = LIF().run(torch.tensor([0.9, 0.0]).view(2, 1, 1), None, None)
    assert tape.values["potentials"].flatten().tolist() == pytest.approx([0.9, 0.45])
    assert kept is not None
    assert kept.membrane.item() == pytest.approx(0.45)


def test_a_potential_at_the_threshold_fires() -> None:
    assert LIF(threshold=0.75)(torch.full((1, 1, 1), 0.75)).item() == 1.0


def test_if_is_a_lif_without_leak() -> None:
    drive = torch.rand(8, 2, 5)
    assert torch.equal(IF(reset="soft")(drive), LIF(decay=1.0, reset="soft")(drive))
    assert torch.equal(IF(reset="hard")(drive), LIF(decay=1.0, reset="hard")(drive))
    assert not torch.equal(IF()(drive), LIF()(drive))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"decay": 1.5}, "decay=1.5"),
        ({"decay": -0.1}, "decay=-0.1"),
        ({"decay": float("nan")}, "decay=nan"),
        ({"threshold": 0.0}, "threshold=0.0"),
        ({"threshold": float("inf")}, "threshold=inf"),
        ({"reset": "zero"}, "reset='zero'"),
        ({"decay": 1.0, "learn_decay": True}, "decay=1.0"),
        ({"decay": 0.0, "learn_decay": True}, "decay=0.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=f"LIF got {said}; expected"):
        LIF(**options)


def test_if_names_itself_in_its_errors() -> None:
    with pytest.raises(RequestError, match="IF got threshold=-1"):
        IF(threshold=-1)


def test_a_learnable_decay_is_one_parameter_that_starts_at_the_decay() -> None:
    neuron = LIF(decay=0.8, learn_decay=True)
    (raw,) = neuron.parameters()
    assert raw.shape == ()
    assert neuron.constant("decay") == pytest.approx(0.8)
    assert list(neuron.state_dict()) == ["decay_parameter"]
    assert not list(LIF().parameters())
    assert not LIF().state_dict()


def test_a_learnable_decay_moves_the_dynamics() -> None:
    neuron, drive = LIF(decay=0.5, learn_decay=True), torch.full((4, 1, 1), 0.4)
    assert neuron(drive).sum() == 0
    with torch.no_grad():
        neuron.decay_parameter.fill_(10.0)  # type: ignore[union-attr]
    assert neuron.constant("decay") > 0.99
    assert neuron(drive).sum() == 1


@pytest.mark.parametrize("reset", ["soft", "hard"])
@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("learn_decay", [False, True])
def test_plain_autograd_of_the_neurons_alone_is_right(reset: Any, static: bool, learn_decay: bool) -> None:
    neuron = LIF(reset=reset, learn_decay=learn_decay, surrogate=ATan()).double()
    current = (torch.randn(3, 5, dtype=torch.float64) + 0.7).requires_grad_()
    frames = (current * torch.rand(6, 1, 1, dtype=torch.float64)) if not static else current.expand(6, 3, 5)
    weights = torch.randn(6, 3, 5, dtype=torch.float64)

    def slopes(spikes: Tensor) -> list[Tensor]:
        roots = [current, *neuron.parameters()]
        return list(torch.autograd.grad((spikes * weights).sum(), roots, retain_graph=True))

    ours = slopes(neuron(Static(current, 6) if static else frames))
    theirs = slopes(run_steps(torch.nn.Sequential(neuron), frames))
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
        assert bool(got.any())


def test_what_is_printed_names_the_constants() -> None:
    assert repr(LIF(decay=0.9)) == "LIF(decay=0.9, threshold=1, reset='soft')"
    assert repr(LIF(learn_decay=True, reset="hard")) == "LIF(decay=0.5, threshold=1, reset='hard', learn_decay=True)"
