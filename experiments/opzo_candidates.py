"""What was tried against the gap from direct rules to spatial backpropagation in a deeper network, by validation.

    python experiments/opzo_candidates.py           trains the runs that experiments/records/opzo_candidates.jsonl lacks
    python experiments/opzo_candidates.py --table   writes the table of docs/opzo.md from the records

`conv-deep` on 51,000 training images of Fashion-MNIST, 2 epochs; accuracy is that on the 9,000 other training images,
which no run sees before its end, and no rule or rate is chosen by the test split. Each rule is trained at two learning
rates, of which the better one is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from _candidates import matched_dkp, now_and_then
from _opzo_rates import BASE, THIRD, with_rule
from _oracle import oracle
from _records import FOLDER, given_from, train_missing
from _tables import SEEDS, command, spread
from onchip.data import Dataset
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read
from onchip.training.builder import load_data
from opzo_length import BP, COARSE, label, shown

RECORDS = FOLDER / "opzo_candidates.jsonl"
BENCH = replace(BASE, net="conv-deep", epochs=2, validation=0.15)
LEARNING_RATES = (0.05, 0.1)
OWN: dict[str, Callable[..., Any]] = {
    "oracle": partial(oracle, bfloat16=True),
    "matched-dkp": matched_dkp,
    "now-and-then:every=4": now_and_then,
}
"""Rules that the package does not have, by the names that records have for them."""
given = given_from(OWN)
RULES = (
    *(BP, "dkp", "dkp:local=true;readout_grid=7", "dkp:local=true", "local-learning", "local-learning:grid=7"),
    *(COARSE, f"anchored-dkp:quiet_after={THIRD}", "oracle", "dkp:local=true;readout_grid=3", "matched-dkp"),
    *("now-and-then:every=4", f"anchored-dkp:quiet_after={THIRD};local=true"),
)


def runs() -> Iterator[RunConfig]:
    """All runs, the most important first."""
    for seed in SEEDS:
        for rule in RULES:
            for lr in LEARNING_RATES:
                yield replace(with_rule(replace(BENCH, train_size=51_000), rule), train_size=None, lr=lr, seed=seed)


def data() -> Dataset:
    """The training images of Fashion-MNIST, with the validation images in place of the test split."""
    whole = load_data(BENCH)
    return replace(whole, test=whole.validation)


def tables() -> dict[str, str]:
    """One row per rule, at the better of its learning rates."""
    records = read(RECORDS)
    best = {rule: better([record for record in records if label(record) == shown(rule)]) for rule in RULES}
    bp = {record.seed: validated(record) for record in best[BP]}
    rows = []
    for rule, of in best.items():
        gaps = [validated(record) - bp[record.seed] for record in of if record.seed in bp]
        if of:
            gap = "" if rule == BP or not gaps else spread(gaps, "+")
            found = spread([validated(record) for record in of])
            rows.append((f"`{shown(rule)}`", f"{of[0].settings['lr']:g}", str(len(of)), found, gap))
    header = ("rule", "lr", "seeds", "validation %", f"against {BP}")
    text = f"`{BENCH.net}`, 51,000 training and 9,000 validation images, {BENCH.epochs} epochs:"
    return {"opzo_candidates": f"{text}\n\n{markdown_table(header, rows)}"}


def better(records: list[Record]) -> list[Record]:
    """The records of the learning rate with the best accuracy of the first seed."""
    first = [record for record in records if record.seed == SEEDS[0]]
    lr = max(first, key=validated).settings["lr"] if first else None
    return [record for record in records if record.settings["lr"] == lr]


def validated(record: Record) -> float:
    """Accuracy on the validation images in percent, after the last step."""
    assert record.test_accuracy is not None, "a run that succeeded has one"
    return 100.0 * record.test_accuracy


def run() -> None:
    train_missing(RECORDS, runs(), data(), given)


if __name__ == "__main__":
    command(__doc__, "opzo.md", tables, run)
