"""Tables of prices: physical numbers, what memory adds, and what has no price."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from onchip import nn, rules
from onchip.cost.bill import RECORDED
from onchip.cost.energy import SynapticOperations, known_tables, table
from onchip.cost.ledger import Ledger
from onchip.errors import RequestError
from onchip.runs import record
from tests.cases import CASES, loss_of

EMPTY = dict.fromkeys(Ledger().summary(), 0.0)


def test_a_multiply_accumulate_costs_four_point_six_picojoules() -> None:
    """45 nm: 0.9 pJ an addition of 32-bit floats, 3.7 pJ a multiplication (Horowitz 2014)."""
    prices = table("horowitz-45nm")
    assert prices.energy({**EMPTY, "macs_forward": 1}).operations_pj == pytest.approx(4.6)
    assert prices.energy({**EMPTY, "acs_forward": 1e9}).operations_pj == pytest.approx(0.9e9)
    one = {**EMPTY, "acs_forward": 1}
    assert prices.energy(one).memory_pj == pytest.approx(5.0), "half of a read of 64 bits from 8 kB"
    assert table("horowitz-45nm-dram").energy(one).memory_pj == pytest.approx(650.0)
    assert table("horowitz-45nm-dram").energy(one).operations_pj == prices.energy(one).operations_pj


def test_a_spike_at_a_synapse_of_loihi_costs_23_6_picojoules() -> None:
    prices = table("loihi")
    assert prices.energy({**EMPTY, "acs_forward": 7, "macs_forward": 3}).total_pj == pytest.approx(236.0)
    assert prices.energy({**EMPTY, "macs_update": 2}).total_pj == pytest.approx(240.0)
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


def test_what_has_no_price_is_named_and_in_no_sum() -> None:
    """No weight can be sent on Loihi; arithmetic in CMOS has no network for spikes and no source of randomness."""
    sent = table("loihi").energy({**EMPTY, "weights_transported": 5, "transport_value_bits": 160, "acs_error": 1})
    assert sent.unpriced == ("transport_value_bits",)
    assert sent.total_pj == pytest.approx(23.6)
    assert table("loihi").energy(EMPTY).unpriced == ()
    drawn = table("horowitz-45nm").energy({**EMPTY, "random_draws": 5, "spikes": 1, "transport_sorts": 2})
    assert (set(drawn.unpriced), drawn.total_pj) == ({"random_draws", "spikes", "transport_sorts"}, 0.0)


@pytest.mark.parametrize(
    ("name", "picojoules"),
    [
        ("odin", 12.7),
        ("reckon", 5.3),
        ("ubrain", 26),
        ("truenorth", 2.5),
        ("tianjic", 1.54),
        ("neuronflow", 20),
        ("spinnaker", 45),
        ("spinnaker2", 10),
        ("seneca", 2.8),
    ],
)
def test_chips_with_one_published_number_price_synaptic_operations_alone(name: str, picojoules: float) -> None:
    """Table 3 of Frontiers in Neuroscience 2023, 1187252."""
    prices = table(name)
    forward = {"acs_forward": 1, "macs_forward": 2, "acs_error": 3, "macs_error": 4}
    energy = prices.energy({**EMPTY, **forward, "acs_update": 9, "neuron_updates": 9, "stored_activity": 9})
    assert energy.total_pj == energy.operations_pj == pytest.approx(10 * picojoules)
    assert energy.scope == "synaptic operations only"
    assert energy.unpriced == ("acs_update", "neuron_updates", "stored_activity")
    assert table(name, bits=8) == prices, "at the precision of the chip"
    assert isinstance(prices, SynapticOperations)
    assert prices.node_nm in (22, 28, 40, 130)


def test_precision_changes_arithmetic_and_memory() -> None:
    one = {**EMPTY, "macs_forward": 1}
    eight = table("horowitz-45nm", bits=8).energy(one)
    assert eight.operations_pj == pytest.approx(0.23)
    assert eight.memory_pj == pytest.approx(1.25)


def test_unknown_tables_and_precisions_are_refused_with_a_list() -> None:
    with pytest.raises(RequestError, match=r"unknown hardware table 'horowitz'; did you mean 'horowitz-45nm'.*loihi"):
        table("horowitz")
    with pytest.raises(RequestError, match="'loihi2': Loihi 2: no energy of a synaptic operation is published"):
        table("loihi2")
    with pytest.raises(RequestError, match="no prices of 4-bit arithmetic; expected 8, 16, 32, or the table of a chip"):
        table("horowitz-45nm", bits=4)


def test_the_bill_names_the_table_beside_every_joule() -> None:
    rule, ledger = rules.bp(CASES[0].build()), Ledger()
    rule.observe(ledger)
    rule.backward(loss_of(rule.forward(CASES[0].signal())))
    rule.step()
    bill = ledger.summary()
    joules = {name for name in bill if "energy" in name}
    names = [name.replace("-", "_") for name in RECORDED]
    assert joules == {f"energy_{kind}pj_{name}" for name in names for kind in ("", "operations_")}
    assert bill["energy_pj_horowitz_45nm"] == pytest.approx(table("horowitz-45nm").energy(bill).total_pj)
    assert bill["energy_pj_horowitz_45nm"] > bill["energy_operations_pj_horowitz_45nm"] > 0


def test_more_tables_add_nothing_to_records() -> None:
    """Whoever shows an energy computes it from the counts; earlier versions read the keys of these three."""
    assert RECORDED == ("horowitz-45nm", "horowitz-45nm-dram", "loihi")
    assert len(known_tables()) > len(RECORDED)


@pytest.mark.parametrize("name", RECORDED)
def test_counts_of_committed_records_give_the_energies_in_them(name: str) -> None:
    """The records were written when each table had a formula of its own."""
    for one in record.read(Path(__file__).parents[3] / "experiments" / "readme" / "records.jsonl"):
        energy, key = table(name).energy(one.ledger), name.replace("-", "_")
        assert one.ledger[f"energy_pj_{key}"] == pytest.approx(energy.total_pj, rel=1e-12)
        assert one.ledger[f"energy_operations_pj_{key}"] == pytest.approx(energy.operations_pj, rel=1e-12)
