"""The ledger: its products against torch's own count, its transports against arithmetic, and that it only looks."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from onchip import nn, rules
from onchip.cost.energy import known_tables
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.kernels import native
from onchip.learning.rule import Rule
from onchip.nn.signals import Signal, Static
from onchip.nn.synapses.linear import LinearSynapse
from onchip.nn.synapses.product import SynapticProduct
from tests.cases import CASES, Case, gradients, learn, loss_of, some_pairs
from tests.stacks import STACKS, TIMED

# torch's count of a grouped convolution's weight gradient leaves the groups out; tests/nn/synapses counts those.
LIF = [case for case in CASES if case.name.startswith("lif")]
STEPPED = [case for case in (*LIF, *STACKS) if case.name != "groups"]
EVERY = [(case, static) for case in STEPPED for static in (False, True)]
EVERY += [(case, False) for case in (*(case for case in CASES if case not in LIF), *TIMED)]


def step(rule: Rule, signal: Signal) -> None:
    rule.forward(signal)
    learn(rule)
    rule.step()


@pytest.mark.parametrize(
    ("case", "static"), [pytest.param(c, s, id=f"{c.name}-{'static' if s else 'whole'}") for c, s in EVERY]
)
def test_products_of_bp_are_half_of_torchs_flops(case: Case, static: bool) -> None:
    model, frames = case.build(), case.signal()
    signal: Signal = Static(frames[0], len(frames)) if static else frames
    rule, ledger = rules.bp(model), Ledger()
    rule.observe(ledger)
    with FlopCounterMode(display=False) as counter:
        rule.backward(loss_of(rule.forward(signal)))
    bill = ledger.summary()
    booked = bill["products_forward"] + bill["products_error"] + bill["products_update"]
    assert 2 * booked == counter.get_total_flops() > 0


@pytest.mark.parametrize("make", [rules.ottt, rules.fa, rules.fbp, rules.dfa])
@pytest.mark.parametrize("case", LIF, ids=lambda case: case.name)
def test_products_of_other_rules_are_counted_too(make: Callable[[torch.nn.Module], Rule], case: Case) -> None:
    rule, ledger, signal = make(case.build()), Ledger(), case.signal()
    rule.observe(ledger)
    # Compiled code, which recurrent scans have, is not seen by the counter.
    with native.forced("torch"), FlopCounterMode(display=False) as counter:
        rule.backward(loss_of(rule.forward(signal)))
    bill = ledger.summary()
    booked = bill["products_forward"] + bill["products_error"] + bill["products_update"]
    assert 2 * booked == counter.get_total_flops() > 0


def test_products_by_hand() -> None:
    """5-7-3 units, 4 steps, 2 samples: a product is one weight met by one activity or error."""
    rule, ledger = rules.bp(nn.Sequential(nn.Linear(5, 7), nn.LIF(), nn.Linear(7, 3))), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.rand(4, 2, 5))))
    rows = 4 * 2
    assert ledger.products == {
        ("0", "forward"): rows * 35,
        ("2", "forward"): rows * 21,
        ("2", "backward"): rows * 21,
        ("2", "update"): rows * 21,
        ("0", "update"): rows * 35,
    }
    assert ledger.summary()["products_backward"] == ledger.summary()["products_error"] == rows * 21


def test_a_static_image_is_multiplied_once() -> None:
    rule, ledger = rules.bp(nn.Sequential(nn.Linear(5, 7), nn.LIF(), nn.Linear(7, 3))), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(Static(torch.rand(2, 5), 4))))
    assert ledger.products["0", "forward"] == ledger.products["0", "update"] == 2 * 35
    assert ledger.products["2", "forward"] == 4 * 2 * 21


@pytest.mark.parametrize(
    ("make", "during", "initial"),
    [
        (rules.bp, 6, 0),
        (rules.ottt, 6, 0),
        (lambda model: rules.fbp(model, period=1), 6, 1),
        (lambda model: rules.fbp(model, period=4), 1, 1),
        (lambda model: rules.fbp(model, period=7), 0, 1),
        (rules.fa, 0, 0),
        (rules.dfa, 0, 0),
    ],
    ids=["bp", "ottt", "fbp-1", "fbp-4", "fbp-7", "fa", "dfa"],
)
def test_weights_transported_in_six_steps(make: Callable[[torch.nn.Module], Rule], during: int, initial: int) -> None:
    """All layers but the first; bp and ottt send the weights anew whenever they have changed."""
    model, signal = CASES[0].build(), CASES[0].signal()
    rule, ledger = make(model), Ledger()
    rule.observe(ledger)
    for _ in range(6):
        for _ in range(2):  # two backward passes before one update need one transport
            rule.backward(loss_of(rule.forward(signal)))
        rule.step()
    later = 8 * 7 + 7 * 3
    bill = ledger.summary()
    assert bill["steps"] == 6
    assert bill["weights_transported"] == during * later
    assert bill["weights_transported_initial"] == initial * later
    assert bill["transport_value_bits"] == 32 * during * later
    assert bill["transport_index_bits"] == bill["transport_compares"] == 0
    assert not any(stage == "0" for stage, _ in ledger.transported)


def test_a_stream_books_what_the_whole_sequence_books() -> None:
    bills = []
    for stream in (False, True):
        torch.manual_seed(0)
        rule, ledger = rules.ottt(CASES[0].build()), Ledger()
        rule.observe(ledger)
        signal = CASES[0].signal()
        outputs = rule.stream(signal) if stream else [rule.forward(signal)]
        for output in outputs:
            rule.backward(output.square().sum())
        rule.step()
        bills.append(ledger.summary())
    kept = [bill["stored_activity_peak"] for bill in bills]
    assert kept[1] < kept[0], "a stream keeps one step, not all"
    for bill, name in itertools.product(bills, list(bills[0])):
        # A trace that has just begun is still all spikes, and needs no multiplication.
        if name in ("macs_update", "acs_update") or name.startswith(("energy", "stored")):
            del bill[name]
    assert bills[0] == bills[1]


@pytest.mark.parametrize(("name", "case"), [pytest.param(n, c, id=f"{n}-{c.name}") for n, c in some_pairs()])
def test_an_observer_changes_nothing(name: str, case: Case) -> None:
    runs = []
    for observers in ([], [Ledger()], [Ledger(), Ledger()]):
        torch.manual_seed(1)
        model, signal = case.build(), case.signal()
        rule = getattr(rules, name)(model)
        for observer in observers:
            rule.observe(observer)
        step(rule, signal)
        model.zero_grad()
        rule.forward(signal)
        learn(rule)
        runs.append(gradients(model))
        assert not observers or observers[0].summary() == observers[-1].summary()
    for run in runs[1:]:
        assert all(torch.equal(run[key], gradient) for key, gradient in runs[0].items())


def test_a_ledger_goes_on_from_its_state() -> None:
    ledger, other = Ledger(), Ledger()
    for observer in (ledger, other):
        rule = rules.fbp(CASES[0].build(), period=1)
        rule.observe(observer)
        step(rule, CASES[0].signal())
    step(rule, CASES[0].signal())
    state = copy.deepcopy(ledger.state_dict())
    assert all(count.dtype == torch.int64 for count in state.values())
    assert other.summary() != ledger.summary()
    other.load_state_dict(state)
    assert other.summary() == ledger.summary()
    assert other.products == ledger.products
    assert other.transported == ledger.transported
    with pytest.raises(RequestError, match="the state of a ledger has no 'weights'"):
        other.load_state_dict({"weights": torch.tensor(1)})


def test_the_sparsity_of_errors_is_the_share_of_zeros() -> None:
    ledger, error = Ledger(), torch.tensor([[0.5, 0.0], [0.0, 0.0], [1.0, -1.0], [0.0, 0.0]])
    ledger.product("2", "backward", SynapticProduct(LinearSynapse(3, 2), torch.Size((4, 3)), error.shape, None, error))
    ledger.stepped(lambda: 0)
    assert ledger.summary()["error_sparsity"] == 1 - 3 / 8
    assert ledger.summary()["operations_error"] == 3 * 3


@pytest.mark.parametrize(
    ("make", "phases", "locked"),
    [
        (rules.bp, 4 + 3, (6 + 4 + 2 + 0) / 4),  # up to the output, and back through every layer above
        (rules.fa, 4 + 3, (6 + 4 + 2 + 0) / 4),
        (rules.dfa, 4 + 1, (4 + 3 + 2 + 0) / 4),  # up, and once to all
        (rules.local_learning, 4, (2 + 2 + 2 + 0) / 4),  # a read-out of its own, and back
    ],
)
def test_phases_of_four_layers(make: Callable[[torch.nn.Module], Rule], phases: int, locked: float) -> None:
    hidden = [layer for size in (5, 6, 7) for layer in (nn.Linear(size, size + 1), nn.LIF())]
    rule, ledger = make(nn.Sequential(*hidden, nn.Linear(8, 3))), Ledger()
    rule.observe(ledger)
    step(rule, torch.rand(4, 2, 5))
    assert ledger.summary()["update_locking_phases"] == locked
    assert ledger.summary()["phases_per_step"] == phases


def test_what_is_stored_is_counted_anew_in_each_step_and_after_a_restart() -> None:
    ledger = Ledger()
    ledger.stored("0", 5)
    ledger.stepped(lambda: 0)
    ledger.stored("0", 3)  # beside nothing: the step before is over
    state = ledger.state_dict()
    assert ledger.summary()["stored_activity_peak"] == 5
    ledger.load_state_dict(state)
    ledger.stored("0", 4)
    assert ledger.summary()["stored_activity_peak"] == 5


def test_a_restored_state_replaces_an_unfinished_step_and_every_count() -> None:
    empty, ledger = Ledger().state_dict(), Ledger()
    rule = rules.bp(CASES[0].build())
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(CASES[0].signal())))  # no rule.step yet
    ledger.load_state_dict(empty)
    ledger.stepped(lambda: 0)
    assert ledger.summary() == {**Ledger().summary(), "steps": 1, "operations_counted_steps": 1}


@pytest.mark.parametrize(("steps", "exact"), [(0, 0), (1, 1), (3, 1), (4, 2), (6, 2), (7, 3)])
def test_the_first_of_every_three_steps_is_counted(steps: int, exact: int) -> None:
    ledger = Ledger(every=3)
    for _ in range(steps):
        ledger.fired("0", 1, lambda: 1)
        ledger.stepped(lambda: 0)
    assert ledger.summary()["operations_counted_steps"] == ledger.counted["0", "fired/updates"] == exact


def test_counts_of_some_steps_are_scaled_to_all_and_rounded_to_the_nearest() -> None:
    ledger = Ledger(every=2)
    for activity in (torch.tensor([[1.0], [1.0], [0.0]]), torch.ones(1, 1)):
        shape = activity.shape
        ledger.fired("0", len(activity), lambda spikes=int(activity.sum()): spikes)  # type: ignore[misc]
        ledger.product("0", "forward", SynapticProduct(LinearSynapse(1, 1), shape, shape, activity))
        ledger.stepped(lambda: 0)
    assert ledger.summary()["spikes"] == ledger.summary()["operations_forward"] == 3  # 2 of 3, times 4: 2.67


def test_every_number_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "costs.md").read_text(encoding="utf-8")
    for name in Ledger().summary():
        explained = re.sub("^(macs|acs)_", "operations_", name)
        assert f"`{explained}`" in page or name.startswith("energy_"), name
    assert all(f"`{name}`" in page for name in known_tables())
