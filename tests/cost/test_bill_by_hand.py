"""The bill of one step on a network so small that every operation can be counted by hand.

Two inputs, three LIF neurons, two outputs; two time steps, one sample. Input 0 drives neuron 0, input 1 drives
neuron 1, and nothing drives neuron 2:

    step   input   spikes   trace of the input
    0      1 0     1 0 0    1   0
    1      1 1     1 1 0    1.5 1

So three inputs are not zero, and three spikes are sent. All four errors at the output are real numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.centering import Uncentered
from onchip.learning.noise import Gaussian, Rademacher
from onchip.learning.rule import Rule
from tests.cases import loss_of, whole

FORWARD = 3 * 3 + 3 * 2
"""Inputs that are not zero, to three neurons; spikes, to two outputs."""
UPDATE = (1 + 2) * 3 + (1 + 2) * 2
"""At each step, inputs by errors of neurons, and spikes by errors of outputs."""
LATER = 3 * 2
"""Weights of the second layer."""
ERRORS = 2 * 2
"""Errors at two outputs, at two steps."""
BP = {
    "products_forward": 2 * 6 + 2 * 6,
    "operations_forward": FORWARD,
    "acs_forward": FORWARD,
    "operations_error": ERRORS * 3,
    "macs_error": ERRORS * 3,
    "operations_update": UPDATE,
    "acs_update": UPDATE,
    "error_sparsity": 0.0,
    "neuron_updates": 2 * 3 + 2 * 2,
    "state_updates": 2 * 3 + 2 * 2,
    "spikes": 3,
    "stored_activity_peak": 2 * 2 + 2 * 3 + 2 * 3,  # inputs, potentials, spikes
    "writes_weights": 6 + 6,
    "writes_feedback": LATER,
    "weights_transported": LATER,
    "feedback_memory": 0,
    "random_draws": 0,
    "phases_per_step": 3.0,
    "update_locking_phases": (2 + 0) / 2,
}
"""Backpropagation through time."""
ONLINE = {"macs_update": 9, "acs_update": 6}
"""The trace of the input is real, and so are errors; the read-out has no memory and learns from spikes."""
OWN = {"weights_transported": 0, "feedback_memory": LATER, "writes_feedback": 0}
"""Feedback weights that stay as they are."""
NOISY = {"acs_forward": 9, "macs_forward": 2 * 3 * 2, "macs_update": 9 + 2 * 3 * 2, "acs_update": 0, "random_draws": 6}
"""Noise makes all that the second layer receives a real number, at both steps."""

ESTIMATED = NOISY | OWN | {"writes_feedback": LATER, "stored_activity_peak": BP["stored_activity_peak"] + 6}
"""Feedback estimated from noise, which is kept until the output is there."""

OTHERS: dict[str, tuple[Callable[..., Rule], Mapping[str, float]]] = {
    "ottt": (rules.ottt, ONLINE),
    "fa": (rules.fa, OWN),
    "never": (rules.never, OWN | {"weights_transported_initial": LATER}),
    "fbp": (partial(rules.fbp, period=1), {"feedback_memory": LATER, "transport_events": 1}),
    "usf": (rules.usf, {"transport_value_bits": LATER, "feedback_memory": 2}),
    "brsf": (rules.brsf, {"transport_value_bits": LATER, "feedback_memory": LATER + 1, "random_draws": LATER}),
    "kolen_pollack": (
        rules.kolen_pollack,
        OWN | {"operations_update": UPDATE + 6, "acs_update": UPDATE + 6, "writes_feedback": LATER},
    ),
    "weight_mirror": (
        partial(rules.weight_mirror, samples=4),
        OWN
        | {
            "products_forward": BP["products_forward"] + 4 * LATER,
            "macs_forward": 4 * LATER,
            "macs_update": 4 * LATER,
            "random_draws": 4 * 3,
            "writes_feedback": LATER,
            "phases_per_step": 4.0,
        },
    ),
    "dfa": (rules.dfa, ONLINE | OWN),
    "dkp": (rules.dkp, ONLINE | OWN | {"acs_update": 6 + 6, "writes_feedback": LATER}),
    "local_learning": (
        rules.local_learning,
        ONLINE
        | OWN
        | {
            "products_forward": BP["products_forward"] + 2 * 6,  # a read-out of three spikes to two outputs
            "acs_forward": FORWARD + 3 * 2,
            "acs_update": 6 + 3 * 2,
            "writes_feedback": LATER,
            "phases_per_step": 2.0,
        },
    ),
    "noisy_bp": (partial(rules.noisy_bp, noise=Gaussian()), NOISY),
    "opzo": (
        partial(rules.opzo, centering=Uncentered(), noise=Gaussian()),
        ESTIMATED | {"macs_update": NOISY["macs_update"] + ERRORS * 3},  # outputs by noise
    ),
    "opzo of signs": (
        partial(rules.opzo, centering=Uncentered(), noise=Rademacher()),
        ESTIMATED | {"acs_update": ERRORS * 3},
    ),
    "zeroth_order": (
        partial(rules.zeroth_order, noise=Gaussian()),
        NOISY
        | OWN
        | {
            "feedback_memory": 0,
            "macs_error": 0,
            "acs_error": 6,  # one number, the loss, meets the noise of three neurons at two steps
            "stored_activity_peak": BP["stored_activity_peak"] + 6,
        },
    ),
}


def network() -> nn.Sequential:
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    return nn.Sequential(first, nn.LIF(), second)


def billed(make: Callable[..., Rule]) -> Mapping[str, float]:
    rule, ledger = make(network()), Ledger()
    rule.observe(ledger)
    rule.forward(torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]]))
    rule.backward(whole(rule))
    rule.step()
    return ledger.summary()


def check(bill: Mapping[str, float], expected: Mapping[str, float]) -> None:
    wrong = {name: (bill[name], count) for name, count in expected.items() if bill[name] != count}
    assert not wrong, f"booked, counted by hand: {wrong}"
    for part in ("forward", "error", "update"):
        assert bill[f"operations_{part}"] == bill[f"macs_{part}"] + bill[f"acs_{part}"]


def test_backpropagation() -> None:
    check(billed(rules.bp), BP)


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_rules_do_otherwise(name: str) -> None:
    make, different = OTHERS[name]
    derived = ("operations_update", "operations_forward", "operations_error")
    same = {what: count for what, count in BP.items() if what not in derived}
    check(billed(make), {**same, **different})


def test_spike_times() -> None:
    """That a spike came is an addition, when it came a multiplication; an error needs one of both planes."""
    first, second = nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[0.5, 0.25], [0.25, 0.5], [-0.25, -0.25]]))
        second.weight.copy_(torch.tensor([[1.0, 0.5, 1.0], [0.5, 2.0, 1.0]]))
    rule, ledger = rules.bp(nn.Sequential(first, nn.TTFS(), second, nn.TTFSReadout())), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.tensor([[0.25, 0.5]]))))
    rule.step()
    inputs, spikes = 2, 2  # the third neuron stays silent
    check(
        ledger.summary(),
        {
            "spikes": spikes,
            "acs_forward": inputs * 3 + spikes * 2,
            "macs_forward": inputs * 3 + spikes * 2,
            "macs_error": 2 * 3,
            "error_sparsity": 0.0,
            # Fired by the sums' errors, then times by theirs; two neurons have errors.
            "acs_update": inputs * 2 + spikes * 2,
            "macs_update": inputs * 2 + spikes * 2,
        },
    )


def test_counts_of_some_steps_are_scaled_by_the_products_of_all() -> None:
    """A step with spikes counted, one without not: the estimate is twice the first, and says so."""
    signals = [torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]]), torch.zeros(2, 1, 2)]
    rule, often, seldom = rules.bp(network()), Ledger(every=1), Ledger(every=2)
    rule.observe(often)
    rule.observe(seldom)
    for signal in signals:
        rule.backward(loss_of(rule.forward(signal)))
        rule.step()
    assert often.summary()["operations_forward"] == FORWARD
    assert seldom.summary()["operations_forward"] == 2 * FORWARD
    assert seldom.summary()["spikes"] == 2 * 3
    assert often.summary()["operations_counted_steps"] == 2
    assert seldom.summary()["operations_counted_steps"] == 1
    for exact in ("products_forward", "writes_weights", "neuron_updates", "phases_per_step", "weights_transported"):
        assert often.summary()[exact] == seldom.summary()[exact]


def test_layers_add_up() -> None:
    rule, ledger = rules.opzo(network(), centering=Uncentered()), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.ones(2, 1, 2))))
    rule.step()
    layers, whole_bill = ledger.layers(), ledger.summary()
    assert set(layers) == {"0", "2"}
    for name in ("operations_forward", "operations_update", "products_error", "writes_weights", "random_draws"):
        assert sum(layer[name] for layer in layers.values()) == whole_bill[name] > 0, name
    assert layers["2"]["energy_pj_loihi"] < whole_bill["energy_pj_loihi"]


def test_what_the_ledger_does_not_know_is_an_error() -> None:
    with pytest.raises(UnsupportedError, match="cannot treat Bilinear"):
        rules.bp(nn.Sequential(torch.nn.Bilinear(2, 2, 2), nn.Linear(2, 2)))
    with pytest.raises(RequestError, match="Ledger got every=0"):
        Ledger(every=0)
