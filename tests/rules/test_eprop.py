"""`eprop` and `ostl` against loops over time whose paths through spikes are cut, whole and in streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.diagnostics.factors import FactorRecorder
from onchip.errors import MemoryLimitError, UnsupportedError
from onchip.learning import eligibility
from onchip.learning.rule import Rule
from tests.cases import agree, gradients, scaled
from tests.oracle import Spike

STEPS, BATCH, INPUTS, HIDDEN, CLASSES = 7, 3, 5, 6, 4
NEURONS: dict[str, Callable[[], nn.Neuron]] = {
    "lif": lambda: nn.LIF(decay=0.8),
    "hard": lambda: nn.LIF(decay=0.7, reset="hard", threshold=0.8),
    "detached": lambda: nn.LIF(decay=0.9, detach_reset=True),
    "cuba": lambda: nn.CubaLIF(decay=0.8, current_decay=0.6),
    "alif": lambda: nn.ALIF(decay=0.8, adaptation=0.7, adaptation_decay=0.9),
    "per-neuron": lambda: nn.LIF(decay=torch.linspace(0.3, 0.9, HIDDEN, dtype=torch.float64)),
    "alif-per-neuron": lambda: nn.ALIF(
        decay=torch.linspace(0.3, 0.9, HIDDEN, dtype=torch.float64), adaptation=0.5, adaptation_decay=0.8
    ),
}
READOUTS: dict[str, Callable[[], list[torch.nn.Module]]] = {"plain": list, "leaky": lambda: [nn.LI(decay=0.6)]}
LEAK = {"plain": 0.0, "leaky": 0.6}


def network(neuron: str, readout: str) -> nn.Sequential:
    torch.manual_seed(0)
    recurrent = nn.Recurrent(nn.Linear(HIDDEN, HIDDEN, bias=False), NEURONS[neuron]())
    layers = [nn.Linear(INPUTS, HIDDEN), recurrent, nn.Linear(HIDDEN, CLASSES), *READOUTS[readout]()]
    return scaled(nn.Sequential(*layers), 2.0).double()


def frames() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(STEPS, BATCH, INPUTS, dtype=torch.float64)


def loss_of(output: Tensor, begin: int = 0) -> Tensor:
    """Adds up over time steps, with an error that differs from one to the next."""
    scale = torch.arange(begin + 1, begin + 1 + len(output), dtype=output.dtype).view(-1, 1, 1)
    return (output.square() * scale + output * torch.linspace(-1, 1, CLASSES, dtype=output.dtype)).sum()


def hidden_activity(model: nn.Sequential, signal: Tensor) -> Tensor:
    """Spikes (T, B, hidden), with derivatives through each neuron's own state only."""
    first, recurrent = model[0], model[1]
    assert isinstance(recurrent, nn.Recurrent)
    neuron, back = recurrent.neuron, recurrent.recurrent
    assert isinstance(neuron, nn.LIF | nn.ALIF | nn.CubaLIF)
    constant = neuron.constant
    zero = signal.new_zeros(BATCH, HIDDEN)
    v = current = adapted = s = zero
    spikes = []
    for x in signal:
        drive = first(x) + back(s.detach())
        if isinstance(neuron, nn.CubaLIF):
            drive = current = constant("current_decay") * current + drive
        u = constant("decay") * v + drive
        constants = neuron.membrane()
        threshold = constants.threshold
        raised = neuron.rise * adapted if isinstance(neuron, nn.ALIF) else zero
        s = Spike.apply(u - threshold - raised, neuron.surrogate)
        fired = s.detach()
        v = u * (1 - fired) if constants.hard else u - threshold * fired
        if isinstance(neuron, nn.ALIF):
            adapted = constant("adaptation_decay") * adapted + s
        spikes.append(s)
    return torch.stack(spikes)


def leaky(drive: Tensor, leak: float) -> Tensor:
    output, outputs = torch.zeros_like(drive[0]), []
    for step in drive:
        output = leak * output + step
        outputs.append(output)
    return torch.stack(outputs)


def expected(model: nn.Sequential, signal: Tensor, leak: float, feedback: Tensor | None) -> dict[str, Tensor]:
    """Gradients of the loops: through the read-out's weights, or through the feedback (hidden, classes)."""
    model.zero_grad()
    spikes, readout = hidden_activity(model, signal), model[2]
    if feedback is None:
        loss_of(leaky(readout(spikes), leak)).backward()
        return gradients(model)
    output = leaky(readout(spikes.detach()), leak)
    (error,) = torch.autograd.grad(loss_of(output), output, retain_graph=True)
    (loss_of(output) + (leaky(spikes @ feedback, leak) * error).sum()).backward()
    return gradients(model)


def learned(rule: Rule, model: nn.Sequential, signal: Tensor, *, stream: bool) -> dict[str, Tensor]:
    model.zero_grad()
    if stream:
        for t, output in enumerate(rule.stream(signal)):
            rule.backward(loss_of(output, t))
    else:
        rule.backward(loss_of(rule.forward(signal)))
    return gradients(model)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("kind", ["symmetric", "random", "adaptive"])
def test_eprop_is_autograd_with_the_paths_through_spikes_cut(
    kind: str, neuron: str, readout: str, stream: bool
) -> None:
    model, signal = network(neuron, readout), frames()
    rule = rules.eprop(model, feedback=kind)  # type: ignore[arg-type]
    if kind != "symmetric":
        learned(rule, model, signal, stream=False)  # creates the feedback
    (feedback,) = rule.state_dict().values() if kind != "symmetric" else (None,)
    ours = learned(rule, model, signal, stream=stream)
    assert all(gradient.any() for gradient in ours.values())
    agree(ours, expected(model, signal, LEAK[readout], None if feedback is None else feedback.detach().clone()))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("readout", READOUTS)
def test_adaptive_feedback_gets_the_update_of_the_read_out(readout: str, stream: bool) -> None:
    model, signal = network("lif", readout), frames()
    rule = rules.eprop(model, feedback="adaptive", decay=0.0)
    learned(rule, model, signal, stream=False)
    for parameter in rule.parameters():
        parameter.grad = None
    ours = learned(rule, model, signal, stream=stream)
    (feedback,) = [p for p in rule.parameters() if p.shape == (HIDDEN, CLASSES)]
    assert feedback.grad is not None
    torch.testing.assert_close(feedback.grad, ours["2.weight"].t(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("neuron", NEURONS)
def test_ostl_is_the_same_without_the_filter_of_the_read_out(neuron: str, stream: bool) -> None:
    model, signal = network(neuron, "plain"), frames()
    ours = learned(rules.ostl(model), model, signal, stream=stream)
    agree(ours, expected(model, signal, 0.0, None))


@pytest.mark.parametrize("neuron", ["lif", "alif"])
def test_ostl_separates_space_and_time_in_deep_networks(neuron: str) -> None:
    """Errors come down at their own step; what the upper layer's state passes on reaches its own weights only."""
    torch.manual_seed(0)
    make = NEURONS[neuron]
    layers = [nn.Linear(INPUTS, HIDDEN), make(), nn.Linear(HIDDEN, HIDDEN), make(), nn.Linear(HIDDEN, CLASSES)]
    model, signal = scaled(nn.Sequential(*layers), 3.0).double(), frames()
    whole = learned(rules.ostl(model), model, signal, stream=False)
    agree(whole, _deep(model, signal))


def _deep(model: nn.Sequential, signal: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    lower = hidden_activity(_as_recurrent(model, 0), signal)
    upper = hidden_activity(_as_recurrent(model, 2), lower.detach())
    output = model[4](upper)
    (error,) = torch.autograd.grad(loss_of(output), upper, retain_graph=True)
    gates = _gates(model, 2, lower.detach())
    weight = model[2].weight
    assert isinstance(weight, Tensor)
    loss = loss_of(output) + (lower * ((error * gates) @ weight.detach())).sum()
    loss.backward()
    return gradients(model)


def _as_recurrent(model: nn.Sequential, place: int) -> nn.Sequential:
    """One layer with a recurrent connection of weight zero, which does nothing."""
    zero = nn.Linear(HIDDEN, HIDDEN, bias=False).double()
    zero.weight.data.zero_()
    neuron = model[place + 1]
    assert isinstance(neuron, nn.Neuron)
    return nn.Sequential(model[place], nn.Recurrent(zero, neuron))


def _gates(model: nn.Sequential, place: int, signal: Tensor) -> Tensor:
    """ψ(u) at each step, as the derivative of each spike by its own drive at the same step."""
    drives: list[Tensor] = []

    def at_zero(_: torch.nn.Module, __: object, output: Tensor) -> Tensor:
        drives.append(torch.zeros_like(output, requires_grad=True))
        return output.detach() + drives[-1]

    handle = model[place].register_forward_hook(at_zero)
    try:
        spikes = hidden_activity(_as_recurrent(model, place), signal)
    finally:
        handle.remove()
    found = [torch.autograd.grad(spikes[t].sum(), drive, retain_graph=True)[0] for t, drive in enumerate(drives)]
    return torch.stack(found)


def test_osttp_is_drtp_but_for_biases_where_a_trace_serves() -> None:
    signal, labels, found = frames(), torch.tensor([0, 1, 2]), []
    for make in (rules.drtp, rules.osttp):
        model = network("lif", "plain")
        rule = make(model)
        torch.manual_seed(2)
        output = rule.forward(signal)
        rule.backward(loss_of(output), targets=labels)
        found.append(gradients(model))
    drtp, osttp = ({name: g for name, g in each.items() if name != "0.bias"} for each in found)
    agree(osttp, drtp)


@pytest.mark.parametrize(
    ("neuron", "readout", "states"),
    [("lif", "plain", 0), ("lif", "leaky", 1), ("alif", "plain", 1), ("hard", "plain", 1)],
)
def test_a_state_per_synapse_is_booked_as_memory(neuron: str, readout: str, states: int) -> None:
    model, signal = network(neuron, readout), frames()
    peaks = []
    for steps in (2, STEPS):
        rule, ledger = rules.eprop(model), Ledger(every=1)
        rule.observe(ledger)
        learned(rule, model, signal[:steps], stream=True)
        bill = ledger.summary()
        peaks.append(bill["stored_activity_peak"])
        rule.detach()
    assert peaks[0] == peaks[1], "the memory of a stream does not grow with T"
    synapses = HIDDEN * (INPUTS + 1 + HIDDEN)
    if states:
        assert peaks[0] >= states * BATCH * synapses
    else:
        assert peaks[0] < BATCH * synapses


def test_memory_that_does_not_suffice_is_named_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eligibility, "_free_memory", lambda _: 1e3)
    model = network("alif", "plain")
    with pytest.raises(MemoryLimitError, match=r"layer '0' needs a state per synapse and sample.*MiB.*use a smaller"):
        learned(rules.eprop(model), model, frames(), stream=True)


def test_a_state_per_synapse_has_no_factors_to_be_observed() -> None:
    rule = rules.eprop(network("lif", "leaky"))
    rule.observe_factors(FactorRecorder())
    stream = rule.stream(frames())
    with pytest.raises(UnsupportedError, match=r"layer '0' has a state per synapse .*FactorRecorder.*rule.forward"):
        next(stream)


def test_symmetric_feedback_needs_one_hidden_layer() -> None:
    layers = [nn.Linear(4, 5), nn.LIF(), nn.Linear(5, 5), nn.LIF(), nn.Linear(5, 3)]
    with pytest.raises(UnsupportedError, match=r"eprop with symmetric feedback .* 2 layers after the first.*random"):
        rules.eprop(nn.Sequential(*layers), feedback="symmetric")


@pytest.mark.parametrize("name", ["maps", "pooled-recurrent-maps"])
def test_symmetric_feedback_is_that_of_the_transposed_read_out(name: str) -> None:
    """Where errors pass one layer only, `ostl` sends the same; maps are flattened before the read-out."""
    back = nn.Recurrent(nn.Conv2d(2, 2, 3, padding=1), nn.LIF(decay=0.8))
    layers: dict[str, list[torch.nn.Module]] = {
        "maps": [nn.Conv2d(1, 2, 3), nn.LIF(), nn.Flatten(), nn.Linear(24, 3)],
        "pooled-recurrent-maps": [nn.Conv2d(1, 2, 3), back, nn.AvgPool2d((2, 1)), nn.Flatten(), nn.Linear(12, 3)],
    }
    torch.manual_seed(0)
    model, found = scaled(nn.Sequential(*layers[name]), 3.0).double(), []
    signal = torch.rand(5, 4, 1, 6, 5, dtype=torch.float64)
    for rule in (rules.ostl(model), None):
        made = rule or rules.eprop(model, feedback="symmetric")
        made.backward((made.forward(signal) * torch.linspace(-1, 1, 3, dtype=torch.float64)).sum())
        found.append(gradients(model))
        model.zero_grad()
        made.detach()
    assert all(gradient.any() for gradient in found[0].values())
    agree(found[1], found[0])


def test_maps_with_a_state_per_synapse_do_not_stream() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.ALIF(), nn.Flatten(), nn.Linear(8, 3)]
    stream = rules.eprop(scaled(nn.Sequential(*layers), 3.0)).stream(torch.rand(3, 2, 1, 4, 4))
    with pytest.raises(UnsupportedError, match=r"layer '0' shares weights over positions.*rule.forward"):
        next(stream)


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_static_image_is_its_frames(neuron: str) -> None:
    """Without a recurrent connection, where the first layer's errors need not be written out for some neurons."""
    torch.manual_seed(0)
    layers = [nn.Linear(INPUTS, HIDDEN), NEURONS[neuron](), nn.Linear(HIDDEN, CLASSES)]
    model, seen = scaled(nn.Sequential(*layers), 2.0).double(), []
    image = torch.rand(BATCH, INPUTS, dtype=torch.float64)
    for signal in (nn.Static(image, STEPS), image.expand(STEPS, BATCH, INPUTS)):
        rule = rules.eprop(model)
        torch.manual_seed(2)  # of the feedback
        rule.backward(loss_of(rule.forward(signal)))
        seen.append(gradients(model))
        model.zero_grad()
        rule.detach()
    agree(seen[0], seen[1])


def test_symmetric_feedback_takes_the_read_out_and_not_its_recurrent_connection() -> None:
    torch.manual_seed(0)
    last = nn.Recurrent(nn.Linear(3, 3, bias=False), nn.LIF())
    model, readout = nn.Sequential(nn.Linear(INPUTS, 3), nn.LIF(), nn.Linear(3, 3), last), "2.weight"
    model, found = scaled(model, 3.0).double(), []
    for kind in ("symmetric", "random"):
        rule = rules.eprop(model, feedback=kind)
        if kind == "random":
            rule.load_state_dict({"direct_1": dict(model.named_parameters())[readout].detach().t().clone()})
        slope = torch.linspace(-1, 1, 3, dtype=torch.float64)
        rule.backward((rule.forward(frames()) * slope).sum())
        found.append(gradients(model))
        model.zero_grad()
        rule.detach()
    assert found[0]["0.weight"].any()
    agree(found[0], found[1])
