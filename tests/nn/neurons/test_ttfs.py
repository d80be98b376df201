"""Time-to-first-spike neurons: the closed form against a simulation, its derivative against differences."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from onchip import nn, rules
from onchip.errors import RequestError
from onchip.learning.rule import Rule
from onchip.nn.neurons.base import SavedTensors
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle
from tests.cases import Case, agree, gradients, loss_of
from tests.stacks import TIMED

GRID = 4096
SURROGATES = [Triangle(2.0), Rectangle(), Sigmoid(), ATan(), FastSigmoid()]


def simulated(times: Tensor, weight: Tensor) -> Tensor:
    """Spike times (B, out) found by stepping through the window [1, 2] of neurons with weights (out, in).

    Each input that fired at t_j adds w_j (t - t_j) to the potential at t; the threshold falls from 1 to 0 as
    2 - t. A neuron fires once, when it first reaches the threshold; at the very end it must exceed it.
    """
    found = torch.full((len(times), len(weight)), math.inf, dtype=times.dtype)
    for step in range(GRID + 1):
        now = 1.0 + step / GRID
        risen = torch.where(torch.isfinite(times), now - times, 0.0)
        potential, threshold = risen @ weight.t(), 2.0 - now
        reached = potential >= threshold if step < GRID else potential > threshold
        found = torch.where(reached & torch.isinf(found), now - 1.0, found)
    return found


def draw(*shape: int) -> Tensor:
    drawn = torch.rand(*shape, dtype=torch.float64)
    return torch.where(torch.rand(*shape) < 0.3, math.inf, drawn)


def test_spike_times_are_those_of_a_simulation() -> None:
    times, weight = draw(40, 6), 1.5 * torch.randn(30, 6, dtype=torch.float64)
    neuron = nn.TTFS()
    planes = neuron.synaptic_input(times)
    assert isinstance(planes, Tensor)
    closed = neuron(planes @ weight.t())
    stepped = simulated(times, weight)
    assert torch.equal(torch.isinf(closed), torch.isinf(stepped))
    fired = torch.isfinite(closed)
    late = (stepped - closed)[fired]
    assert late.min() >= -1e-9, "a simulation sees a crossing at the first step after it, never before"
    assert late.max() <= 1.0 / GRID + 1e-9
    at_start, silent = closed == 0, torch.isinf(closed)
    for share in (at_start, silent, ~at_start & ~silent):
        assert share.float().mean() > 0.1, "the three regimes must all occur"


@pytest.mark.parametrize(
    ("total", "delay", "time"),
    [
        (0.0, 0.0, math.inf),  # no input: firing is strict
        (0.5, 1.0, math.inf),  # reaches the threshold at the very end only
        (0.5, 0.999, 2.999 / 1.5 - 1),  # just before the end
        (1.0, 0.0, 0.0),  # at the threshold when the window opens
        (3.0, 0.5, 0.0),
        (0.5, 0.0, 1.0 / 3.0),
        (-0.5, -1.2, 0.6),
        (-2.0, -3.0, 0.0),
        (-1.0, 0.0, math.inf),  # 1 + S = 0
        (-3.0, 1.0, math.inf),
    ],
)
def test_spike_times_by_hand(total: float, delay: float, time: float) -> None:
    assert nn.TTFS()(torch.tensor([[[total]], [[delay]]], dtype=torch.float64)).item() == pytest.approx(time)


def test_without_input_nothing_fires() -> None:
    layers = [nn.Linear(4, 5, bias=False), nn.TTFS(), nn.Linear(5, 3, bias=False), nn.TTFSReadout()]
    silence = torch.full((2, 4), math.inf)
    assert bool(torch.isinf(layers[1](torch.zeros(2, 2, 5))).all())
    assert not nn.Sequential(*layers)(silence).any()


def test_the_readout_is_the_potential_at_the_end() -> None:
    times, layer = draw(5, 6), nn.Linear(6, 3, bias=False).double()
    fired = torch.isfinite(times)
    expected = torch.stack(
        [sum((layer.weight[:, j] * (2 - row[j]) for j in range(6) if fired[b, j]), torch.zeros(3).double())
         for b, row in enumerate(times)]
    )  # fmt: skip
    torch.testing.assert_close(nn.Sequential(layer, nn.TTFSReadout())(times), expected)
    assert nn.TTFSReadout()(torch.tensor([[[3.0]], [[1.0]]])).item() == 5.0


@pytest.mark.parametrize("case", [case for case in TIMED if "inf" in case.name], ids=lambda case: case.name)
def test_gradients_are_finite_differences(case: Case) -> None:
    """With clip=inf, for every weight, and for the input's spike times."""
    model, times = case.build(), case.signal()
    times.requires_grad_()
    loss_of(model(times)).backward()
    by_autograd = gradients(model)
    of_times = times.grad
    model.zero_grad()
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(times)))
    agree(gradients(model), by_autograd)
    picked = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            places = torch.randperm(parameter.numel(), generator=picked)[:30]
            expected = _differences(lambda: loss_of(model(times)), parameter, places)
            got = by_autograd[name].flatten()[places]
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6, msg=lambda text, n=name: f"{n}: {text}")  # type: ignore[misc]
            assert got.count_nonzero() > 5
        places = torch.isfinite(times).flatten().nonzero().flatten()[:40]
        expected = _differences(lambda: loss_of(model(times)), times, places)
    assert of_times is not None
    torch.testing.assert_close(of_times.flatten()[places], expected, rtol=1e-5, atol=1e-6)


def _differences(value: Callable[[], Tensor], of: Tensor, places: Tensor) -> Tensor:
    flat, step, slopes = of.detach().view(-1), 1e-6, []
    for place in places.tolist():
        kept = flat[place].item()
        flat[place] = kept + step
        above = value()
        flat[place] = kept - step
        slopes.append((above - value()) / (2 * step))
        flat[place] = kept
    return torch.stack(slopes)


@pytest.mark.parametrize("clip", [1.0, 0.25, math.inf])
def test_each_partial_is_clipped_on_its_own(clip: float) -> None:
    drive = (0.8 * torch.randn(2, 40, 25, dtype=torch.float64)).requires_grad_()
    times = nn.TTFS(clip=clip)(drive)
    mid = torch.isfinite(times) & (times > 0)
    times[torch.isfinite(times)].sum().backward()
    total, delay = drive.detach()
    crossing = (2 + delay) / (1 + total)
    by_total = torch.where(mid, -crossing / (1 + total), 0.0)
    by_delay = torch.where(mid, 1 / (1 + total), 0.0)
    assert drive.grad is not None
    torch.testing.assert_close(drive.grad[0], by_total.clamp(-clip, clip))
    torch.testing.assert_close(drive.grad[1], by_delay.clamp(-clip, clip))
    if math.isfinite(clip):
        assert (by_total < -clip).any()
        assert (by_delay > clip).any()
    tape: SavedTensors = nn.TTFS(clip=clip).run(drive.detach().clone(), None, None)[1]
    torch.testing.assert_close(
        nn.TTFS(clip=clip).backward_through_time(torch.ones(40, 25, dtype=torch.float64), tape), drive.grad
    )


QUARTERS = st.integers(-12, 12).map(lambda n: n / 4)
TIMES = st.one_of(st.just(math.inf), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))


@settings(max_examples=40, deadline=None)
@given(
    times=st.lists(TIMES, min_size=12, max_size=12),
    weights=st.lists(st.one_of(QUARTERS, st.floats(-4, 4, width=32)), min_size=40, max_size=40),
    clip=st.sampled_from([1.0, math.inf]),
    surrogate=st.sampled_from([None, Triangle(2.0)]),
    make=st.sampled_from([rules.bp, rules.fa, rules.dfa]),
)
def test_no_mix_of_silent_early_and_late_spikes_makes_a_nan(
    times: list[float],
    weights: list[float],
    clip: float,
    surrogate: Surrogate | None,
    make: Callable[[torch.nn.Module], Rule],
) -> None:
    """Weights and times in quarters hit every border of the three regimes exactly."""
    convolution, hidden, readout = (
        nn.Conv2d(1, 3, 2, bias=False),
        nn.Linear(3, 4, bias=False),
        nn.Linear(4, 4, bias=False),
    )
    layers: list[nn.Conv2d | nn.Linear] = [convolution, hidden, readout]
    with torch.no_grad():
        for layer, part in zip(layers, torch.tensor(weights).split([12, 12, 16]), strict=True):
            layer.weight.copy_(part.view_as(layer.weight))
    neurons = [nn.TTFS(clip=clip, surrogate=surrogate) for _ in range(2)]
    first = [layers[0], neurons[0], nn.EarliestPool2d(2), nn.Flatten()]
    model = nn.Sequential(*first, layers[1], neurons[1], layers[2], nn.TTFSReadout())
    signal = torch.tensor(times)[:9].view(1, 1, 3, 3).repeat(2, 1, 1, 1)
    signal[1, 0, 0] = torch.tensor(times)[9:]
    logits = model(signal)
    assert bool(torch.isfinite(logits).all())
    rule = make(model)
    output = rule.forward(signal)
    assert torch.equal(output, logits)
    rule.backward(loss_of(output))
    assert set(gradients(model)) == {"0.weight", "4.weight", "6.weight"}
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients(model).values())


@pytest.mark.parametrize("surrogate", [None, Triangle(2.0)])
def test_silent_neurons_pass_error_on_by_the_surrogate_alone(surrogate: Surrogate | None) -> None:
    """At S = 0, I = 1 the potential ends half a width below the threshold, and the neuron stays silent."""
    neuron = nn.TTFS(surrogate=surrogate)
    drive = torch.tensor([[[0.0]], [[1.0]]], requires_grad=True)
    times = neuron(drive)
    assert times.tolist() == [[math.inf]]
    planes = neuron.synaptic_input(times)
    assert isinstance(planes, Tensor)
    (error,) = torch.autograd.grad(planes, drive, torch.tensor([[[7.0]], [[3.0]]]))
    height = 0.0 if surrogate is None else 0.25
    assert error.tolist() == [[[-2.0 * 3.0 * height]], [[3.0 * height]]]


@pytest.mark.parametrize("surrogate", SURROGATES, ids=str)
def test_the_surrogate_is_added_to_both_partials(surrogate: Surrogate) -> None:
    """At every neuron, by ψ at twice S minus I, with the signs of an activity of 2 - t."""
    drive, ones = torch.randn(2, 40, 25, dtype=torch.float64), torch.ones(40, 25, dtype=torch.float64)
    with_it, without = (
        neuron.backward_through_time(ones, neuron.run(drive.clone(), None, None)[1])
        for neuron in (nn.TTFS(surrogate=surrogate), nn.TTFS())
    )
    firing = surrogate.gate_(2.0 * drive[0] - drive[1], ones)
    assert firing.count_nonzero() > 100
    torch.testing.assert_close(with_it - without, torch.stack([-2.0 * firing, firing]))


def test_the_surrogate_is_the_derivative_of_a_mean_over_shifted_potentials() -> None:
    """Below the read-out: if u were shifted by up to half the width, the mean of the step at u = 0 would be a ramp."""
    times, width = draw(20, 6), 0.7
    first, second = nn.Linear(6, 9, bias=False).double(), nn.Linear(9, 3, bias=False).double()
    by_logits = torch.randn(20, 3, dtype=torch.float64)

    def gradients_with(surrogate: Surrogate | None) -> list[Tensor]:
        model = nn.Sequential(first, nn.TTFS(surrogate=surrogate), second, nn.TTFSReadout())
        return list(torch.autograd.grad((by_logits * model(times)).sum(), [first.weight, second.weight]))

    fired = torch.isfinite(times)
    potential = torch.where(fired, 2.0 - times, 0.0) @ first.weight.t()
    ramp = (potential / width + 0.5).clamp(0.0, 1.0)
    (expected,) = torch.autograd.grad((by_logits * (ramp @ second.weight.t())).sum(), first.weight)
    with_it, without = gradients_with(Rectangle(width)), gradients_with(None)
    torch.testing.assert_close(with_it[0] - without[0], expected)
    assert torch.equal(with_it[1], without[1])
    assert expected.count_nonzero() > 20


def test_a_nan_weight_does_not_pass_for_silence() -> None:
    """Otherwise a network that has diverged would look like a quiet one."""
    times = nn.TTFS()(torch.tensor([[[math.nan, 0.5]], [[0.0, math.nan]]]))
    assert bool(times.isnan().all())


@pytest.mark.parametrize("clip", [0.0, -1.0, math.nan])
def test_a_clip_that_is_not_positive_is_refused(clip: float) -> None:
    with pytest.raises(RequestError, match=r"TTFS got clip=.*expected a positive number, or inf"):
        nn.TTFS(clip=clip)


def test_what_is_printed_names_what_is_not_usual() -> None:
    assert [repr(nn.TTFS(clip=clip)) for clip in (1.0, 0.5, math.inf)] == ["TTFS()", "TTFS(clip=0.5)", "TTFS(clip=inf)"]
    assert repr(nn.TTFS(surrogate=Triangle(2.0))) == "TTFS(surrogate=Triangle(width=2.0))"
