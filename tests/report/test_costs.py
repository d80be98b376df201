from __future__ import annotations

import pytest

from onchip.report.costs import COSTS, traffic
from tests.examples import record

OF = {cost.name: cost.of for cost in COSTS}
BITS = {"transport_value_bits": 320, "transport_index_bits": 100}


def test_costs_are_of_one_step_or_one_sample() -> None:
    one = record(ledger={**record().ledger, **BITS})
    assert OF["weights"](one) == 1000 / 10
    assert OF["bits"](one) == 420 / 10
    assert OF["update"](one) == 300_000 / (100 * 2)  # samples an epoch, epochs
    assert OF["products"](one) == 600_000 / (100 * 2)


@pytest.mark.parametrize("older", [record(), record(accuracy=None), record(history=()), record(ledger={})])
def test_what_a_record_does_not_hold_costs_none(older: object) -> None:
    assert OF["bits"](older) is None  # type: ignore[arg-type]


def test_nothing_is_divided_by_nothing() -> None:
    assert OF["weights"](record(ledger={"steps": 0, "weights_transported": 0})) is None
    assert OF["forward"](record(history=())) is None


def test_traffic_is_in_bits_if_every_record_knows_them() -> None:
    newer = record(ledger={**record().ledger, **BITS})
    assert traffic([newer]).name == "bits"
    assert traffic([newer, record()]).name == "weights"


def test_memory_is_no_sum_over_steps() -> None:
    memory = {**record().ledger, "feedback_memory": 3, "stored_activity_peak": 4}
    assert OF["memory"](record(ledger=memory)) == 7
