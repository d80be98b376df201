"""What every energy table must do: one suite over the export list."""

from __future__ import annotations

import re

import pytest

from onchip.cost.energy import NO_WORK, WORK, Cited, in_words, known_tables, table
from onchip.cost.ledger import Ledger

COUNTS = {name for name in Ledger().summary() if not name.startswith("energy_")}


@pytest.fixture(params=known_tables())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def bill(size: float) -> dict[str, float]:
    return dict.fromkeys(WORK, size)


def test_every_count_of_a_bill_is_work_or_says_why_it_is_none() -> None:
    """A new count of the ledger that is in neither list would be free under every table."""
    assert WORK.keys() | NO_WORK.keys() == COUNTS
    assert not WORK.keys() & NO_WORK.keys()


def test_a_table_is_found_by_the_name_that_it_gives_itself(name: str) -> None:
    assert table(name).name == name == table(name).energy(bill(0.0)).table


def test_priced_and_unpriced_are_all_work_of_a_bill(name: str) -> None:
    """Each count exactly once; each count alone costs something, or is named."""
    prices, unpriced = table(name).prices(), table(name).unpriced(bill(1.0))
    assert sorted([*prices, *unpriced]) == sorted(WORK)
    for count in WORK:
        alone = table(name).energy({**bill(0.0), count: 1.0})
        included = count in prices and prices[count].included_in
        assert (alone.total_pj > 0) == (count in prices and not included), count
        assert alone.unpriced == ((count,) if count in unpriced else ())
        if included:
            assert table(name).energy({**bill(0.0), included: 1.0}).total_pj > 0


def test_a_phrase_for_readers_is_priced_whole_or_not_at_all(name: str) -> None:
    assert not set(in_words(table(name).prices())) & set(in_words(table(name).unpriced(bill(1.0))))


def test_energy_is_proportional_to_the_counts_and_nothing_costs_nothing(name: str) -> None:
    once, twice, nothing = (table(name).energy(bill(size)) for size in (1.0, 2.0, 0.0))
    assert once.operations_pj > 0
    assert twice.total_pj == pytest.approx(2 * once.total_pj)
    assert twice.unpriced == once.unpriced
    assert (nothing.total_pj, nothing.unpriced) == (0.0, ())


def test_an_earlier_bill_is_priced_if_it_has_what_the_table_prices(name: str) -> None:
    own = {count: 1.0 for count, price in table(name).prices().items() if not price.included_in}
    assert table(name).can_price(own)
    assert table(name).energy(own).total_pj > 0
    for count in own:
        assert not table(name).can_price({other: 1.0 for other in own if other != count})


def test_every_price_is_positive_and_has_a_source(name: str) -> None:
    made = table(name)
    published = [value for value in vars(made).values() if isinstance(value, Cited)]
    assert published == list(made.sources().values()) != []
    for field, price in made.sources().items():
        assert field.endswith("_pj"), "its unit"
        assert price.value > 0
        assert re.search(r"\b20\d\d\b", price.source), "dated"
    prices = made.prices().values()
    assert all(p.operations_pj >= 0 and p.memory_pj >= 0 for p in prices)
    assert all(bool(p.included_in) != (p.operations_pj + p.memory_pj > 0) for p in prices)


def test_a_table_says_what_it_prices_and_what_the_hardware_is(name: str) -> None:
    assert table(name).scope
    assert "," not in table(name).scope, "heads of columns are listed with commas"
    assert table(name).title
