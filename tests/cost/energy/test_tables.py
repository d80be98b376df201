"""Tables of prices: physical numbers, what memory adds, and what has no price."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from onchip import nn, rules
from onchip.cost.energy import CMOS45, Cited, Loihi, known_tables, table
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from tests.cases import CASES, loss_of

EMPTY = dict.fromkeys(Ledger().summary(), 0.0)


def test_a_multiply_accumulate_costs_four_point_six_picojoules() -> None:
    """45 nm: 0.9 pJ an addition of 32-bit floats, 3.7 pJ a multiplication (Horowitz 2014)."""
    prices = table("horowitz-45nm")
    assert prices.energy({**EMPTY, "macs_forward": 1}).operations_pj == pytest.approx(4.6)
    assert prices.energy({**EMPTY, "acs_forward": 1e9}).operations_pj == pytest.approx(0.9e9)
    one = {**EMPTY, "acs_forward": 1, "operations_forward": 1}
    assert prices.energy(one).memory_pj == pytest.approx(5.0), "half of a read of 64 bits from 8 kB"
    assert table("horowitz-45nm-dram").energy(one).memory_pj == pytest.approx(650.0)
    assert table("horowitz-45nm-dram").energy(one).operations_pj == prices.energy(one).operations_pj


def test_a_spike_at_a_synapse_of_loihi_costs_23_6_picojoules() -> None:
    prices = table("loihi")
    assert prices.energy({**EMPTY, "operations_forward": 10}).total_pj == pytest.approx(236.0)
    assert prices.energy({**EMPTY, "operations_update": 2}).total_pj == pytest.approx(240.0)
    assert prices.energy({**EMPTY, "neuron_updates": 3, "spikes": 1}).total_pj == pytest.approx(81 + 1.7 + 2 * 52)


def test_each_state_of_a_neuron_is_computed_read_and_written() -> None:
    """A threshold that adapts is a second state: two multiply-accumulates, one comparison, two reads and two writes."""
    layers = [nn.Linear(3, 4), nn.ALIF(), nn.Linear(4, 2), nn.LI()]
    rule, ledger = rules.bp(nn.Sequential(*layers)), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(torch.rand(5, 7, 3))))
    rule.step()
    bill = ledger.summary()
    assert bill["neuron_updates"] == 5 * 7 * (4 + 2)
    assert bill["state_updates"] == 5 * 7 * (2 * 4 + 2)
    one = table("horowitz-45nm").energy({**EMPTY, "neuron_updates": 1, "state_updates": 2})
    assert one.operations_pj == pytest.approx(2 * 4.6 + 0.9)
    assert one.memory_pj == pytest.approx(4 * 5.0)


def test_what_has_no_price_is_named() -> None:
    assert table("loihi").energy({**EMPTY, "weights_transported": 5}).unpriced == ("weights_transported",)
    assert table("loihi").energy(EMPTY).unpriced == ()
    assert table("horowitz-45nm").energy({**EMPTY, "random_draws": 5}).unpriced == ("random_draws",)


def test_precision_changes_arithmetic_and_memory() -> None:
    one = {**EMPTY, "macs_forward": 1, "operations_forward": 1}
    eight = table("horowitz-45nm", bits=8).energy(one)
    assert eight.operations_pj == pytest.approx(0.23)
    assert eight.memory_pj == pytest.approx(1.25)


def test_every_number_has_a_source_and_a_unit() -> None:
    for name in known_tables():
        prices = table(name)
        assert isinstance(prices, CMOS45 | Loihi)
        for field in dataclasses.fields(prices):
            value = getattr(prices, field.name)
            if isinstance(value, Cited):
                assert field.name.endswith("_pj")
                assert "20" in value.source, "dated"
                assert value.value > 0


def test_unknown_tables_and_precisions_are_refused_with_a_list() -> None:
    with pytest.raises(RequestError, match=r"unknown hardware table 'horowitz'; did you mean 'horowitz-45nm'.*loihi"):
        table("horowitz")
    with pytest.raises(RequestError, match="no prices of 4-bit arithmetic; expected 8, 16, 32, or the table loihi"):
        table("horowitz-45nm", bits=4)


def test_the_bill_names_the_table_beside_every_joule() -> None:
    rule, ledger = rules.bp(CASES[0].build()), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(CASES[0].signal())))
    rule.step()
    bill = ledger.summary()
    joules = [name for name in bill if "energy" in name]
    assert len(joules) == 2 * len(known_tables())
    assert all(any(known.replace("-", "_") in name for known in known_tables()) for name in joules)
    assert bill["energy_pj_horowitz_45nm"] == pytest.approx(table("horowitz-45nm").energy(bill).total_pj)
    assert bill["energy_pj_horowitz_45nm"] > bill["energy_operations_pj_horowitz_45nm"] > 0
