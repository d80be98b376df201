"""Leaky neurons: every derivative against plain autograd, decays of the layer and of each neuron, fixed and learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import kernels, nn, rules
from onchip.errors import RequestError, UnsupportedError
from onchip.nn.neurons.leaky import Leaky
from onchip.nn.signals import Static
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Sigmoid, Surrogate, Triangle
from tests.cases import agree, gradients, learn, loss_of
from tests.nn.neurons.written_out import DECAYS, KINDS, SPIKING, build, decays_of, written_out

SURROGATES = [Sigmoid(), ATan(), FastSigmoid(2.0), Triangle(1.5), Rectangle(2.0)]
SHAPES = {"layer": (), "neuron": (5,)}

spiking = pytest.mark.parametrize("kind", SPIKING)
every = pytest.mark.parametrize("kind", KINDS)
reset = pytest.mark.parametrize("reset", ["soft", "hard"])
shaped = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def drive_of(*shape: int) -> Tensor:
    """A drive under which about half of all neurons fire in a step."""
    return torch.randn(shape, dtype=torch.float64) + 0.7


def leaves(decays: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: decay.clone().requires_grad_() for name, decay in decays.items()}


def same(got: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)
    assert bool(expected.any())


def options_of(kind: str, reset: str, detach_reset: bool, surrogate: Surrogate = SURROGATES[0]) -> dict[str, Any]:
    if kind == "li":
        return {}
    more = {"adaptation": 0.4} if kind == "alif" else {}
    return {"reset": reset, "detach_reset": detach_reset, "surrogate": surrogate, "threshold": 0.8, **more}


@spiking
@reset
@shaped
@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("surrogate", SURROGATES, ids=lambda surrogate: type(surrogate).__name__)
def test_gradients_through_time_are_those_of_autograd(
    kind: str, reset: str, shape: tuple[int, ...], detach_reset: bool, surrogate: Surrogate
) -> None:
    options, decays = options_of(kind, reset, detach_reset, surrogate), decays_of(kind, shape)
    drive, error = drive_of(7, 3, 5), torch.randn(7, 3, 5, dtype=torch.float64)
    _check(kind, decays, options, drive, error)


@shaped
def test_gradients_of_the_leaky_readout_are_those_of_autograd(shape: tuple[int, ...]) -> None:
    _check("li", decays_of("li", shape), {}, drive_of(7, 3, 5), torch.randn(7, 3, 5, dtype=torch.float64))


def _check(kind: str, decays: dict[str, Tensor], options: dict[str, Any], drive: Tensor, error: Tensor) -> None:
    roots = [drive.clone().requires_grad_(), *leaves(decays).values()]
    activity = written_out(kind, roots[0], dict(zip(decays, roots[1:], strict=True)), **options)
    expected = torch.autograd.grad(activity, roots, error)
    neuron = build(kind, decays, learn_decay=True, **options)
    sent, saved, _ = neuron.run(drive.clone(), None, None)
    kept = error.clone()
    same(sent, activity.detach())
    same(neuron.backward_through_time(error, saved), expected[0])
    assert torch.equal(error, kept), "the error belongs to the caller"
    for name, gradient in zip(decays, expected[1:], strict=True):
        same(saved.values[f"{name}_error"], gradient)
    for learn_decay in (False, True):  # the neurons alone, by autograd, the logistic function included
        neuron, given = build(kind, decays, learn_decay=learn_decay, **options), drive.clone().requires_grad_()
        neuron(given).backward(error)
        assert given.grad is not None
        same(given.grad, expected[0])
        for name, gradient in zip(decays if learn_decay else (), expected[1:], strict=learn_decay):
            same(getattr(neuron, f"{name}_parameter").grad, gradient * decays[name] * (1 - decays[name]))


@every
@reset
@shaped
@pytest.mark.parametrize("cut", [False, True])
def test_the_adjoint_adds_what_comes_at_each_step(kind: str, reset: str, shape: tuple[int, ...], cut: bool) -> None:
    """As under recurrence: the error at a step depends on the error at the drive of the next."""
    options, decays = options_of(kind, reset, False), decays_of(kind, shape)
    drive, error = drive_of(6, 3, 5), torch.randn(6, 3, 5, dtype=torch.float64)
    back = torch.randn(5, 5, dtype=torch.float64) / 3
    neuron = build(kind, decays, learn_decay=True, **options)
    roots = [drive.clone().requires_grad_(), *leaves(decays).values()]
    named = dict(zip(decays, roots[1:], strict=True))
    plain = written_out(kind, roots[0], named, **(options | ({"detach_reset": True} if cut and options else {})))
    _, saved, _ = neuron.run(drive.clone(), None, None)
    step, arrived, deltas = neuron.adjoint(saved, cut=cut), error.clone(), torch.zeros_like(error)
    for t in range(5, -1, -1):
        if t < 5:
            arrived[t] += deltas[t + 1] @ back
        deltas[t] = step(t, arrived[t])
    expected = torch.autograd.grad(plain, roots, arrived)
    same(deltas, expected[0])
    for name, gradient in zip(decays, expected[1:], strict=True):
        same(saved.values[f"{name}_error"], gradient)
    _, saved, _ = neuron.run(drive.clone(), None, None)
    way = neuron.backward_own_state if cut else neuron.backward_through_time
    same(way(arrived, saved), expected[0])


@spiking
@reset
@shaped
def test_recurrent_layers_and_a_leaky_readout_are_those_of_autograd(
    kind: str, reset: str, shape: tuple[int, ...]
) -> None:
    """By a rule and by autograd of the bare network, with every decay learned."""
    options, decays = options_of(kind, reset, False), decays_of(kind, shape)
    layers = [nn.Linear(4, 5), nn.Linear(5, 5, bias=False), nn.Linear(5, 3)]
    neurons = [build(kind, decays, learn_decay=True, **options), build("li", decays_of("li", ()), learn_decay=True)]
    model = nn.Sequential(layers[0], nn.Recurrent(layers[1], neurons[0]), layers[2], neurons[1]).double()
    with torch.no_grad():
        layers[0].weight.mul_(3.0)
    x = torch.rand(6, 3, 4, dtype=torch.float64)
    current = [torch.sigmoid(parameter) for parameter in neurons[0].parameters()]
    named = dict(zip(decays, current, strict=True))
    spikes = written_out(kind, layers[0](x), named, recurrent=layers[1].weight, **options)
    output = written_out("li", layers[2](spikes), {"decay": torch.sigmoid(neurons[1].decay_parameter)})  # type: ignore[arg-type]
    loss_of(output).backward()
    expected = gradients(model)
    assert len(expected) == 5 + len(decays) + 1
    model.zero_grad()
    same(model(x).detach(), output.detach())
    loss_of(model(x)).backward()
    agree(gradients(model), expected)
    model.zero_grad()
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(x)))
    agree(gradients(model), expected)


@pytest.mark.parametrize("reset", ["soft", "hard"])
@spiking
@shaped
def test_the_eligibility_is_the_derivative_by_each_weight(kind: str, shape: tuple[int, ...], reset: str) -> None:
    """At every step of a stream, through the neuron's own state, with the reset cut."""
    options, decays = options_of(kind, reset, False), decays_of(kind, shape)
    x, weight = torch.rand(6, 2, 4, dtype=torch.float64), torch.rand(5, 4, dtype=torch.float64, requires_grad=True)
    neuron = build(kind, decays, **options)
    activity = written_out(kind, x @ weight.T, decays, **(options | {"detach_reset": True}))
    _, saved, _ = neuron.run((x @ weight.T).detach(), None, None)
    local, state = neuron.backward_local(torch.ones_like(activity), saved), None
    for t in range(6):
        eligible, state = neuron.eligibility(x[t], local[t], activity[t].detach(), state)
        assert eligible.shape == (2, 5, 4)
        for sample in range(2):
            for out in range(5):
                (gradient,) = torch.autograd.grad(activity[t, sample, out], weight, retain_graph=True)
                torch.testing.assert_close(eligible[sample, out], gradient[out], rtol=1e-10, atol=1e-10)
    assert bool(eligible.any())


@every
@shaped
def test_the_error_at_a_learned_decay_is_known_online(kind: str, shape: tuple[int, ...]) -> None:
    """Step by step, from the errors of each step alone: what the adjoint of the neuron's own state finds afterwards."""
    options, decays = options_of(kind, "soft", False), decays_of(kind, shape)
    neuron = build(kind, decays, learn_decay=True, **options)
    drive, error = drive_of(6, 3, 5), torch.randn(6, 3, 5, dtype=torch.float64)
    _, saved, _ = neuron.run(drive.clone(), None, None)
    neuron.backward_own_state(error, saved)
    _, whole, _ = neuron.run(drive.clone(), None, None)
    neuron.backward_local(error, whole)
    state, online = None, dict.fromkeys(decays, torch.zeros((), dtype=torch.float64))
    for t in range(6):
        _, step, state = neuron.run(drive[t : t + 1].clone(), state, None)
        neuron.backward_local(error[t : t + 1], step)
        online = {name: total + step.values[f"{name}_error"] for name, total in online.items()}
    for name, total in online.items():
        same(total, saved.values[f"{name}_error"])
        same(whole.values[f"{name}_error"], saved.values[f"{name}_error"])


@every
@reset
@shaped
@pytest.mark.parametrize("learn_decay", [False, True])
def test_a_stream_is_the_whole_sequence_bit_for_bit(
    kind: str, reset: str, shape: tuple[int, ...], learn_decay: bool
) -> None:
    neuron = KINDS[kind](**decays_of(kind, shape), learn_decay=learn_decay, **options_of(kind, reset, False))
    drive = drive_of(8, 3, 5).float()
    with kernels.forced("torch"):
        whole, _, last = neuron.run(drive.clone(), None, None)
        state, steps = None, []
        for t in range(8):
            activity, _, state = neuron.run(drive[t : t + 1].clone(), state, None)
            steps.append(activity)
    assert torch.equal(torch.cat(steps), whole)
    assert state is not None
    assert last is not None
    for number, (mine, theirs) in enumerate(zip(state, last, strict=True)):
        # Of a row's last numbers torch computes ψ with another rounding than of those before, wherever the row ends.
        of_psi = 1e-6 if kind == "alif" and number == 2 else 0.0
        torch.testing.assert_close(mine, theirs, rtol=of_psi, atol=of_psi)


@every
@pytest.mark.parametrize("shape", [(4, 6, 6), (4, 1, 1), (1, 6, 6)])
@pytest.mark.parametrize("learn_decay", [False, True])
def test_decays_of_maps_may_be_shared_along_an_axis(kind: str, shape: tuple[int, ...], learn_decay: bool) -> None:
    decays = decays_of(kind, shape)
    drive, error = drive_of(5, 2, 4, 6, 6), torch.randn(5, 2, 4, 6, 6, dtype=torch.float64)
    _check(kind, decays, {}, drive, error)
    given = Static(drive[0], 5)
    neuron = build(kind, decays, learn_decay=learn_decay)
    same(neuron(given), neuron(given.expand().clone()))


def test_a_pool_in_the_same_pass_knows_decays_of_each_neuron() -> None:
    decays = decays_of("lif", (4, 6, 6))
    drive, error = drive_of(5, 2, 4, 6, 6), torch.randn(5, 2, 4, 3, 3, dtype=torch.float64)
    pool = torch.nn.AvgPool2d(2)
    for kind in ("lif", "cuba"):
        decays = decays_of(kind, (4, 6, 6))
        root = drive.clone().requires_grad_()
        pooled = pool(written_out(kind, root, decays).flatten(0, 1)).unflatten(0, (5, 2))
        (expected,) = torch.autograd.grad(pooled, root, error)
        neuron = build(kind, decays)
        sent, saved, _ = neuron.run(drive.clone().contiguous(), None, 2)
        same(sent, pooled.detach())
        same(neuron.backward_through_time(error, saved), expected)


@every
def test_decays_of_each_neuron_travel_with_the_layer(kind: str) -> None:
    decays = decays_of(kind, (5,))
    fixed, learned = KINDS[kind](**decays), KINDS[kind](**decays, learn_decay=True)
    assert [f"{name}_per_neuron" for name in DECAYS[kind]] == list(fixed.state_dict())
    assert [f"{name}_parameter" for name in DECAYS[kind]] == list(learned.state_dict())
    assert not list(fixed.parameters())
    for name, decay in decays.items():
        for neuron in (fixed, learned):
            now = neuron.constant(name)
            assert isinstance(now, Tensor)
            torch.testing.assert_close(now, decay.float())
    other = KINDS[kind](**decays_of(kind, (5,)))
    drive = drive_of(6, 2, 5).float()
    assert not torch.equal(other(drive), fixed(drive))
    other.load_state_dict(fixed.state_dict())
    assert torch.equal(other(drive), fixed(drive))
    assert fixed.decays() is None
    assert learned.decays() is None


def test_decays_of_the_layer_are_the_filters_in_series() -> None:
    assert nn.LIF(decay=0.8).decays() == (0.8,)
    assert nn.LI(decay=0.7).decays() == (0.7,)
    assert nn.ALIF(decay=0.6, adaptation_decay=0.9).decays() == (0.6,)
    assert nn.CubaLIF(decay=0.8, current_decay=0.3).decays() == (0.3, 0.8)
    assert nn.LIF(decay=torch.tensor(0.25)).decays() == (0.25,)


BAD: list[tuple[Callable[..., Leaky], dict[str, Any], str]] = [
    (nn.LIF, {"decay": torch.tensor([0.5, 1.5])}, r"LIF got decay\[1\]=1\.5; expected a number in \[0, 1\]"),
    (nn.LIF, {"decay": torch.tensor([[0.5], [torch.nan]])}, r"LIF got decay\[1, 0\]=nan; expected"),
    (nn.LIF, {"decay": torch.tensor([0.5, 1.0]), "learn_decay": True}, r"decay\[1\]=1\.0; .* inside \(0, 1\)"),
    (nn.LIF, {"decay": torch.tensor(-0.5)}, r"LIF got decay=-0\.5; expected"),
    (nn.LIF, {"decay": "slow"}, r"LIF got decay='slow'; expected float or Tensor"),
    (nn.LIF, {"decay": [0.5, 0.6]}, r"LIF got decay=\[0\.5, 0\.6\]; expected float or Tensor"),
    (nn.LIF, {"decay": torch.empty(0)}, r"LIF got decay=a tensor of shape \(0,\)"),
    (nn.LI, {"decay": 1.1}, r"LI got decay=1\.1; expected a number in \[0, 1\]"),
    (nn.LI, {"decay": 1.0, "learn_decay": True}, r"LI got decay=1\.0; expected a number inside"),
    (nn.ALIF, {"adaptation_decay": 1.0}, r"ALIF got adaptation_decay=1\.0; expected a number in \[0, 1\)"),
    (nn.ALIF, {"adaptation_decay": torch.tensor([0.0, -0.1])}, r"ALIF got adaptation_decay\[1\]=-0\.1"),
    (nn.ALIF, {"adaptation": -1.0}, r"ALIF got adaptation=-1\.0; expected a finite number, at least 0"),
    (nn.ALIF, {"adaptation": torch.nan}, r"ALIF got adaptation=nan"),
    (nn.ALIF, {"threshold": 0.0}, r"ALIF got threshold=0\.0"),
    (nn.CubaLIF, {"current_decay": 1.0}, r"CubaLIF got current_decay=1\.0; expected a number in \[0, 1\)"),
    (nn.CubaLIF, {"current_decay": torch.nan}, r"CubaLIF got current_decay=nan"),
    (nn.CubaLIF, {"current_decay": 0.0, "learn_decay": True}, r"CubaLIF got current_decay=0\.0; .* inside"),
]


@pytest.mark.parametrize(("make", "options", "said"), BAD)
def test_constants_out_of_range_are_refused_by_name(
    make: Callable[..., Leaky], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        make(**options)


@every
@pytest.mark.parametrize("learn_decay", [False, True])
@pytest.mark.parametrize("shape", [(4,), (5, 1), (6,)])
def test_decays_that_do_not_fit_the_neurons_are_refused(kind: str, learn_decay: bool, shape: tuple[int, ...]) -> None:
    neuron = KINDS[kind](**decays_of(kind, shape), learn_decay=learn_decay)
    name = type(neuron).__name__
    for drive in (drive_of(3, 2, 5).float(), Static(drive_of(2, 5).float(), 3)):
        with pytest.raises(RequestError, match=rf"{name} got decay of shape .* drive of features \(5,\)"):
            neuron(drive)


@every
def test_what_is_printed_names_the_decays(kind: str) -> None:
    printed = repr(KINDS[kind](**{name: torch.tensor([0.25, 0.5]) for name in DECAYS[kind]}, learn_decay=True))
    assert "learn_decay=True" in printed
    for name in DECAYS[kind]:
        assert f"{name}=0.25 to 0.5" in printed


@pytest.mark.parametrize("name", rules.__all__)
@pytest.mark.parametrize("at", ["hidden", "readout"])
def test_rules_train_decays_of_each_neuron_or_refuse_by_name(name: str, at: str) -> None:
    """Rules with one trace for all neurons refuse; through time, and by eligibilities, the gradients are finite."""
    decays = torch.tensor([0.3, 0.6, 0.9])
    hidden, readout = (nn.LIF(decay=decays), nn.LI()) if at == "hidden" else (nn.LIF(), nn.LI(decay=decays))
    model = nn.Sequential(nn.Linear(4, 3), hidden, nn.Linear(3, 3), readout)
    try:
        rule = getattr(rules, name)(model)
    except UnsupportedError as error:
        assert name in str(error)  # noqa: PT017
        return
    rule.forward(torch.rand(5, 2, 4) * 4)
    learn(rule)
    for gradient in gradients(model).values():
        assert bool(torch.isfinite(gradient).all())
    assert gradients(model).keys() == dict(model.named_parameters()).keys()


def test_a_trace_serves_no_neurons_with_decays_of_their_own() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.LIF(decay=torch.rand(3)), nn.Linear(3, 3))
    with pytest.raises(UnsupportedError, match="ottt cannot train layer '0': LIF has a time constant per neuron"):
        rules.ottt(model)
    rules.bp(model)
