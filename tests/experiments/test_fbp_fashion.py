"""The records of frozen backpropagation on Fashion-MNIST: settings, splits and seeds."""

from __future__ import annotations

from typing import Any

import fbp_fashion as script
from _paired import Paired
from _tables import DOCS, SEEDS


def test_every_record_holds_its_settings_and_was_made_once() -> None:
    records = script.read(script.RECORDS)
    keys = [(record["row"], record["seed"], str(record["settings"])) for record in records]
    assert len(set(keys)) == len(keys) > 0
    for record in records:
        assert record["measured_on"] == "test"
        assert record["settings"]["validation"] == 0.0
        assert record["steps"] == record["ledger"]["steps"]
        assert 0.0 < record["accuracy"] < 1.0


def test_learning_rates_were_chosen_on_validation_images() -> None:
    records = script.read(script.TUNING)
    assert {record["measured_on"] for record in records} == {"validation"}
    assert not {record["seed"] for record in records} & set(SEEDS)


PAGE = " ".join((DOCS / "fbp.md").read_text(encoding="utf-8").split())
THOUSAND, TEN_THOUSAND = (script.saving(times, 1).name for times in (1_000, 10_000))


def convolutional(epochs: int | None = None, lr: float = 1e-3, surrogate: float = 0.0) -> list[dict[str, Any]]:
    """The records of the convolutional network with these settings; without epochs, of all lengths."""
    wanted = {"net": "conv_dense", "lr": lr, "surrogate": surrogate} | ({} if epochs is None else {"epochs": epochs})
    return [record for record in script.read(script.RECORDS) if wanted.items() <= record["settings"].items()]


def differences(row: str, epochs: int) -> Paired:
    """Points above BP on the convolutional network, seed by seed."""
    runs = {(record["row"], record["seed"]): 100 * record["accuracy"] for record in convolutional(epochs)}
    return Paired(tuple(runs[row, seed] - runs["bp", seed] for seed in SEEDS))


def below(found: Paired) -> str:
    """An interval in points below BP."""
    assert found.half_width is not None
    return f"{-found.mean - found.half_width:.2f} to {-found.mean + found.half_width:.2f}"


def test_what_the_page_says_first_is_in_the_records() -> None:
    budgets = [differences(name, 4) for name in (THOUSAND, TEN_THOUSAND)]
    tops = [differences(f"fbp, top {share}%, Φ=100", 4) for share in (10, 1)]
    means = "{:.2f} points below BP, and at 10,000 times fewer {:.2f} below".format(*(-found.mean for found in budgets))
    assert means in PAGE
    assert "top 10% and top 1% are {:.2f} and {:.2f} below".format(*(-found.mean for found in tops)) in PAGE
    assert f"its 95% interval is {below(tops[1])} points below" in PAGE
    assert "only from {:.2f}, {:.2f} and {:.2f} points on".format(*(f.detectable for f in (*budgets, tops[0]))) in PAGE
    excluded = [abs(found.mean) > (found.half_width or 0.0) for found in (*budgets, *tops)]
    assert excluded == [False, False, False, True]
    fa, never = differences("fa", 4), differences("never", 4)
    assert f"Feedback alignment is {-fa.mean:.2f} points below ({below(fa)})" in PAGE
    assert "the three seeds are {:.2f}, {:.2f} and {:.2f} points below".format(*(-d for d in never.differences)) in PAGE


def test_no_transport_is_worse_after_longer_training_and_than_every_scheme() -> None:
    of = {(r["row"], r["settings"]["epochs"], r["seed"]): r["accuracy"] for r in convolutional()}
    for seed in SEEDS:
        assert of["never", 4, seed] < of["never", 2, seed]
    for (row, epochs, seed), accuracy in of.items():
        if row.startswith("fbp"):
            assert accuracy > of["never", epochs, seed]
            assert accuracy > of["fa", epochs, seed]


def test_cosines_of_the_budgets_are_those_that_the_page_says() -> None:
    first: dict[str, list[float]] = {THOUSAND: [], TEN_THOUSAND: []}
    for record in convolutional():
        if record["row"] in first:
            early, *later = ([layer["cosine"] for layer in layers.values()] for layers in record["alignment"].values())
            first[record["row"]] += early
            assert record["row"] != THOUSAND or min(map(min, later)) > 0.999
    assert f"smallest cosine of any layer and seed is {int(1000 * min(first[THOUSAND])) / 1000}" in PAGE
    assert f"At 10,000 times fewer bits it is {min(first[TEN_THOUSAND]):.3f} at first" in PAGE


def test_the_interval_of_the_budgets_after_two_epochs() -> None:
    one, other = differences(THOUSAND, 2), differences(TEN_THOUSAND, 2)
    said = f"{-one.mean:.2f} ({one.cells()[0]}) and {-other.mean:.2f} points ({other.cells()[0]}) below BP"
    assert said in PAGE


def test_what_the_page_says_of_other_ways_to_keep_feedback_weights() -> None:
    rows = ("fbp, sign, Φ=32", "usf", "frsf", "weight-mirror", "kolen-pollack", "brsf")
    found = {row: differences(row, 4) for row in rows}
    means = (-found[row].mean for row in rows)
    said = "`fbp` that sends signs every 32 steps is {:.2f} points below BP, `usf` {:.2f}, `frsf` {:.2f}, the weight "
    said += "mirror {:.2f}, Kolen-Pollack {:.2f} and `brsf` {:.2f} (n = 3)"
    assert said.format(*means) in PAGE
    worse = [row for row, pairs in found.items() if abs(pairs.mean) > (pairs.half_width or 0.0)]
    assert worse == ["weight-mirror", "brsf"]


def test_what_the_page_says_of_the_derivative_of_firing() -> None:
    tried = {
        (record["settings"]["lr"], record["settings"]["surrogate"]): record
        for record in script.read(script.TUNING)
        if record["settings"]["lr_scaling"] == "fan" and (record["row"], record["seed"]) == ("bp", 1000)
    }
    pairs = [(tried[lr, 2.0], tried[lr, 0.0]) for lr, surrogate in tried if surrogate == 0.0]
    gains = sorted(100 * (one["accuracy"] - other["accuracy"]) for one, other in pairs)
    assert f"BP is {gains[0]:.2f} to {gains[-1]:.2f} points better" in PAGE
    dead = [
        [max(record["units"].items(), key=lambda unit: int(unit[0]))[1]["dead"] for record in pair] for pair in pairs
    ]
    few, many = zip(*dead, strict=True)
    assert f"at most {max(few)} units are dead instead of {min(many)} to {max(many)}" in PAGE


FIRING = (4e-3, 2.0), (1e-3, 0.0)
"""Learning rates with a derivative of firing of width 2 and without one."""


def test_rows_with_a_derivative_of_firing_beside_those_without() -> None:
    own, others = ({(r["row"], r["seed"]): r["accuracy"] for r in convolutional(4, *kind)} for kind in FIRING)
    rows = [row.name for row in script.WITH_SURROGATE]
    seeds = [seed for seed in SEEDS if all((row, seed) in own for row in rows)]
    gains = {row: [100 * (own[row, seed] - others[row, seed]) for seed in seeds] for row in rows}
    lower = {row: [gain for gain in of if gain < 0] for row, of in gains.items() if min(of) < 0}
    assert list(lower) == ["fbp, top 1%, Φ=100", "fa"]
    assert f"`never` (n = {len(seeds)}); the top 1% and `fa` are" in PAGE
    ((one,), (other,)) = lower.values()
    assert f"are {-one:.2f} and {-other:.2f} points below theirs in one of three seeds" in PAGE
    for seed in seeds:
        for row in ("fbp, top 10%, Φ=100", "fbp, top 1%, Φ=100", TEN_THOUSAND):
            assert own[row, seed] - own["bp", seed] < others[row, seed] - others["bp", seed]
