"""Real speech by a recurrent network: what does each part of temporal credit buy, and what does each rule cost?

    python experiments/time_japanese_vowels.py            trains the runs that the records lack
    python experiments/time_japanese_vowels.py --tune     makes the runs on validation utterances that chose settings
    python experiments/time_japanese_vowels.py --table    writes the tables in docs/time.md from the records

Run it from the root of the repository, to which the path of the network is relative. A network 12-128-9 with one
recurrent layer of LIF neurons learns to tell nine speakers apart. All rules share the settings with the best mean
accuracy of `bp` on 81 validation utterances (30% of the 270 to train on), over three seeds of their own; the test
utterances are evaluated once per run, after its last step.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from statistics import mean

import torch

from _records import FOLDER
from _tables import command, spread
from _time import RULES, Row, bill_table, percents, records_of, run_rows, unchanged
from onchip.data import Dataset, Split
from onchip.data.split import NO_TARGET
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data

RECORDS = FOLDER / "time_japanese_vowels.jsonl"
TUNING = FOLDER / "time_japanese_vowels_tuning.jsonl"
SEEDS = (0, 1, 2, 3, 4)
TUNING_SEEDS = (1000, 1001, 1002)

LEAKY, PLAIN = "experiments/leaky.py:r128", "R128"
END, EACH = "target at the last step", "target at every step"
BASE = RunConfig(data="japanese-vowels", validation=0.0, epochs=30, batch_size=16, threads=1)
CHOSEN = replace(BASE, net=LEAKY, neuron="lif:decay=0.9", lr=1e-2)
EASY = replace(CHOSEN, net=PLAIN, lr=3e-3)
FEW = RULES[:7]


def at_the_end(data: Dataset) -> Dataset:
    """The same utterances, each with a target at its last time step alone."""
    train, validation, test = map(_at_the_end, (data.train, data.validation, data.test))
    return replace(data, train=train, validation=validation, test=test)


def _at_the_end(split: Split) -> Split:
    if not len(split):  # no validation utterances
        return split
    assert split.lengths is not None
    last = torch.arange(split.stored.shape[1]) == split.lengths[:, None] - 1  # (N, T)
    return replace(split, labels=torch.where(last, split.labels[:, None], NO_TARGET))


def on_validation(data: Dataset) -> Dataset:
    """The data set with its validation utterances in the place of the test utterances."""
    return replace(data, test=data.validation)


def rows() -> Iterator[Row]:
    for rule in RULES:
        yield Row(END, replace(CHOSEN, rule=rule), at_the_end)
    for rule in FEW:
        yield Row(EACH, replace(EASY, rule=rule))


def tried() -> Iterator[Row]:
    """The settings that were compared, all with `bp`: first without, then with other learning rates."""
    same = replace(BASE, validation=0.3, lr=3e-3)
    for decay, title, net in itertools.product((0.9, 0.95), (END, EACH), (LEAKY, PLAIN)):
        change = at_the_end if title == END else unchanged
        yield Row(title, replace(same, net=net, neuron=f"lif:decay={decay}"), change)
    for decay, lr in itertools.product((0.9, 0.95), (1e-3, 1e-2)):
        yield Row(END, replace(same, net=LEAKY, neuron=f"lif:decay={decay}", lr=lr), at_the_end)


def run() -> None:
    run_rows(rows(), RECORDS, SEEDS, load_data)


def tune() -> None:
    run_rows(tried(), TUNING, TUNING_SEEDS, lambda config: on_validation(load_data(config)))


def tables() -> dict[str, str]:
    parts = []
    for title, runs in records_of(RECORDS).items():
        first = runs[0][0]
        parts += [
            f"**{title.capitalize()}**, {'a leaky' if first.settings['net'] == LEAKY else 'a plain'} read-out; "
            f"{first.train_size} training and {first.test_size} test utterances, `{first.neuron}`, {first.epochs} "
            f"epochs, batch {first.settings['batch_size']}, Adam from {first.settings['lr']:g} by cosine to 0:",
            bill_table(runs),
        ]
    return {RECORDS.stem: "\n\n".join(parts), TUNING.stem: tuning_table()}


def tuning_table() -> str:
    """Mean validation accuracy of `bp` for each of the settings, the best first."""
    found: dict[tuple[str, str, str, str], list[float]] = {}
    for title, runs in records_of(TUNING).items():
        for record, _ in runs:
            readout = "leaky" if record.settings["net"] == LEAKY else "plain"
            key = (title, readout, f"`{record.neuron}`", f"{record.settings['lr']:g}")
            found.setdefault(key, []).extend(percents([record]))
    best = sorted(found.items(), key=lambda item: -mean(item[1]))
    cells = [(*key, str(len(values)), spread(values)) for key, values in best]
    return markdown_table(("target", "read-out", "neuron", "learning rate", "seeds", "validation %"), cells)


if __name__ == "__main__":
    command(__doc__, "time.md", tables, run, tune)
