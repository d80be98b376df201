"""`ottt` against a loop over time that keeps traces, its limits, and learning from a stream."""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from onchip import nn, rules
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn.signals import Signal, Static
from tests.cases import CASES, Case, agree, gradients, learn, loss_of, scaled, spikes
from tests.oracle import run_steps
from tests.stacks import STACKS

ONLINE: dict[str, Callable[[torch.nn.Module], Rule]] = {
    "ottt": rules.ottt,
    "dfa": rules.dfa,
    "fa": lambda model: rules.fa(model, temporal=Online()),
    "fbp": lambda model: rules.fbp(model, temporal=Online()),
}


@pytest.mark.parametrize("static", [False, True], ids=["frames", "static"])
@pytest.mark.parametrize("case", STACKS, ids=lambda case: case.name)
def test_ottt_is_its_formula(case: Case, static: bool) -> None:
    model, frames = case.build(), case.signal()
    signal = Static(2 * frames[0], len(frames)) if static else frames
    if isinstance(signal, Static):
        frames = signal.expand()
    loss_of(run_steps(model, frames, online=True)).backward()
    formula = gradients(model)
    model.zero_grad()
    rule = rules.ottt(model)
    rule.backward(loss_of(rule.forward(signal)))
    agree(gradients(model), formula)


@pytest.mark.parametrize("pool", [None, nn.AvgPool2d(2), nn.MaxPool2d(2)], ids=["dense", "average", "max"])
def test_it_is_bp_in_the_last_hidden_layer(pool: torch.nn.Module | None) -> None:
    """Soft and detached resets leave only the leak between a step and the next; a learnable leak included."""
    neurons = [nn.LIF(decay=0.8, learn_decay=True, detach_reset=True) for _ in range(2)]
    if pool is None:
        layers = [nn.Linear(6, 8), neurons[0], nn.Linear(8, 7), neurons[1], nn.Linear(7, 3)]
        frames = torch.rand(6, 4, 6, dtype=torch.float64)
    else:
        layers = [nn.Conv2d(1, 4, 3), neurons[0], nn.Conv2d(4, 3, 3), neurons[1], pool, nn.Flatten(), nn.Linear(12, 3)]
        frames = torch.rand(6, 4, 1, 8, 8, dtype=torch.float64)
    model = scaled(nn.Sequential(*layers), 3.0).double()
    seen = []
    for make in (rules.bp, rules.ottt):
        rule = make(model)
        rule.backward(loss_of(rule.forward(frames)))
        seen.append(gradients(model))
        model.zero_grad()
        rule.detach()
    through_time, online = seen
    same = ["2.weight", "3.decay_parameter", f"{len(layers) - 1}.weight", f"{len(layers) - 1}.bias"]
    agree({name: online[name] for name in same}, {name: through_time[name] for name in same})
    assert not torch.allclose(online["0.weight"], through_time["0.weight"]), "below, the errors differ"
    assert not torch.allclose(online["2.bias"], through_time["2.bias"]), "a bias has no trace"


def test_the_reset_it_does_not_see() -> None:
    model, frames = STACKS[0].build(), STACKS[0].signal()
    seen = []
    for make in (rules.bp, rules.ottt):
        rule = make(model)
        rule.backward(loss_of(rule.forward(frames)))
        seen.append(gradients(model)["2.weight"])
        model.zero_grad()
        rule.detach()
    assert not torch.allclose(seen[0], seen[1])


@pytest.mark.parametrize("make", ONLINE.values(), ids=ONLINE)
@pytest.mark.parametrize("kind", ["static", "spikes"])
@pytest.mark.parametrize(
    "neuron", [nn.LIF, lambda: nn.LIF(learn_decay=True), lambda: nn.LIF(reset="hard")], ids=["soft", "learnt", "hard"]
)
@pytest.mark.parametrize("pool", [nn.AvgPool2d(2), nn.AvgPool2d(3), nn.MaxPool2d(2)], ids=["fused", "ragged", "max"])
def test_a_stream_is_the_whole_sequence(
    make: Callable[[torch.nn.Module], Rule], kind: str, neuron: Callable[[], nn.LIF], pool: torch.nn.Module
) -> None:
    side = 1 if isinstance(pool, nn.AvgPool2d) and pool.kernel_size == 3 else 2
    layers = [nn.Conv2d(2, 4, 3), neuron(), pool, nn.Flatten(), nn.Linear(4 * side**2, 8), neuron(), nn.Linear(8, 3)]
    model = scaled(nn.Sequential(*layers), 3.0).double()
    signal: Signal = spikes(6, 3, 2, 6, 6).double() if kind == "spikes" else Static(torch.rand(3, 2, 6, 6).double(), 6)
    weights = torch.randn(6, 3, 3, dtype=torch.float64)
    rule = make(model)

    def loss(output: Tensor, first: int) -> Tensor:
        return (output * weights[first : first + len(output)]).sum() + output.square().sum()

    output = rule.forward(signal)
    rule.backward(loss(output, 0))
    whole = gradients(model)
    model.zero_grad()
    steps = []
    for step, now in enumerate(rule.stream(signal)):
        assert now.shape == (1, 3, 3)
        steps.append(now.detach())
        rule.backward(loss(now, step))
    torch.testing.assert_close(torch.cat(steps), output.detach(), rtol=1e-12, atol=1e-12)
    agree(gradients(model), whole)
    assert all(bool(gradient.any()) for gradient in whole.values())


@settings(max_examples=25, deadline=None)
@given(
    steps=st.integers(1, 9),
    decay=st.floats(0.05, 0.95),
    hard=st.booleans(),
    learn_decay=st.booleans(),
    static=st.booleans(),
    seed=st.integers(0, 99),
)
def test_layer_by_layer_is_step_by_step(
    steps: int, decay: float, hard: bool, learn_decay: bool, static: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    reset: Literal["soft", "hard"] = "hard" if hard else "soft"
    neurons = [nn.LIF(decay=decay, reset=reset, learn_decay=learn_decay) for _ in range(2)]
    model = nn.Sequential(nn.Linear(4, 6), neurons[0], nn.Linear(6, 5), neurons[1], nn.Linear(5, 2))
    model = scaled(model, 3.0).double()
    frames = torch.rand(steps, 3, 4, dtype=torch.float64)
    signal: Signal = Static(frames[0], steps) if static else frames
    rule = rules.ottt(model)
    rule.backward(rule.forward(signal).square().sum())
    whole = gradients(model)
    model.zero_grad()
    for output in rule.stream(signal):
        rule.backward(output.square().sum())
    agree(gradients(model), whole)


def test_steps_without_a_loss_still_count_for_later_ones() -> None:
    model = scaled(nn.Sequential(nn.Linear(5, 7), nn.LIF(learn_decay=True), nn.Linear(7, 3)), 3.0).double()
    frames = torch.rand(6, 4, 5, dtype=torch.float64)
    rule = rules.ottt(model)
    rule.backward(rule.forward(frames)[-1].square().sum())
    expected = gradients(model)
    model.zero_grad()
    *_, last = rule.stream(frames)
    rule.backward(last.square().sum())
    agree(gradients(model), expected)


def squares(output: Tensor) -> Tensor:
    return output.square().sum()


@pytest.mark.parametrize("name", rules.__all__)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_rule_streams_the_whole_sequence_or_refuses_by_name(name: str, case: Case) -> None:
    model, signal = case.build().double(), case.signal().double()
    try:
        rule = getattr(rules, name)(model)
        rule.forward(signal)
        learn(rule, squares)  # a rule that probes has a feedback then,
        model.eval()  # and probes no more
        model.zero_grad()
        stream = rule.stream(signal)
        torch.manual_seed(1)
        next(stream)
        learn(rule, squares, share=1 / len(signal))
    except UnsupportedError as error:
        assert name in str(error)  # noqa: PT017
        return
    except RequestError as error:  # one that learns from this pass's noise alone
        assert re.match(rf"{name} added no noise .*call model\.train\(\)", str(error))  # noqa: PT017
        return
    for _ in stream:
        learn(rule, squares, share=1 / len(signal))
    streamed = gradients(model)
    model.zero_grad()
    torch.manual_seed(1)
    rule.forward(signal)
    learn(rule, squares)
    agree(gradients(model), streamed)


@pytest.mark.parametrize("make", [rules.bp, rules.fa, rules.fbp])
def test_rules_through_time_refuse_to_stream(make: Callable[[torch.nn.Module], Rule]) -> None:
    rule = make(CASES[0].build())
    with pytest.raises(UnsupportedError, match=rf"{rule.name} cannot stream: .*rule\.forward, or an online rule"):
        next(rule.stream(CASES[0].signal()))


@pytest.mark.parametrize("make", ONLINE.values(), ids=ONLINE)
def test_what_is_learnt_at_a_step_does_not_hang_on_the_future(make: Callable[[torch.nn.Module], Rule]) -> None:
    model, frames, cut = CASES[1].build(), CASES[1].signal(), 2
    rule = make(model)
    torch.manual_seed(9)
    rule.backward(loss_of(rule.forward(frames)))  # so that direct feedback is drawn
    other = torch.cat([frames[:cut], spikes(*frames[cut:].shape)])
    assert not torch.equal(other, frames)
    runs = []
    for signal in (frames, other):
        seen = []
        for output in rule.stream(signal):
            model.zero_grad()
            rule.backward(output.square().sum())
            seen.append(gradients(model))
        runs.append(seen)
    for one, two in zip(runs[0][:cut], runs[1][:cut], strict=True):
        for name, gradient in one.items():
            assert torch.equal(two[name], gradient), name
    assert not torch.equal(runs[0][cut]["7.weight"], runs[1][cut]["7.weight"])


@pytest.mark.parametrize("make", ONLINE.values(), ids=ONLINE)
@pytest.mark.parametrize("kind", ["static", "spikes"])
def test_memory_of_a_stream_does_not_grow_with_time(make: Callable[[torch.nn.Module], Rule], kind: str) -> None:
    model = CASES[1].build()
    rule = make(model)
    rule.backward(loss_of(rule.forward(CASES[1].signal())))

    def peak(steps: int, *, stream: bool) -> int:
        frames = spikes(steps, 3, 2, 8, 8)
        signal: Signal = frames if kind == "spikes" else Static(frames[0], steps)
        with _Peak.beside(frames) as memory:
            if stream:
                for output in rule.stream(signal):
                    rule.backward(output.square().mean())
            else:
                rule.backward(rule.forward(signal).square().mean())
        return memory.most

    assert peak(24, stream=True) == peak(6, stream=True)
    assert peak(24, stream=False) > 3 * peak(6, stream=False), "the measure must be able to see growth"


def test_a_rule_can_step_its_optimizer_within_a_stream() -> None:
    model, frames = CASES[0].build(), CASES[0].signal()
    rule = rules.ottt(model)
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    for output in rule.stream(frames):
        rule.backward(output.square().mean())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()
    assert rule.nonfinite() is None
    assert not any(torch.equal(now, then) for now, then in zip(model.parameters(), before, strict=True))


class _Peak(TorchDispatchMode):
    """Bytes of all storages that operations have made and that still live; `most` is their maximum."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    @classmethod
    @contextmanager
    def beside(cls, given: Tensor) -> Iterator[_Peak]:
        """Measures within the context, without what was there before."""
        with cls() as memory:
            memory._known.add(given.untyped_storage())
            yield memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._meet(tensor.untyped_storage())
        return result

    def _meet(self, storage: Any) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self._count(storage.nbytes())
        weakref.finalize(storage, self._count, -storage.nbytes())

    def _count(self, size: int) -> None:
        self.now += size
        self.most = max(self.most, self.now)


def test_the_readout_may_learn_from_the_trace() -> None:
    """By hand: ∂W = sum_t e[t] ⊗ a[t] with a[t] = κ a[t-1] + s[t]; all else, streams included, as with spikes."""
    torch.manual_seed(0)
    frames = torch.rand(5, 4, 6, dtype=torch.float64)
    layers = [nn.Linear(6, 8), nn.LIF(), nn.Linear(8, 3)]
    plain = scaled(nn.Sequential(*layers), 3.0).double()
    model = nn.Sequential(*plain, nn.Readout(trace=0.7))
    rule = rules.ottt(plain)
    output = rule.forward(frames)
    rule.backward(loss_of(output))
    by_spikes = gradients(plain)
    rule.detach()
    plain.zero_grad()
    error = output.detach().requires_grad_()
    loss_of(error).backward()
    spikes = plain[:2](frames).detach()
    trace, expected = torch.zeros_like(spikes[0]), torch.zeros(3, 8, dtype=torch.float64)
    assert error.grad is not None
    for sent, e in zip(spikes, error.grad, strict=True):
        trace = 0.7 * trace + sent
        expected += e.t() @ trace
    rule = rules.ottt(model)
    rule.backward(loss_of(rule.forward(frames)))
    agree(gradients(model), by_spikes | {"2.weight": expected})
    model.zero_grad()
    slope = torch.autograd.grad(loss_of(error), error)[0]
    for t, out in enumerate(rule.stream(frames)):
        rule.backward((out * slope[t : t + 1]).sum())
    agree(gradients(model), by_spikes | {"2.weight": expected})
    for trace_decay in (0.0, 1.0, -1.0):
        with pytest.raises(RequestError, match="Readout got trace="):
            nn.Readout(trace=trace_decay)
