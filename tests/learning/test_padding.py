"""Sequences of unequal length in one batch: nothing is learned from what lies beyond their ends."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.data import SEQUENCES, Dataset, Split
from onchip.encoding import Sequence
from onchip.errors import RequestError, UnsupportedError
from onchip.learning import Counts, LossSignals, SpikeErrors
from onchip.learning.centering import Causal, Centering, LeaveOneOut, Uncentered
from onchip.learning.noise import Noise
from onchip.learning.rule import Rule
from onchip.losses import Loss, StepLoss, Winner
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import SPIKE_TIMES, SPIKE_TRAINS, TIME_STEPS, SignalKind, Static
from onchip.runs.config import RunConfig
from onchip.training.gradients import gradients
from onchip.training.loop import accuracy, train
from tests.cases import agree, scaled, spikes
from tests.cases import gradients as gradients_of

STEPS, LENGTHS = 6, [3, 6, 1, 5]
CLASSES = torch.tensor([2, 0, 1, 1])
PRESENT = torch.arange(STEPS)[:, None] < torch.tensor(LENGTHS)
LABELS = torch.where(PRESENT, CLASSES, -1)  # (T, B)


def network(kind: SignalKind, *, recurrent: bool = False) -> nn.Sequential:
    neuron: Any = nn.LIF if kind is TIME_STEPS else nn.Stochastic
    torch.manual_seed(1)
    last: list[torch.nn.Module] = [nn.Linear(6, 3)] if kind is TIME_STEPS else [nn.Linear(6, 3), nn.MeanReadout()]
    hidden = nn.Recurrent(nn.Linear(7, 7, bias=False), nn.LIF()) if recurrent else neuron()
    return scaled(nn.Sequential(nn.Linear(5, 7), hidden, nn.Linear(7, 6), neuron(), *last), 3.0).double()


def sequences(seed: int = 0) -> Tensor:
    """(T, B, 5); what lies in the padding depends on the seed, and nothing else does."""
    torch.manual_seed(7)
    own = spikes(STEPS, len(LENGTHS), 5)
    torch.manual_seed(seed)
    return torch.where(PRESENT[..., None], own, spikes(*own.shape)).double()


def made(name: str, kind: SignalKind, *, recurrent: bool = False) -> Rule:
    """A rule on the network of its kind; skips where it cannot train that."""
    try:
        rule: Rule = getattr(rules, name)(network(kind, recurrent=recurrent))
    except UnsupportedError as error:
        pytest.skip(str(error))
    return rule


def learned(rule: Rule, signal: Tensor, labels: Tensor, kind: SignalKind, loss: Loss, seed: int) -> dict[str, Tensor]:
    """Gradients and feedback after one step, beside the loss."""
    torch.manual_seed(seed)
    value, _ = gradients(rule, loss, signal, labels, kind)
    grads = {str(at): one.grad.clone() for at, one in enumerate(rule.parameters()) if one.grad is not None}
    state = {name: one.clone() for name, one in rule.state_dict().items() if isinstance(one, Tensor)}
    return {**grads, **state, "loss": torch.tensor(value)}


WAYS = [(TIME_STEPS, False), (TIME_STEPS, True), (SPIKE_TRAINS, False)]
ways = pytest.mark.parametrize(("kind", "recurrent"), WAYS, ids=["lif", "recurrent", "stochastic"])


@ways
@pytest.mark.parametrize("name", rules.__all__)
def test_what_is_in_the_padding_changes_nothing(name: str, kind: SignalKind, recurrent: bool) -> None:
    loss: Loss = StepLoss() if kind is TIME_STEPS else Winner()
    once = learned(made(name, kind, recurrent=recurrent), sequences(0), LABELS, kind, loss, 3)
    again = learned(made(name, kind, recurrent=recurrent), sequences(1), LABELS, kind, loss, 3)
    assert not torch.equal(sequences(0), sequences(1))
    assert float(once["0"].abs().max()) > 0
    torch.testing.assert_close(again, once, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("name", rules.__all__)
def test_a_padded_batch_gives_the_gradients_of_its_sequences_one_by_one(name: str, recurrent: bool) -> None:
    rule, signal, draws = made(name, TIME_STEPS, recurrent=recurrent), sequences(), []
    learned(rule, signal, LABELS, TIME_STEPS, StepLoss(), 2)  # first uses draw feedback
    for seed in (3, 4):
        clear(rule)
        draws.append(learned(rule, signal, LABELS, TIME_STEPS, StepLoss(), seed))
    padded, again = draws
    if any(not torch.equal(again[key], value) for key, value in padded.items()):
        assert name in ("opzo", "anchored_dkp", "noisy_bp", "zeroth_order"), "these draw noise in each pass"
        pytest.skip("draws noise")
    clear(rule)
    total = 0.0
    for sample, length in enumerate(LENGTHS):
        out = rule.forward(signal[:length, sample : sample + 1])
        label, share = CLASSES[sample : sample + 1], length / sum(LENGTHS)
        total += float(StepLoss()(out.detach(), label)) * share
        rule.backward(
            torch.stack([StepLoss()(out, label) for out in rule.outputs]).sum() * share, targets=label, share=share
        )
    assert float(padded["loss"]) == pytest.approx(total)
    for at, parameter in enumerate(rule.parameters()):
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, padded[str(at)], rtol=1e-9, atol=1e-12)


def clear(rule: Rule) -> None:
    for parameter in rule.parameters():
        parameter.grad = None


class Recorded(Noise):
    """Gaussian noise that is kept."""

    def __init__(self) -> None:
        self.drawn: list[Tensor] = []

    def __call__(self, like: Tensor) -> Tensor:
        self.drawn.append(torch.randn_like(like))
        return self.drawn[-1]


def centered_by_hand(centering: Centering, out: Tensor) -> dict[tuple[int, int], Tensor]:
    """Each (t, b) of a sequence's own steps, centered; out (T, B, classes)."""
    own = [(t, b) for t in range(STEPS) for b in range(len(LENGTHS)) if t < LENGTHS[b]]
    if isinstance(centering, Uncentered):
        return {at: out[at] for at in own}
    if isinstance(centering, Causal):
        return {(t, b): out[t, b] - (out[t - 1, b] if t else 0.0) for t, b in own}
    over_batch = {}
    for t, b in own:
        others = [out[t, other] for other in range(len(LENGTHS)) if other != b and t < LENGTHS[other]]
        over_batch[t, b] = out[t, b] - torch.stack(others).mean(0) if others else out[t, b]
    centered = {}
    for t, b in own:
        others = [over_batch[other, b] for other in range(LENGTHS[b]) if other != t]
        centered[t, b] = over_batch[t, b] - torch.stack(others).mean(0) if others else over_batch[t, b]
    return centered


@pytest.mark.parametrize("centering", [Uncentered(), Causal(), LeaveOneOut()], ids=repr)
def test_estimates_are_means_over_the_steps_of_the_sequences(centering: Centering) -> None:
    noise = Recorded()
    rule = rules.opzo(network(TIME_STEPS), scale=0.3, noise=noise, centering=centering)
    out = rule.forward(sequences(), torch.tensor(LENGTHS)).detach()
    centered = centered_by_hand(centering, out)
    assert len(centered) == sum(LENGTHS)
    for index, drawn in zip((1, 2), noise.drawn, strict=True):
        products = [torch.outer(drawn[at], value) for at, value in centered.items()]
        expected = torch.stack(products).mean(0) / 0.3
        torch.testing.assert_close(rule.state_dict()[f"estimate_{index}"], expected, rtol=1e-9, atol=1e-12)


def test_estimates_of_each_step_are_over_the_sequences_that_have_it() -> None:
    noise = Recorded()
    rule = rules.opzo(network(TIME_STEPS), scale=0.3, noise=noise, centering=Uncentered(), each_step=True, momentum=0.5)
    longer = torch.cat([sequences(), sequences()[:1]])  # a step that no sequence has
    out = rule.forward(longer, torch.tensor(LENGTHS)).detach()
    estimate, weight = torch.zeros(7, 3).double(), 0.0
    for step in range(STEPS):
        own = [b for b, length in enumerate(LENGTHS) if step < length]
        weight = 0.5 * weight + 0.3**2 * len(own)
        mean = torch.stack([torch.outer(noise.drawn[0][step, b], out[step, b]) for b in own]).mean(0) / 0.3
        estimate += 0.3**2 * len(own) / weight * (mean - estimate)
    torch.testing.assert_close(rule.state_dict()["estimate_1"], estimate, rtol=1e-9, atol=1e-12)


def test_an_error_from_noise_is_the_loss_of_its_own_step() -> None:
    noise, loss = Recorded(), StepLoss()
    model, other = network(TIME_STEPS), network(TIME_STEPS)
    rule = rules.zeroth_order(model, scale=0.3, noise=noise)
    out = rule.forward(sequences(), torch.tensor(LENGTHS))
    rule.backward(loss(out, LABELS), loss.each(out.detach(), LABELS), LABELS)
    replayed = Replayed(noise.drawn)
    plain = rules.zeroth_order(other, scale=0.3, noise=replayed)
    for sample, length in enumerate(LENGTHS):
        replayed.only(sample, length)
        one = plain.forward(sequences()[:length, sample : sample + 1])
        label, share = CLASSES[sample : sample + 1], length / sum(LENGTHS)
        plain.backward(loss(one, label) * share, loss.each(one.detach(), label) * share)
    agree(gradients_of(model), gradients_of(other))


def test_one_loss_for_all_is_the_error_of_the_sequences_own_steps() -> None:
    rule = rules.zeroth_order(network(TIME_STEPS), scale=0.3, noise=Recorded())
    rule.forward(sequences(), torch.tensor(LENGTHS))
    signals = LossSignals(torch.zeros(STEPS, 4, 3), torch.zeros(STEPS, 4, 3), {}, torch.tensor(2.0))
    errors = rule.feedback.project(signals, 1, torch.zeros(STEPS, 4, 7))
    assert torch.equal((errors != 0).any(2), PRESENT)


class Replayed(Noise):
    """The noise that one sequence of a batch got."""

    def __init__(self, drawn: list[Tensor]) -> None:
        self._all, self._next = drawn, iter(drawn)

    def only(self, sample: int, length: int) -> None:
        self._next = iter([one[:length, sample : sample + 1] for one in self._all])

    def __call__(self, like: Tensor) -> Tensor:
        return next(self._next)


def test_a_mirror_of_the_neurons_noise_learns_from_each_sequence_alone() -> None:
    torch.manual_seed(0)
    activity, drive = spikes(STEPS, len(LENGTHS), 7).double(), torch.randn(STEPS, len(LENGTHS), 6).double()
    probability = torch.rand(STEPS, len(LENGTHS), 7).double()

    def after(chosen: list[int], length: int, present: Tensor | None) -> dict[str, Tensor]:
        rule = rules.own_noise_mirror(network(SPIKE_TRAINS), decay=0.0)
        rule.feedback.mark(present)
        rule.feedback.fired(0, activity[:length, chosen], probability[:length, chosen])
        rule.feedback.at_drive(1, drive[:length, chosen])
        return {name: one for name, one in rule.state_dict().items() if name.endswith("_1")}

    long = [sample for sample, length in enumerate(LENGTHS) if length > 1]  # a mean over time needs two steps
    parts = [after([sample], LENGTHS[sample], None) for sample in long]
    for name, whole in after(list(range(len(LENGTHS))), STEPS, PRESENT).items():
        torch.testing.assert_close(whole, torch.stack([part[name] for part in parts]).sum(0))
        assert float(whole.abs().min()) > 0


def test_counts_are_means_over_the_steps_of_each_sequence() -> None:
    pre, delta = torch.rand(STEPS, 4, 5), torch.rand(STEPS, 4, 2) * PRESENT[..., None]
    got, errors = Counts().update_rows(pre, delta, PRESENT)
    torch.testing.assert_close(got, torch.stack([pre[:length, b].mean(0) for b, length in enumerate(LENGTHS)]))
    torch.testing.assert_close(errors, delta.sum(0))


def test_a_whole_spike_is_one_target_of_those_that_there_are() -> None:
    code = SpikeErrors()
    delta = torch.where(PRESENT[..., None], torch.tensor([1.0, -1.0]), 0.0) / sum(LENGTHS)
    code.mean_over(PRESENT)
    torch.testing.assert_close(code.carry(delta, 0), delta)
    assert code.unit(delta.shape, 1) == pytest.approx(1 / (2.0 * sum(LENGTHS)))
    code.mean_over(None)
    assert code.unit(delta.shape, 0) == pytest.approx(1 / delta[..., 0].numel())


@pytest.mark.parametrize("targets", [LABELS, None])
def test_spikes_carry_a_drawn_error_whole(targets: Tensor | None) -> None:
    model = network(SPIKE_TRAINS)
    rule = rules.ssnn_bp(model)
    out = rule.forward(sequences(), torch.tensor(LENGTHS))
    copied = out.detach().clone().requires_grad_()
    torch.manual_seed(4)
    (error,) = torch.autograd.grad(Winner()(copied, LABELS), copied)
    torch.manual_seed(4)
    loss = Winner()(out, LABELS)
    assert float(error.abs().max()) == pytest.approx(1 / sum(LENGTHS))
    rule.backward(loss, targets=targets)
    torch.testing.assert_close(gradients_of(model)["4.bias"], error.sum((0, 1)))


def test_gradients_in_chunks_are_those_of_the_padded_batch() -> None:
    wanted = learned(made("bp", TIME_STEPS), sequences(), LABELS, TIME_STEPS, StepLoss(), 0)
    rule = made("bp", TIME_STEPS)
    value, _ = gradients(rule, StepLoss(), sequences(), LABELS, TIME_STEPS, 3)
    assert value == pytest.approx(float(wanted["loss"]))
    for at, parameter in enumerate(rule.parameters()):
        torch.testing.assert_close(parameter.grad, wanted[str(at)], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("signal", "lengths", "said"),
    [
        (sequences(), torch.tensor([3, 6, 0, 5]), "bp got lengths from 0 to 6; expected 1 to 6 time steps"),
        (sequences(), torch.tensor([3, 7, 1, 5]), "bp got lengths from 1 to 7; expected 1 to 6 time steps"),
        (sequences(), torch.tensor([3, 6]), r"bp got lengths \(2,\) .*expected \(4,\)"),
        (sequences(), torch.tensor(LENGTHS).double(), r"float64 .*expected \(4,\) torch.int64"),
        (Static(sequences()[0], 6), torch.tensor(LENGTHS), "bp got lengths for a Static image"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(signal: Any, lengths: Tensor, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        made("bp", TIME_STEPS).forward(signal, lengths)


def test_spike_times_have_no_lengths() -> None:
    model = nn.Sequential(nn.Linear(5, 3, bias=False), nn.TTFSReadout())
    assert build_graph(model).kind is SPIKE_TIMES
    with pytest.raises(RequestError, match="got lengths for spike times"):
        rules.bp(model).forward(torch.rand(4, 5), torch.ones(4).long())


def split(padding: float, steps: int = STEPS, count: int = 8) -> Split:
    """Sequences whose class is the input that is on; everything else differs only in the padding."""
    generator = torch.Generator().manual_seed(0)
    labels, lengths = torch.arange(count) % 3, torch.tensor(LENGTHS * (count // 4)).clamp(min=3)
    samples = torch.rand(count, STEPS, 3, generator=generator) * 0.3
    samples[torch.arange(count), :, labels] += 1.0
    samples = torch.cat([samples, torch.zeros(count, steps - STEPS, 3)], 1)
    outside = torch.arange(steps) >= lengths[:, None]
    return Split(samples.masked_fill(outside[..., None], padding), labels, SEQUENCES, lengths)


def test_accuracy_is_of_the_outputs_within_the_sequences() -> None:
    torch.manual_seed(0)
    model = scaled(nn.Sequential(nn.Linear(3, 9), nn.LIF(), nn.Linear(9, 3)), 3.0)
    data = split(5.0)
    right = 0
    assert data.lengths is not None
    for sample, label, length in zip(data.samples, data.labels, data.lengths.tolist(), strict=True):
        right += int(model(sample[:length, None]).sum(0).argmax() == label)
    assert 0 < right < len(data)
    assert accuracy(model, data, Sequence(), 4) == right / len(data)


@pytest.mark.parametrize("rule", ["bp", "opzo", "local_learning"])
def test_a_run_does_not_depend_on_the_padding(rule: str) -> None:
    losses, accuracies = [], []
    for padding, steps in ((0.0, STEPS), (3.0, STEPS), (3.0, STEPS + 4)):
        whole = split(padding, steps, count=24)
        data = Dataset("padded", ("a", "b", "c"), whole, whole.take(torch.arange(8)), whole)
        record = train(RunConfig(data="padded", net="F12", rule=rule, epochs=4, batch_size=8, lr=0.02), data)
        assert (record.encoder, record.steps, record.shape) == ("sequence", steps, (3,))
        losses.append([epoch.train_loss for epoch in record.history])
        accuracies.append([record.test_accuracy, *(epoch.validation_accuracy for epoch in record.history)])
    assert losses[0][0] > losses[0][-1], "it learns"
    assert losses[1:] == [pytest.approx(losses[0], rel=1e-4)] * 2
    assert accuracies[1:] == accuracies[:1] * 2
