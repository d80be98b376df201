"""What every energy table must do: one suite over the export list."""

from __future__ import annotations

import dataclasses

import pytest

from onchip.cost.energy import Cited, known_tables, table
from onchip.cost.ledger import Ledger

COUNTS = Ledger().summary()


@pytest.fixture(params=known_tables())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def bill(size: float) -> dict[str, int | float]:
    return dict.fromkeys(COUNTS, size) | {"error_sparsity": 0.0}


def test_a_table_is_found_by_the_name_that_it_gives_itself(name: str) -> None:
    assert table(name).name == name == table(name).energy(bill(0.0)).table


def test_energy_is_proportional_to_the_counts_and_nothing_costs_nothing(name: str) -> None:
    once, twice, nothing = (table(name).energy(bill(size)) for size in (1.0, 2.0, 0.0))
    assert once.operations_pj > 0
    assert twice.total_pj == pytest.approx(2 * once.total_pj)
    assert (nothing.total_pj, nothing.unpriced) == (0.0, ())


def test_what_has_no_price_is_named_by_its_count(name: str) -> None:
    assert set(table(name).energy(bill(1.0)).unpriced) <= COUNTS.keys()


def test_every_price_is_positive_and_has_a_source(name: str) -> None:
    prices = [value for value in vars(table(name)).values() if isinstance(value, Cited)]
    assert prices or not dataclasses.is_dataclass(table(name))
    assert all(price.value > 0 and len(price.source) > 10 for price in prices)
