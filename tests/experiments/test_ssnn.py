"""Spike-based backpropagation: a loss in two parts, the choice of learning rates, and the numbers in the docs."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
import torch

import _ssnn as shared
import _ssnn_found as sentences
import ssnn as script
import ssnn_deep as deep
import time_n_mnist as recordings
from _records import difference, read_lines
from _time import records_of
from onchip.data import Dataset, Split
from onchip.data.samples import FLOAT_IMAGES, RECORDINGS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ssnn.md"


def entry(row: str, seed: int, spiking: float, clipped: float, lr: float = 0.2) -> dict[str, Any]:
    ledger = {"transport_value_bits": 600, "transport_index_bits": 40, "steps": 2}
    record = {"seed": seed, "test_accuracy": spiking, "settings": {"lr": lr}, "ledger": ledger}
    return {"table": "a table", "row": row, "as_clipped": clipped, "record": record}


def test_the_loss_is_that_of_training_and_that_of_the_read_out() -> None:
    entries = [
        entry("clipped network, bp", 0, 0.90, 0.90),
        entry("clipped network, bp", 1, 0.80, 0.80),
        entry("ours", 0, 0.85, 0.88),
        entry("ours", 1, 0.79, 0.77),
        entry("ours", 2, 0.10, 0.10),  # of a seed without a reference
    ]
    found = shared.noise(entries[2:], shared.References.of(entries))
    assert [[round(part, 6) for part in run] for run in found] == [[-5, -2, -3], [-1, -3, 2]]
    assert all(total == pytest.approx(training + reading) for total, training, reading in found)
    _, seeds, accuracy, clipped, *parts, bits = shared.cells("ours", entries)
    assert (seeds, accuracy, clipped, bits) == ("3", "58.00 ± 41.68", "58.33 ± 42.22", "320")
    assert parts == ["-3.00 ± 2.83", "-2.50 ± 0.71", "-0.50 ± 3.54"]
    assert shared.cells("clipped network, bp", entries)[4:7] == ("", "", "")


def test_a_clipped_network_of_the_same_seed_is_compared_and_of_several_that_of_the_same_rate() -> None:
    rates = [entry(f"clipped network, lr {lr:g}", 0, 0.9 - lr, 0.9 - lr, lr=lr) for lr in (0.1, 0.2)]
    expected: dict[float, list[float]] = {0.1: [-30], 0.2: [-20], 0.4: []}
    for lr, points in expected.items():
        found = shared.noise([entry("ours", 0, 0.5, 0.5, lr=lr)], shared.References.of(rates))
        assert [total for total, *_ in found] == pytest.approx(points)
    (only,) = shared.noise([entry("ours", 0, 0.5, 0.5, lr=0.4)], shared.References.of(rates[:1]))
    assert only[0] == pytest.approx(-30)
    assert shared.noise([entry("ours", 1, 0.5, 0.5)], shared.References.of(rates)) == []


def test_a_recording_becomes_the_mean_of_its_spikes() -> None:
    stored = torch.zeros(2, 4, 1, 1, 2, dtype=torch.uint8)
    stored[0, :, 0, 0, 0] = torch.tensor([3, 0, 0, 1])  # events of one pixel in each of two pairs of frames
    stored[1, :, 0, 0, 1] = torch.tensor([0, 9, 0, 0])  # and in the first pair alone
    split = Split(stored, torch.arange(2), RECORDINGS)
    data = Dataset("recordings", ("a", "b"), split, split, split)
    assert shared.averaged(data, None) is data
    still = shared.averaged(data, 2)
    assert still.kind is FLOAT_IMAGES
    for name in ("train", "validation", "test"):
        found = getattr(still, name)
        assert found.samples.flatten(1).tolist() == [[1.0, 0.0], [0.0, 0.5]]
        assert found.labels.tolist() == [0, 1]


def test_the_learning_rate_is_the_best_of_the_validation_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = (0.4, 0, 0.7), (0.4, 1, 0.9), (0.2, 0, 0.79)
    tried = [entry(f"ours, lr {lr:g}", seed, value, 0.0, lr) for lr, seed, value in runs]
    monkeypatch.setattr(script, "read_lines", lambda path: [*tried, entry("clipped network", 0, 0.99, 0.99, 1.6)])
    assert script.best_rate("a table", "ours") == 0.4
    assert script.best_rate("a table", "clipped network") == 1.6
    with pytest.raises(AssertionError, match="--tune"):
        script.best_rate("another table", "ours")


def test_chosen_rates_lie_inside_their_grids() -> None:
    found = {(e["table"], e["row"].partition(", lr ")[0]) for e in read_lines(script.TUNING) if ", lr " in e["row"]}
    for table, name in sorted(found):
        rates = {e["record"]["settings"]["lr"] for e in read_lines(script.TUNING) if e["table"] == table}
        if name.startswith("clipped network") or table != "validation":
            assert min(rates) < script.best_rate(table, name) < max(rates), (table, name)


def test_the_page_begins_with_what_was_found_and_names_the_number_of_runs() -> None:
    found = script.tables()["ssnn_found"].splitlines()
    first = PAGE.read_text(encoding="utf-8").splitlines()[:11]
    assert found[:3] == [line for line in first if line.startswith("- ")][:3]
    assert all("n = " in line for line in found)


def test_numbers_in_sentences_are_those_of_the_records() -> None:
    entries, page = read_lines(script.RECORDS), " ".join(PAGE.read_text(encoding="utf-8").split())

    def mean(table: str, row: str, part: int = 0) -> float:
        of_table = [each for each in entries if each["table"] == table]
        runs = [each for each in of_table if each["row"] == row]
        return statistics.mean(each[part] for each in shared.noise(runs, shared.References.of(of_table)))

    (parts,) = {each["table"] for each in entries if "one part changed" in each["table"]}
    ours = mean(parts, "ours")
    for row, said in (
        ("Bernoulli input", "random phase of the input ({} points over `poisson`)"),
        ("Bernoulli errors", "of the errors ({} over Bernoulli)"),
        ("coincidences", "counts instead of coincidences give {}"),
        ("Bernoulli activity", "random phase of the activity {}"),
        ("winner-take-all", "instead of the winner-take-all {}"),
        ("the paper's streams", "Together they give {}"),
    ):
        assert said.format(f"{ours - mean(parts, row):.2f}") in page, row
    assert f"Neurons that integrate add {mean(parts, 'potential integrated') - ours:.2f} to that" in page


def test_numbers_of_recordings_are_those_of_the_records() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    (title,) = [title for _, title, *_ in sentences.SENTENCES if "part of n-mnist" in title]
    table = sentences.Table(title, read_lines(script.RECORDS))
    integrated, ours = (table.accuracy(row).replace(" %", "%") for row in ("integrate", "ours"))
    assert f"{integrated} instead of {ours} with one hidden layer" in page
    assert f"through time, is {table.behind('real errors (bp)').partition(' ')[0]} points above the clipped" in page

    tables = records_of(recordings.RECORDS)
    runs = {title: {(one.label, one.seed): one for one, _ in some} for title, some in tables.items()}
    mean, integrating = (runs[title] for title in recordings.STOCHASTIC)

    def lost(rule: str) -> str:
        return (
            f"{statistics.mean(difference(one, integrating[key]) for key, one in mean.items() if key[0] == rule):.2f}"
        )

    loses = f"`bp` loses {lost('bp')} points to them, `ssnn_bp` {lost('ssnn-bp')} and the own-noise mirror"
    assert f"{loses} {lost('own-noise-mirror')} (" in page


def test_numbers_of_two_hidden_layers_are_those_of_the_records() -> None:
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    table = sentences.Table("784-200-100-10, all of fashion-mnist", read_lines(deep.RECORDS))

    def loss(row: str, part: int = 0) -> str:
        return table.behind(row, part).partition(" ")[0]

    def read(row: str) -> str:
        return table.read_behind(row, 128).partition(" ")[0]

    ours, mean = "integrate, gain 1.4, T = ", "gain 1.4, T = "
    trained, means = ([loss(f"{kind}{steps}") for steps in (8, 16, 32)] for kind in (ours, mean))
    assert "with a gain of 1.4 it is {} points at T = 8, {} at T = 16 and {} at T = 32".format(*trained) in page
    assert "running mean are {}, {} and {} below (n = 3)".format(*means) in page
    for part, said in ((1, "the part of training falls from {} to {}"), (2, "that of the read-out from {} to {}")):
        assert said.format(loss(f"{mean}16", part), loss(f"{ours}16", part)) in page
    assert f"({read(f'{ours}16')} below when read for 128 steps; {read(f'{mean}16')} for neurons that send" in page
    errors = "real errors (bp), T = 16"
    assert f"are at {loss(f'integrate, {errors}')} with neurons that integrate and at {loss(errors)} without" in page
    mirror = "own-noise mirror, gain 1.4, T = 16"
    assert f"is at {loss(f'integrate, {mirror}')} with neurons that integrate ({loss(mirror)} without)" in page


def test_distances_in_words() -> None:
    assert sentences.distance([-1.0, -2.0]) == "1.50 ± 0.71 below"
    assert sentences.distance([0.25]) == "0.25 above"


@pytest.mark.parametrize("path", [script.RECORDS, deep.RECORDS], ids=["one", "deep"])
def test_every_run_was_made_once_on_all_test_samples(path: Path) -> None:
    entries = read_lines(path)
    keys = [(each["table"], each["row"], each["record"]["seed"]) for each in entries]
    assert len(set(keys)) == len(keys)
    for each in entries:
        assert each["record"]["status"] == "ok"
        assert each["record"]["test_size"] == (100 if each["record"]["data"] == "n-mnist" else 10_000)
