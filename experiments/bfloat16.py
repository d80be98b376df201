"""Products in bfloat16: is a network as accurate as with products in float32?

    python experiments/bfloat16.py            trains what experiments/records/bfloat16.jsonl does not hold yet
    python experiments/bfloat16.py --table    writes the table in docs/gpu.md from the records

Every row is a run of `onchip.training` on the embedded digits with the usual network; only the precision of products in
training differs. Networks are tested in float32, once a run, after the last step. One seed gives both precisions the
same first weights and the same order of images, so differences are taken seed by seed.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from pathlib import Path

import torch

from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "bfloat16.jsonl"
PAGE = HERE.parent / "docs" / "gpu.md"
BEGIN, END = "<!-- table: bfloat16 -->\n", "<!-- end of table -->"
SEEDS = (0, 1, 2)
RULES = ("bp", "ottt", "dfa", "opzo")
BASE = RunConfig(data="digits", net="conv-small", epochs=10)


def run(path: Path) -> None:
    """Trains what the file does not hold yet."""
    torch.set_num_threads(1)
    data = load_data(BASE)
    done = {(record.rule, record.seed, record.settings["precision"]) for record in read(path)}
    for seed in SEEDS:
        for rule in RULES:
            for precision in ("float32", "bfloat16"):
                if (rule, seed, precision) not in done:
                    spec = dataclasses.replace(BASE, rule=rule, seed=seed, precision=precision)
                    append(path, train(spec, data))


def accuracies(records: list[Record], rule: str, precision: str) -> list[float]:
    """Test accuracy in points, seed by seed."""
    found = {r.seed: r.test_accuracy for r in records if r.rule == rule and r.settings["precision"] == precision}
    return [100 * (found[seed] or 0.0) for seed in SEEDS]


def table(records: list[Record]) -> str:
    """The table of the page, from the records."""

    def shown(values: list[float], sign: str = "") -> str:
        return f"{statistics.mean(values):{sign}.2f} ± {statistics.stdev(values):.2f}"

    lines = ["| rule | float32, % | bfloat16, % | difference |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        exact, rounded = (accuracies(records, rule, precision) for precision in ("float32", "bfloat16"))
        apart = [one - other for one, other in zip(rounded, exact, strict=True)]
        lines.append(f"| `{rule}` | {shown(exact)} | {shown(rounded)} | {shown(apart, '+')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true")
    if not parser.parse_args().table:
        run(RECORDS)
        return
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(before + BEGIN + table(read(RECORDS)) + END + after, encoding="utf-8")


if __name__ == "__main__":
    main()
