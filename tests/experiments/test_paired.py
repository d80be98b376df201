"""Student's t, paired over seeds: against tables, against an integral of the density, and against simulated runs."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from _paired import POWER, Paired, describe_pooled, pooled, t_quantile

TABLE = {  # two-sided 95%, and one-sided 80%; from any textbook
    1: (12.706, 1.376),
    2: (4.303, 1.061),
    3: (3.182, 0.978),
    4: (2.776, 0.941),
    9: (2.262, 0.883),
    10: (2.228, 0.879),
    30: (2.042, 0.854),
    120: (1.980, 0.845),
}


@pytest.mark.parametrize("freedom", TABLE)
def test_quantiles_are_those_of_the_tables(freedom: int) -> None:
    found = t_quantile(0.975, freedom), t_quantile(0.8, freedom)
    assert found == pytest.approx(TABLE[freedom], abs=6e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 6, 7])
def test_quantiles_enclose_their_share_of_the_density(freedom: int) -> None:
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - 0.5 * math.log(freedom * math.pi)
    for share in (0.6, 0.9, 0.995):
        t = torch.linspace(0.0, t_quantile(share, freedom), 20_001, dtype=torch.float64)
        density = torch.exp(log_scale - (freedom + 1) / 2 * torch.log1p(t * t / freedom))
        assert 0.5 + float(torch.trapezoid(density, t)) == pytest.approx(share, abs=1e-6)


def test_the_interval_of_three_differences() -> None:
    """s = 1, so that the half width is 4.303 / √3, and the smallest difference (4.303 + 1.061) / √3."""
    found = Paired((-2.0, -1.0, 0.0))
    assert found.mean == -1.0
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), abs=1e-4)
    assert found.detectable == pytest.approx((4.3027 + 1.0607) / math.sqrt(3), abs=1e-4)
    assert found.cells() == ("-3.48 to +1.48", "3.10")


def test_a_single_seed_says_nothing() -> None:
    assert Paired((1.0,)).cells() == ("-", "-")


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_differences_of_that_size_are_seen_as_often_as_stated(seeds: int) -> None:
    """Of simulated experiments with deviation 1; the module's docstring states 77% for three seeds."""
    drawn = torch.randn(200_000, seeds, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    true = (t_quantile(0.975, seeds - 1) + t_quantile(POWER, seeds - 1)) / math.sqrt(seeds)
    error = drawn.std(1) / math.sqrt(seeds)
    wide = t_quantile(0.975, seeds - 1) * error
    assert float((drawn.mean(1).abs() < wide).double().mean()) == pytest.approx(0.95, abs=0.003)
    seen = float(((drawn.mean(1) + true).abs() > wide).double().mean())
    assert seen == pytest.approx({3: 0.77}.get(seeds, POWER), abs=0.015)


def test_the_pooled_deviation_is_free_of_rows_and_seeds() -> None:
    """Simulated tables of rows that share their seeds: row and seed vary by far more than what is left."""
    generator = torch.Generator().manual_seed(1)
    squares = []
    for _ in range(300):
        row, seed = (5 * torch.randn(n, generator=generator) for n in (6, 3))
        table = row[:, None] + seed + 0.5 * torch.randn(6, 3, generator=generator)
        found = pooled({str(i): values for i, values in enumerate(table.tolist())})
        assert found is not None
        assert (found.rows, found.seeds, found.freedom) == (6, 3, 10)
        squares.append(found.deviation**2)
    assert sum(squares) / len(squares) == pytest.approx(0.25, rel=0.1)


def test_two_rows_pooled_are_a_paired_test() -> None:
    first, second = (3.0, 1.0, 2.5, 4.0), (2.0, 1.5, 1.0, 2.0)
    both = pooled({"first": first, "second": second})
    alone = Paired(tuple(a - b for a, b in zip(first, second, strict=True)))
    assert both is not None
    assert both.half_width == pytest.approx(alone.half_width)
    assert both.detectable == pytest.approx(alone.detectable)


def test_too_few_rows_are_not_described() -> None:
    assert pooled({"alone": (1.0, 2.0)}) is None
    assert describe_pooled(pooled({"a": (1.0, 2.0, 3.0), "b": (1.0, 2.0, 2.5)})) == ""
    assert "8 degrees of freedom" in describe_pooled(pooled({str(i): (i, 2.0, 3.0) for i in range(5)}))


def test_quantiles_rise_with_their_share() -> None:
    values = [t_quantile(share, 4) for share in (0.55, 0.8, 0.95, 0.975, 0.995)]
    assert all(low < high for low, high in pairwise(values))
