"""Recurrent connections: a second synapse of a layer, one time step later."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import kernels, nn, rules
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.coding.spikes import SpikeErrors
from onchip.learning.temporal.online import Online
from onchip.learning.temporal.through_time import ThroughTime
from onchip.nn.graph_builder import build_graph
from onchip.surrogate import ATan, FastSigmoid, Rectangle, Triangle
from tests.cases import CASES, Case, agree, gradients, loss_of, scaled
from tests.oracle import run_steps
from tests.stacks import RECURRENT


def dense(neuron: nn.Neuron | None = None, *, bias: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    recurrent = nn.Recurrent(nn.Linear(9, 9, bias=bias), neuron or nn.LIF())
    return scaled(nn.Sequential(nn.Linear(6, 9), recurrent, nn.Linear(9, 3)), 2.0)


def frames(*shape: int) -> Tensor:
    return (torch.rand(*shape) < 0.5).float()


@pytest.mark.parametrize("case", RECURRENT, ids=lambda case: case.name)
def test_the_bare_model_is_a_loop_over_time(case: Case) -> None:
    model, signal = case.build(), case.signal()
    output = model(signal)
    loss_of(output).backward()
    ours = gradients(model)
    model.zero_grad()
    expected = run_steps(model, signal)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    loss_of(expected).backward()
    agree(ours, gradients(model))
    with torch.no_grad():
        torch.testing.assert_close(model(signal), expected, rtol=1e-12, atol=1e-12)


def test_a_recurrent_connection_is_a_layer_of_the_graph_after_its_own() -> None:
    model = nn.Sequential(*dense()[:2], *dense()[1:])
    graph = build_graph(nn.Sequential(nn.Linear(6, 9), model[1], nn.Linear(9, 9), copy.deepcopy(model[1])))
    assert [layer.name for layer in graph.layers] == ["0", "1.recurrent", "2", "3.recurrent"]
    assert graph.positions == (0, 2)
    assert graph.receivers == {0: 0, 1: 2}
    assert graph.layers[1].neuron is graph.layers[0].neuron


NEURONS: dict[str, Callable[[], nn.Neuron]] = {
    "lif": nn.LIF,
    "if": lambda: nn.IF(threshold=2.0),
    "hard": lambda: nn.LIF(reset="hard", decay=0.9),
    "detached": lambda: nn.LIF(reset="hard", decay=0.9, detach_reset=True, surrogate=Triangle()),
    "alif": lambda: nn.ALIF(decay=0.8, adaptation=0.4, surrogate=ATan()),
    "alif hard": lambda: nn.ALIF(decay=0.9, adaptation=0.4, reset="hard"),
    "alif detached": lambda: nn.ALIF(adaptation=0.4, reset="hard", detach_reset=True, surrogate=FastSigmoid()),
    "cuba": lambda: nn.CubaLIF(decay=0.8, current_decay=0.3, surrogate=Rectangle()),
    "cuba hard": lambda: nn.CubaLIF(decay=0.7, current_decay=0.6, reset="hard"),
}


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize(("batch", "hidden"), [(5, 9), (8, 37), (1, 16)])
@pytest.mark.parametrize("rule", ["bp", "eprop"])
def test_compiled_code_agrees_with_torch(neuron: str, batch: int, hidden: int, rule: str) -> None:
    torch.manual_seed(batch)
    layer = nn.Recurrent(nn.Linear(hidden, hidden, bias=False), NEURONS[neuron]())
    model = scaled(nn.Sequential(nn.Linear(6, hidden), layer, nn.Linear(hidden, 3)), 3.0)
    signal, found = frames(12, batch, 6), []
    for choice in ("native", "torch"):
        with kernels.forced(choice):
            torch.manual_seed(0)  # the feedback weights of eprop
            trained = getattr(rules, rule)(model)
            output = trained.forward(signal)
            trained.backward(loss_of(output))
            trained.detach()
            streamed = torch.cat([step.detach() for step in rules.eprop(model).stream(signal)])
        found.append((output, streamed, gradients(model)))
        model.zero_grad()
    (output, streamed, ours), (other, steps, theirs) = found
    assert 0.0 < model[:2](signal).mean().item() < 1.0
    for one in (other, streamed, steps):
        torch.testing.assert_close(output, one, rtol=1e-5, atol=1e-5)
    for name, gradient in theirs.items():
        scale = float(gradient.abs().max())
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=name)


def test_one_pass_is_taken_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither direction goes step by step through torch."""
    refused = pytest.fail
    for neuron in (nn.LIF(), nn.ALIF(), nn.CubaLIF()):
        model = dense(neuron)
        monkeypatch.setattr(neuron, "run", lambda *_: refused("step by step"))
        monkeypatch.setattr(neuron, "adjoint", lambda *_, **__: refused("step by step"))
        rule = rules.bp(model)
        with kernels.forced("native") if kernels.active() == "native" else pytest.skip("needs a C compiler"):
            rule.backward(loss_of(rule.forward(frames(4, 2, 6))))


@pytest.mark.parametrize("case", [c for c in CASES if "lif-recurrent" in c.name], ids=lambda case: case.name)
def test_a_stream_goes_on_with_the_spikes_of_the_step_before(case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule = rules.ottt(model)
    whole = rule.forward(signal)
    assert isinstance(signal, Tensor)
    steps = torch.cat([output.detach() for output in rule.stream(signal)])
    torch.testing.assert_close(steps, whole.detach(), rtol=1e-5, atol=1e-5)


def test_a_bias_counts_at_the_first_step_too() -> None:
    model = dense(bias=True).double()
    signal = frames(1, 4, 6).double()
    output = model(signal)
    recurrent = model[1].recurrent
    assert isinstance(recurrent, nn.Linear)
    drive = signal[0] @ model[0].weight.t() + model[0].bias + recurrent.bias  # type: ignore[operator]
    expected = (drive >= 1.0).double() @ model[2].weight.t() + model[2].bias  # type: ignore[operator]
    torch.testing.assert_close(output[0], expected)


def test_a_frozen_connection_gets_no_gradient() -> None:
    model = dense()
    model[1].requires_grad_(False)
    rule = rules.bp(model)
    rule.backward(loss_of(rule.forward(frames(4, 2, 6))))
    assert set(gradients(model)) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_only_credit_through_time_sends_errors_through_it() -> None:
    assert set(rules.fa(dense()).feedback_weights()) == {"1.recurrent", "2"}
    assert set(rules.fa(dense(), temporal=Online()).feedback_weights()) == {"2"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Recurrent(nn.Linear(3, 3), nn.TTFS()), "TTFS .*such as nn.LIF"),
        (lambda: nn.Recurrent(nn.Linear(3, 3), nn.Rate()), "Rate .*such as nn.LIF"),
        (lambda: nn.Recurrent(nn.Linear(3, 3), nn.Readout()), "Readout .*such as nn.LIF"),
        (lambda: nn.Recurrent(nn.Linear(3, 3), nn.Linear(3, 3)), "Linear .*such as nn.LIF"),  # type: ignore[arg-type]
        (lambda: build_graph(nn.Sequential(nn.Linear(3, 3), nn.Recurrent(nn.Flatten(), nn.LIF()))), "'1.recurrent'"),
    ],
)
def test_what_cannot_recur_is_refused(make: object, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        make()  # type: ignore[operator]


def test_a_connection_that_changes_the_shape_is_refused() -> None:
    wrong = nn.Sequential(nn.Linear(3, 4), nn.Recurrent(nn.Linear(4, 5), nn.LIF()), nn.Linear(4, 2))
    with pytest.raises(RequestError, match=r"recurrent.*\(4,\).*\(5,\).*same shape"):
        wrong(torch.rand(3, 2, 3))
    maps = nn.Recurrent(nn.Conv2d(2, 2, 3), nn.LIF())
    with pytest.raises(RequestError, match=r"expected the same shape"):
        nn.Sequential(nn.Conv2d(1, 2, 3), maps, nn.Flatten(), nn.Linear(72, 2))(torch.rand(3, 2, 1, 8, 8))


def test_a_recurrent_layer_follows_synapses() -> None:
    with pytest.raises(RequestError, match="Recurrent '0' does not follow a layer with weights"):
        build_graph(nn.Sequential(nn.Recurrent(nn.Linear(3, 3), nn.LIF()), nn.Linear(3, 2)))


def test_coded_errors_do_not_pass_it_through_time() -> None:
    model = nn.Sequential(*[nn.Linear(6, 8), nn.Recurrent(nn.Linear(8, 8), nn.Stochastic()), nn.Linear(8, 3)])
    model.append(nn.MeanReadout())
    with pytest.raises(UnsupportedError, match=r"fa sends errors as SpikeErrors.*'1.recurrent'"):
        rules.fa(model, temporal=ThroughTime(), code=SpikeErrors())


def test_credit_through_time_of_stochastic_neurons_is_the_written_out_sum() -> None:
    """δ[t] = sum over s >= t of gate[s] (g[s] + B^T δ[s+1]) / s, for the mean of drives up to s."""
    torch.manual_seed(0)
    neuron, weight = nn.Stochastic(), torch.randn(4, 4, dtype=torch.float64)
    drive, error = torch.rand(5, 3, 4, dtype=torch.float64), torch.randn(5, 3, 4, dtype=torch.float64)
    _, saved, _ = neuron.run(drive, None, None)
    gate = saved.values["gate"].clone()
    deltas: list[Tensor] = []
    step = neuron.adjoint(saved, cut=False)
    for t in range(4, -1, -1):
        deltas.insert(0, step(t, error[t] + (deltas[0] @ weight if deltas else 0.0)))
    expected: dict[int, Tensor] = {}
    for t in range(4, -1, -1):
        arrived = {s: error[s] + (expected[s + 1] @ weight if s < 4 else 0.0) for s in range(t, 5)}
        expected[t] = sum((gate[s] * arrived[s] / (s + 1) for s in range(t, 5)), torch.zeros(3, 4))
    torch.testing.assert_close(torch.stack(deltas), torch.stack([expected[t] for t in range(5)]))
