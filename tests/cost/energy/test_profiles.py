"""Profiles of chips and energy tables state the same prices where both have one."""

from __future__ import annotations

import pytest

from onchip import chips
from onchip.cost.energy import known_tables, table

FIELDS = {
    "synapse": ("synapse_pj", "operation_pj"),
    "update": ("update_pj",),
    "neuron_active": ("active_neuron_pj",),
    "neuron_idle": ("idle_neuron_pj",),
    "spike": ("spike_pj",),
}
"""Prices of a profile, and what tables call them."""


@pytest.mark.parametrize("name", sorted({*chips.known_chips()} & {*known_tables()}))
def test_a_profile_and_a_table_of_one_name_agree(name: str) -> None:
    facts, cited = chips.chip(name).facts()["prices"], table(name).sources()
    for price, fields in FIELDS.items():
        fact, _ = facts[price]
        published = [cited[field].value for field in fields if field in cited]
        assert published == ([fact.value] if fact.known else []), price


def test_some_chips_have_both() -> None:
    assert "loihi" in {*chips.known_chips()} & {*known_tables()}
