"""A budget of bits: what it buys, and that it is kept."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from onchip.errors import RequestError
from onchip.transport import Full, LowRank, Sign, Threshold, Top, Transport
from onchip.transport.base import planned_bits
from onchip.transport.budget import plan_within_budget

LAYERS = [torch.zeros(32, 16, 3, 3), torch.zeros(128, 1568), torch.zeros(10, 128)]
EVERY_WEIGHT = 32 * sum(weight.numel() for weight in LAYERS)


def a_step(period: float, transport: Transport, weights: list[Tensor]) -> float:
    """Bits of a training step, on average."""
    return sum(planned_bits(transport, weights)) / period


@given(budget=st.floats(1.0, 1e8), transport=st.sampled_from([None, Sign(), Top(0.01), LowRank(2)]))
def test_no_more_is_spent_than_the_budget_has(budget: float, transport: Transport | None) -> None:
    period, chosen = plan_within_budget(budget, LAYERS, transport)
    assert chosen == transport or transport is None
    assert period >= 1.0
    assert period == 1.0 or a_step(period, chosen, LAYERS) == pytest.approx(budget)
    assert period > 1.0 or a_step(period, chosen, LAYERS) <= budget or transport is not None


def test_larger_budgets_buy_more_pairs_of_vectors_and_at_last_every_weight() -> None:
    chosen = [plan_within_budget(EVERY_WEIGHT / saving, LAYERS)[1] for saving in (100_000, 10_000, 1_000, 100, 1)]
    assert chosen == [LowRank(1), LowRank(1), LowRank(4), LowRank(8), Full()]
    assert plan_within_budget(EVERY_WEIGHT, LAYERS) == (1.0, Full())


def test_the_usual_budget_is_a_thousandth_of_what_bp_moves() -> None:
    assert plan_within_budget(None, LAYERS) == plan_within_budget(EVERY_WEIGHT / 1000, LAYERS)


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan"), float("inf")])
def test_a_budget_that_is_no_positive_number_is_refused(budget: float) -> None:
    with pytest.raises(RequestError, match=f"fbp got budget={budget}; expected a positive number .* `never`"):
        plan_within_budget(budget, LAYERS)


@pytest.mark.parametrize("transport", [Threshold(0.1), Top(0.1, per_layer=False)])
def test_messages_whose_size_is_not_known_cannot_be_planned(transport: Transport) -> None:
    with pytest.raises(RequestError, match="whose size is not known in advance"):
        plan_within_budget(1000.0, LAYERS, transport)
