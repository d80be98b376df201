"""The comparison of all rules: none is missing, rates were chosen elsewhere, and the page says what the records say."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

import pytest

import _all_rules_figure as figure
import all_rules as experiment
from _all_rules_rows import bill
from _tables import DOCS
from onchip import rules
from onchip.report.drawing import content
from onchip.runs.record import Record, append, read

T_95 = {2: 4.303, 3: 3.182, 4: 2.776}  # Student's t by degrees of freedom, two-sided, 5%, as in tables
PAGE = (DOCS / "all-rules.md").read_text(encoding="utf-8")


def lif_runs() -> dict[str, dict[int, Record]]:
    """Runs with LIF neurons, by rule and seed."""
    found: dict[str, dict[int, Record]] = {}
    for record in read(experiment.RECORDS):
        if record.settings["neuron"] == "lif" and record.status == "ok":
            found.setdefault(record.label, {})[record.seed] = record
    return found


def gaps(runs: dict[str, dict[int, Record]], label: str) -> list[float]:
    """Points above backpropagation per seed."""
    pairs = [(run, runs["bp"][seed]) for seed, run in runs[label].items() if seed in runs["bp"]]
    return [100 * ((run.test_accuracy or 0) - (bp.test_accuracy or 0)) for run, bp in pairs]


def finding(begin: str) -> dict[str, float]:
    """Rules and points of the finding that begins like this."""
    line = next(line for line in PAGE.splitlines() if line.startswith(f"- {begin}"))
    return {name: float(points) for name, points in re.findall(r"`([\w-]+)` \(([+-][\d.]+)\)", line)}


def test_no_rule_is_dropped() -> None:
    trained = {record.settings["rule"] for record in read(experiment.RECORDS)}
    without = next((line for line in PAGE.splitlines() if line.startswith("Rules without a run: ")), "")
    named = set(re.findall(r"`([\w-]+)", without))
    assert {name.replace("_", "-") for name in rules.__all__} == {name.replace("_", "-") for name in trained} | named
    for record in read(experiment.RECORDS):
        assert record.status == "ok" or str(record.error) in PAGE


@pytest.mark.parametrize("path", [experiment.RECORDS, experiment.TUNING], ids=["runs", "tuning"])
def test_every_run_was_made_once_from_a_commit(path: Path) -> None:
    records = read(path)
    settings = [json.dumps(record.settings, sort_keys=True) for record in records]
    assert len(set(settings)) == len(settings) > 0
    for record in records:
        assert record.threads == 1
        assert all(stretch.commit and stretch.clean for stretch in record.provenance)
        assert bool(record.provenance) == (record.status == "ok")


def test_runs_differ_in_rule_neuron_rate_and_seed_alone_and_see_all_images() -> None:
    records = read(experiment.RECORDS)
    free = ("rule", "neuron", "lr", "seed")
    shared = {json.dumps({k: v for k, v in record.settings.items() if k not in free}) for record in records}
    assert len(shared) == 1
    assert {(r.train_size, r.validation_size, r.test_size) for r in records} == {(60_000, 0, 10_000)}
    assert {record.seed for record in records} <= set(experiment.SEEDS)


def test_rates_were_chosen_on_validation_images_inside_their_grid() -> None:
    chosen = {(r.settings["rule"], r.settings["neuron"]): r.settings["lr"] for r in read(experiment.RECORDS)}
    per_rule = {(r.settings["rule"], r.settings["neuron"], r.settings["lr"]) for r in read(experiment.RECORDS)}
    assert len(per_rule) == len(chosen)
    for (rule, neuron), lr in chosen.items():
        tried = [r for r in read(experiment.TUNING) if (r.settings["rule"], r.settings["neuron"]) == (rule, neuron)]
        assert {r.seed for r in tried} == {experiment.TUNING_SEED}
        reached = {r.settings["lr"]: r.validation_accuracy or 0.0 for r in tried}
        assert reached[lr] == max(reached.values())
        assert min(reached) < lr < max(reached) or len(reached) == experiment.LONGEST


def test_a_grid_grows_until_its_best_rate_is_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tuning.jsonl"
    monkeypatch.setattr(experiment, "TUNING", path)
    row, some = experiment.ROWS[0], read(experiment.RECORDS)[0]

    def measure(peak: float) -> list[float]:
        path.unlink(missing_ok=True)
        while missing := [lr for lr in experiment.grid(row) if lr not in {r.settings["lr"] for r in read(path)}]:
            for lr in missing:
                settings = {**some.settings, "rule": row.rule, "neuron": row.neuron, "lr": lr}
                append(path, replace(some, settings=settings, validation_accuracy=min(lr, peak) / max(lr, peak)))
        return experiment.grid(row)

    assert measure(0.002) == [0.001, 0.002, 0.004, 0.008]
    assert measure(0.0005) == [0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008]
    assert measure(0.016) == [0.001, 0.002, 0.004, 0.008, 0.016, 0.032]
    assert len(measure(1e6)) == experiment.LONGEST


def test_the_rules_that_are_called_close_are_those_that_are() -> None:
    runs = lif_runs()
    close = {label: mean(gaps(runs, label)) for label in runs if label != "bp" and mean(gaps(runs, label)) > -1}
    assert finding("Better than `bp`") == pytest.approx(close, abs=0.0051)


def test_the_rules_that_are_not_told_apart_are_those_within_the_spread_of_their_differences() -> None:
    runs = lif_runs()
    n = {label: len(gaps(runs, label)) for label in runs}
    same = {
        label
        for label in runs
        if label != "bp"
        and n[label] > 2
        and abs(mean(gaps(runs, label))) <= T_95[n[label] - 1] * stdev(gaps(runs, label)) / n[label] ** 0.5
    }
    if max(n.values()) > 2:
        assert set(finding("Not told apart")) == same


def test_the_best_rule_without_transport_has_booked_none_and_no_such_rule_is_better() -> None:
    runs = lif_runs()
    free = [label for label in runs if all(run.ledger["weights_transported"] == 0 for run in runs[label].values())]
    best = max(free, key=lambda label: mean(run.test_accuracy or 0 for run in runs[label].values()))
    line = next(line for line in PAGE.splitlines() if line.startswith("- Most accurate without weight transport: "))
    assert line.startswith(f"- Most accurate without weight transport: `{best}` (")


def test_n_is_in_the_first_ten_lines() -> None:
    counts = Counter(record.label + record.neuron for record in read(experiment.RECORDS) if record.status == "ok")
    least, most = min(counts.values()), max(counts.values())
    n = str(most) if least == most else f"{least} to {most}"
    assert f"n = {n} seed" in "\n".join(PAGE.splitlines()[:10])


def test_the_figure_is_drawn_from_the_records_and_its_names_do_not_overlap() -> None:
    costs = bill([record for record in read(experiment.RECORDS) if record.status == "ok"])
    results = [result for result in experiment.found() if result.runs]
    drawing, panels = figure.pareto(results, [costs["bits"], costs["energy"]])
    for names in panels:
        boxes = [name.get_window_extent() for name in names]
        assert len(boxes) == len(results)
        assert not [pair for pair in combinations(boxes, 2) if pair[0].padded(-1).overlaps(pair[1].padded(-1))]
    drawn, committed = content(drawing, "svg").decode(), experiment.FIGURE.read_text(encoding="utf-8")
    texts = [re.findall(r">([^<>]+)</text>", text) for text in (drawn, committed)]
    assert texts[0] == texts[1], "run `python experiments/all_rules.py --table`"
    assert drawn.count("<path") == committed.count("<path") > len(results)
