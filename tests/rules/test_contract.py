"""What every rule owes to every network: one suite over the export list. No rule is named in it."""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onchip import rules
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.nn import neurons
from onchip.nn.neurons.base import Neuron
from tests.cases import CASES, Case, gradients, learn, loss_of, pairs, some_pairs, targets_of, whole

Make = Callable[[nn.Module], Rule]


RULES: dict[str, Make] = {name: getattr(rules, name) for name in rules.__all__}
REFUSED = [(name, case) for name in RULES for case in CASES if (name, case) not in pairs()]


def over(chosen: Iterable[tuple[str, Case]]) -> pytest.MarkDecorator:
    """One test for each rule with each of these networks."""
    return pytest.mark.parametrize(("name", "case"), [pytest.param(n, c, id=f"{n}-{c.name}") for n, c in chosen])


trained = over(some_pairs())


class Trainer:
    """A network under a rule, with an optimizer; every draw is seeded."""

    def __init__(self, name: str, case: Case, *, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(seed)
        self.model = case.build().to(dtype)
        self.rule = RULES[name](self.model)
        self.optimizer = torch.optim.Adam(self.rule.parameters(), lr=0.01)

    def fill(self, signal: Any, seed: int) -> None:
        """Adds one gradient."""
        torch.manual_seed(seed)
        self.rule.forward(signal)
        learn(self.rule)

    def train(self, signal: Any, seed: int) -> None:
        """One whole training step."""
        self.fill(signal, seed)
        self.update()

    def update(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.rule.step()

    def weights(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}


def drawn(called: Callable[[Any], Tensor], signal: Any) -> Tensor:
    """An output, with the same random draws each time."""
    torch.manual_seed(5)
    return called(signal)


def assert_same(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert got.keys() == expected.keys()
    for name in expected:
        assert torch.equal(got[name], expected[name]), name


@pytest.mark.parametrize("name", RULES)
def test_trains_something(name: str) -> None:
    assert name in {trained for trained, _ in pairs()}


@over(REFUSED)
def test_refuses_by_name_what_it_cannot_train(name: str, case: Case) -> None:
    model = case.build()
    neuron = next(type(module).__name__ for module in model.modules() if isinstance(module, Neuron))
    with pytest.raises(UnsupportedError, match=rf"{name} cannot train {neuron} neurons .*it trains \w+") as caught:
        RULES[name](model)
    listed = str(caught.value).split("it trains ")[1].split(", ")
    assert listed
    assert set(listed) <= set(neurons.__all__) - {neuron}
    assert case in [other for _, other in pairs()]


def test_a_refused_network_is_free_for_another_rule() -> None:
    for name, case in REFUSED:
        model = case.build()
        with pytest.raises(UnsupportedError):
            RULES[name](model)
        rules.bp(model)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_networks_are_awake(case: Case) -> None:
    """In a silent layer every gradient would be zero, and most of the assertions here empty."""
    trainer = Trainer("bp", case)
    for seed in range(3):
        trainer.fill(case.signal(), seed)
        for key, gradient in gradients(trainer.model).items():
            assert gradient.count_nonzero() > 0.1 * gradient.numel(), key
        trainer.update()


@over(pairs())
def test_every_parameter_gets_a_finite_gradient(name: str, case: Case) -> None:
    finite(name, case, torch.float32)


@trained
def test_every_parameter_gets_a_finite_gradient_in_double_precision(name: str, case: Case) -> None:
    finite(name, case, torch.float64)


def finite(name: str, case: Case, dtype: torch.dtype) -> None:
    trainer, signal = Trainer(name, case, dtype=dtype), case.signal().to(dtype)
    trainer.fill(signal, 1)
    for parameter in trainer.model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.shape == parameter.shape
        assert parameter.grad.dtype == dtype
        assert bool(torch.isfinite(parameter.grad).all())
    last = list(trainer.model.parameters())[-1].grad
    assert last is not None
    assert bool(last.any())
    trainer.update()
    assert trainer.rule.nonfinite() is None


@trained
def test_two_runs_from_one_seed_are_one_run(name: str, case: Case) -> None:
    signal = case.signal()
    runs = []
    for _ in range(2):
        trainer = Trainer(name, case)
        before = trainer.weights()
        for seed in range(3):
            trainer.train(signal, seed)
        runs.append(trainer.weights())
    assert_same(*runs)
    assert not torch.equal(next(iter(runs[0].values())), next(iter(before.values())))


@over(pairs())
def test_evaluation_is_the_bare_network(name: str, case: Case) -> None:
    trainer, signal = Trainer(name, case), case.signal()
    trainer.train(signal, 1)
    bare = copy.deepcopy(trainer.model).eval()
    trainer.model.eval()
    with torch.no_grad():
        output = drawn(trainer.rule.forward, signal)
        assert not output.requires_grad
        assert torch.equal(output, drawn(bare, signal))
        assert torch.equal(output, drawn(trainer.model, signal))
    assert torch.equal(drawn(trainer.rule.forward, signal), output)
    assert torch.equal(drawn(trainer.model, signal), output)
    assert bool(output.any())


@trained
def test_a_restored_rule_goes_on_as_if_nothing_had_happened(name: str, case: Case) -> None:
    signal = case.signal()
    first = Trainer(name, case)
    for seed in range(3):
        first.train(signal, seed)
    saved = io.BytesIO()
    torch.save([first.model.state_dict(), first.rule.state_dict(), first.optimizer.state_dict()], saved)
    for seed in range(3, 6):
        first.train(signal, seed)
    saved.seek(0)
    second = Trainer(name, case, seed=99)
    of_model, of_rule, of_optimizer = torch.load(saved)
    second.model.load_state_dict(of_model)
    second.rule.load_state_dict(of_rule)
    second.optimizer.load_state_dict(of_optimizer)
    for seed in range(3, 6):
        second.train(signal, seed)
    assert_same(second.weights(), first.weights())


@trained
def test_gradients_of_two_backward_passes_add_up(name: str, case: Case) -> None:
    signals = [case.signal(), case.signal()]
    apart, together = Trainer(name, case), Trainer(name, case)
    single = []
    for seed, signal in enumerate(signals):
        apart.fill(signal, seed)
        single.append(gradients(apart.model))
        apart.model.zero_grad()
        together.fill(signal, seed)
    assert_same(gradients(together.model), {key: single[0][key] + single[1][key] for key in single[0]})


@trained
def test_a_second_rule_is_refused_by_name(name: str, case: Case) -> None:
    model = case.build()
    holder = RULES[name](model)
    with pytest.raises(RequestError, match=rf"bp: .* is already trained by rule '{name}'; call detach\(\)"):
        rules.bp(model)
    with pytest.raises(RequestError, match="already trained"):
        rules.bp(nn.Sequential(model[0]))
    assert holder.detach() is model


@trained
def test_detach_leaves_a_plain_module(name: str, case: Case) -> None:
    trainer, signal = Trainer(name, case), case.signal()
    trainer.train(signal, 1)
    model = trainer.rule.detach()
    assert model is trainer.model
    assert model.state_dict().keys() == case.build().state_dict().keys()
    expected = drawn(model, signal)
    for twin in (copy.deepcopy(model), _through_a_file(model)):
        assert torch.equal(drawn(twin, signal), expected)
    loss_of(expected).backward()
    assert gradients(model).keys() == trainer.weights().keys()
    rules.bp(model).forward(signal)
    with pytest.raises(RequestError, match="detached"):
        trainer.rule.forward(signal)
    with pytest.raises(RequestError, match="detached"):
        trainer.rule.parameters()


def test_a_rule_that_is_gone_holds_nothing() -> None:
    model = CASES[0].build()
    rules.bp(model)
    rules.bp(model)


@trained
def test_an_attached_network_can_be_copied_and_saved(name: str, case: Case) -> None:
    model, signal = case.build(), case.signal()
    holder = RULES[name](model)
    for twin in (copy.deepcopy(model), _through_a_file(model)):
        assert torch.equal(drawn(twin, signal), drawn(model, signal))
        RULES[name](twin)
    assert holder.detach() is model


@trained
def test_rules_on_several_networks_do_not_interfere(name: str, case: Case) -> None:
    signals = [case.signal(), case.signal()]
    alone = []
    for number, signal in enumerate(signals):
        trainer = Trainer(name, case, seed=number)
        for seed in range(2):
            trainer.train(signal, seed)
        trainer.fill(signal, 7)
        alone.append(gradients(trainer.model))
    pair = [Trainer(name, case, seed=number) for number in range(2)]
    for seed in range(2):
        for trainer, signal in zip(pair, signals, strict=True):
            trainer.train(signal, seed)
    losses = []
    for trainer, signal in zip(pair, signals, strict=True):
        torch.manual_seed(7)
        trainer.rule.forward(signal)
        losses.append(whole(trainer.rule))
    after = torch.get_rng_state()
    for trainer, loss, expected in reversed(list(zip(pair, losses, alone, strict=True))):
        torch.set_rng_state(after)
        trainer.rule.backward(loss, targets=targets_of(trainer.rule.outputs[0]))
        assert_same(gradients(trainer.model), expected)


@trained
def test_backward_without_forward_is_refused(name: str, case: Case) -> None:
    rule, signal = RULES[name](case.build()), case.signal()
    with pytest.raises(RequestError, match=rf"{name}: backward without a forward pass"):
        rule.backward(torch.ones((), requires_grad=True))
    rule.forward(signal)
    loss = whole(rule)
    rule.backward(loss, targets=targets_of(rule.outputs[0]))
    with pytest.raises(RequestError, match=rf"{name}: backward without a forward pass"):
        rule.backward(loss)


@trained
def test_backward_of_the_loss_itself_is_refused(name: str, case: Case) -> None:
    model = case.build()
    rule = RULES[name](model)
    with pytest.raises(OnchipError, match=rf"rule '{name}', .*call rule\.backward\(loss\)"):
        loss_of(rule.forward(case.signal())).backward()
    assert not gradients(model)


@trained
def test_losses_that_do_not_hang_on_the_output_are_refused(name: str, case: Case) -> None:
    model, signal = case.build(), case.signal()
    rule = RULES[name](model)
    output = rule.forward(signal)
    targets = targets_of(output)
    with pytest.raises(RequestError, match=rf"{name}: got a loss of shape .*expected one number"):
        rule.backward(output)
    with pytest.raises(RequestError, match=rf"{name}: the loss does not depend on the network's output"):
        rule.backward(loss_of(output.detach()), targets=targets)
    rule.forward(signal)
    with pytest.raises(RequestError, match=rf"{name}: the loss does not depend on what the last rule.forward"):
        rule.backward(torch.ones((), requires_grad=True) * 2, targets=targets)
    early, late = rule.forward(signal), rule.forward(signal)
    with pytest.raises(RequestError, match=rf"{name}: the loss depends on what an earlier rule.forward"):
        rule.backward(loss_of(early) + loss_of(late), targets=targets)
    assert not gradients(model)
    rule.forward(signal)
    learn(rule)
    assert gradients(model)


@trained
def test_frozen_layers_get_no_gradient_and_change_no_other(name: str, case: Case) -> None:
    signal = case.signal()
    free = Trainer(name, case)
    free.train(signal, 0)
    free.fill(signal, 1)
    expected = gradients(free.model)
    layers = {key.split(".")[0] for key in expected}
    for frozen in layers:
        trainer = Trainer(name, case)
        trainer.train(signal, 0)
        for key, parameter in trainer.model.named_parameters():
            parameter.requires_grad_(key.split(".")[0] != frozen)
        trainer.fill(signal, 1)
        left = {key: gradient for key, gradient in expected.items() if key.split(".")[0] != frozen}
        assert_same(gradients(trainer.model), left)


@trained
def test_a_frozen_network_has_nothing_to_train(name: str, case: Case) -> None:
    model = case.build().requires_grad_(False)
    rule = RULES[name](model)
    output = rule.forward(case.signal())
    assert not output.requires_grad
    with pytest.raises(RequestError, match="backward without a forward pass"):
        rule.backward(output.sum())


@trained
def test_the_input_learns_nothing(name: str, case: Case) -> None:
    signal = case.signal()
    before = signal.clone()
    rule = RULES[name](case.build())
    rule.forward(signal.requires_grad_())
    learn(rule)
    assert signal.grad is None
    assert torch.equal(signal, before)


@functools.cache
def _state(name: str, case: Case) -> dict[str, Tensor]:
    trainer = Trainer(name, case)
    trainer.train(case.signal(), 1)
    return trainer.rule.state_dict()


def _form(state: dict[str, Any]) -> str:
    """What a rule that loads a state can tell of it: names, sizes and types."""
    entries = (
        f"{name} {getattr(value, 'shape', value)} {getattr(value, 'dtype', '')}" for name, value in state.items()
    )
    return "; ".join(sorted(entries))


@trained
def test_a_strange_state_is_taken_or_refused_by_name(name: str, case: Case) -> None:
    """At once, or when the rule sees sizes that do not fit: never by an error of torch's."""
    strange = [_state(n, c) for n, c in pairs() if (n == name) != (c == case)]
    for state in {_form(state): state for state in strange}.values():
        trainer = Trainer(name, case)
        try:
            trainer.rule.load_state_dict(state)
            trainer.train(case.signal(), 1)
        except RequestError as error:
            assert name in str(error)  # noqa: PT017


def _through_a_file(model: nn.Module) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)
