"""The bill of one step on a recurrent network so small that every operation can be counted by hand.

The network, input and spikes of `test_bill_by_hand.py`: two inputs, three LIF neurons, two outputs; two time steps, one
sample. The neurons also receive each other's spikes of the step before, through weights V of 0, so that they fire as
they did:

    step   input   spikes   spikes that arrive   trace of these
    0      1 0     1 0 0    0 0 0                0 0 0
    1      1 1     1 1 0    1 0 0                1 0 0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import pytest
import torch

from onchip import nn, rules
from onchip.cost.bill import Bill
from onchip.cost.ledger import Ledger
from onchip.learning.rule import Rule
from tests.cost.test_bill_by_hand import check

FORWARD = 3 * 3 + 1 * 3 + 3 * 2
"""Inputs that are not zero, to three neurons; the spike that arrives, to three neurons; spikes, to two outputs."""
ERRORS = 2 * 2 * 3 + 3 * 3
"""Errors at two outputs, at two steps, to three neurons; those of three neurons at step 1, to three at step 0."""
UPDATE = (1 + 2) * 3 + 1 * 3 + (1 + 2) * 2
"""Inputs by errors of neurons, the spike that arrives by errors of neurons, spikes by errors of outputs."""
RECURRENT, LATER = 3 * 3, 3 * 2
"""Weights of the recurrent connection, and of the last layer."""

BP = {
    "products_forward": 2 * 6 + 1 * 9 + 2 * 6,  # at the first step, nothing has been fired yet
    "operations_forward": FORWARD,
    "acs_forward": FORWARD,
    "products_error": 2 * 6 + 1 * 9,
    "operations_error": ERRORS,
    "macs_error": ERRORS,
    "products_update": 2 * 6 + 2 * 9 + 2 * 6,
    "operations_update": UPDATE,
    "acs_update": UPDATE,
    "neuron_updates": 2 * 3 + 2 * 2,
    "spikes": 3,
    "stored_activity_peak": 2 * 2 + 2 * 3 + 2 * 3 + 2 * 3,  # inputs, potentials, spikes at V and at the last layer
    "writes_weights": 6 + RECURRENT + 6,
    "writes_feedback": RECURRENT + LATER,
    "weights_transported": RECURRENT + LATER,
    "feedback_memory": 0,
    "phases_per_step": 3.0 + 2.0,
    "update_locking_phases": (4 + 2 + 0) / 3,
}
"""Backpropagation through time: V is a layer of its own, between the other two."""
TRANSPORT_FREE = {"weights_transported": 0, "writes_feedback": 0, "feedback_memory": LATER}
LOCAL = {
    "products_error": 2 * 6,
    "operations_error": 2 * 2 * 3,
    "macs_error": 2 * 2 * 3,
    "weights_transported": LATER,
    "writes_feedback": LATER,
    "phases_per_step": 3.0 + 1.0,
    "update_locking_phases": (3 + 2 + 0) / 3,
}
"""Where no error passes through V, there is no transport of V either."""
OTHERS: dict[str, tuple[Callable[..., Rule], Mapping[str, float]]] = {
    "fbp": (partial(rules.fbp, period=1), {"feedback_memory": RECURRENT + LATER, "transport_events": 2}),
    "fa": (rules.fa, {"feedback_memory": RECURRENT + LATER, "weights_transported": 0, "writes_feedback": 0}),
    # The trace of the inputs is real; those of the only spike that arrives, and spikes at the read-out, are not.
    "ottt": (rules.ottt, LOCAL | {"macs_update": 3 * 3, "acs_update": 3 + 6}),
    "eprop": (rules.eprop, LOCAL | TRANSPORT_FREE | {"macs_update": 3 * 3, "acs_update": 3 + 6}),
}
DERIVED = ("operations_update", "acs_update")


def network(readout: list[torch.nn.Module]) -> nn.Sequential:
    first, back, last = nn.Linear(2, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        back.weight.zero_()
    return nn.Sequential(first, nn.Recurrent(back, nn.LIF()), last, *readout)


def billed(make: Callable[..., Rule], *, stream: bool = False, readout: list[torch.nn.Module] | None = None) -> Ledger:
    torch.manual_seed(0)
    rule, ledger = make(network(readout or [])), Ledger(every=1)
    rule.observe(ledger)
    signal = torch.tensor([[[1.0, 0.0]], [[1.0, 1.0]]])
    for output in rule.stream(signal) if stream else [rule.forward(signal)]:
        rule.backward((output * output + 0.3 * output).sum())
    rule.step()
    return ledger


def test_backpropagation() -> None:
    bill = billed(rules.bp).summary()
    check(bill, BP)


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_rules_do_otherwise(name: str) -> None:
    make, different = OTHERS[name]
    same = {what: count for what, count in BP.items() if what not in DERIVED}
    check(billed(make).summary(), {**same, **different})


def test_a_recurrent_connection_is_an_entry_of_its_own() -> None:
    layers = billed(rules.bp).layers()
    assert list(layers) == ["0", "1.recurrent", "2"]
    connection: Bill = {
        "products_forward": 9,
        "products_error": 9,
        "acs_forward": 3,
        "macs_error": 9,
        "acs_update": 3,
        "writes_weights": 9,
        "weights_transported": 9,
        "neuron_updates": 0,  # which are those of the layer that it belongs to
        "spikes": 0,
    }
    check(layers["1.recurrent"], connection)


def test_a_state_per_synapse_is_work_and_memory() -> None:
    """A leaky read-out filters e-prop's eligibility in a stream: ψ times a trace, and a decaying sum, per synapse."""
    plain = billed(rules.eprop, stream=True).layers()
    leaky = billed(rules.eprop, stream=True, readout=[nn.LI()]).layers()
    steps, synapses = 2, {"0": 2 * 3, "1.recurrent": 3 * 3}
    for name, count in synapses.items():
        assert leaky[name]["macs_update"] == steps * (2 * count + count)  # the state, and its product with the error
        assert leaky[name]["acs_update"] == 0
        assert leaky[name]["products_update"] == plain[name]["products_update"] + steps * 2 * count
    # Also of the bias, whether the layer has one or not; and the traces of all inputs, from which they are computed.
    inputs = 2 + 1 + 3
    grown = leaky["0"]["stored_activity_peak"] - plain["0"]["stored_activity_peak"]
    # They are stored beside the inputs themselves, in place of two traces, each for this step and for the next.
    assert grown == (3 * inputs + inputs + 2) - 2 * (2 + 3)
    assert leaky["1.recurrent"]["writes_weights"] == plain["1.recurrent"]["writes_weights"] == RECURRENT
