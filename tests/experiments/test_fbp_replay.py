"""The records of stale copies support what the docs say of them."""

from __future__ import annotations

import pytest
import torch

import fbp_replay as script
from _records import read_lines
from onchip.transport import LowRank


def test_what_the_records_say_is_why_a_budget_buys_pairs_in_four_bits() -> None:
    records = read_lines(script.RECORDS)
    errors = {record["scheme"]: torch.tensor(record["later"]) for record in records}
    assert bool((errors["bits / 1,000: the budget's choice"] < errors["sign, balanced Φ=32"]).all())
    for times, rank in ((1_000, 4), (10_000, 1)):
        budget = errors[f"bits / {times:,}: the budget's choice"]
        assert torch.equal(budget, errors[f"bits / {times:,}: rank {rank} in {LowRank().bits} bits, balanced"])
        for bits in (2, 8):
            assert budget.sum() < errors[f"bits / {times:,}: rank {rank} in {bits} bits, balanced"].sum()


def test_copies_that_are_sent_whole_at_every_step_are_one_step_behind() -> None:
    weights = [torch.full((2, 3), 1.0) for _ in range(3)]
    scheme = next(scheme for scheme in script.schemes(weights) if scheme.name == "full, Φ=100")
    for step in range(1, 102):
        for weight in weights:
            weight.fill_(float(step))
        scheme.step(step, weights)
    assert scheme.bits == 32 * 18
    assert scheme.scalars == 18
    expected = sum((step - 1) / step for step in range(1, 101)) + 1 / 101  # W = step, B = 1, then 100
    assert scheme.early.tolist() == pytest.approx([expected] * 3)
