"""Direct rules on Fashion-MNIST: which comes nearest to backpropagation without a spatial backward pass?

    python experiments/opzo_fashion.py            trains what experiments/records/opzo_fashion*.jsonl do not hold yet
    python experiments/opzo_fashion.py --table    writes the tables in docs/opzo.md from the records

10,000 or 4,000 training images, drawn class by class. On `mlp-wide` 3,000 other ones chose the learning rate of each
rule, or of its next of kin, with one seed of its own and half of the epochs; the convolutional networks take one
rate for all, that of the paper's recipe in short runs. The 10,000 test images are looked at once a run, after its
last step. One seed gives every row the same first weights and the same order of images, so differences are taken
seed by seed; seeds come one after the other, the rows that matter most first, so that a table cut short is balanced.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1 and section 5.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from onchip.records import Record, append, read
from onchip.run import load_data
from onchip.settings import RunSpec
from onchip.train import train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "opzo_fashion.jsonl"
TUNING = HERE / "records" / "opzo_fashion_tuning.jsonl"
PAGE = HERE.parent / "docs" / "opzo.md"
END = "<!-- end of table -->"

SEEDS = (0, 1, 2)
TUNING_SEED = 1000
BP = "ottt"  # spatial backpropagation under the traces that all other rows use too

FASHION = RunSpec(data="fashion-mnist", validation=0.0, schedule="cosine")
MLP = replace(FASHION, net="mlp-wide", train_size=10_000, steps=6, epochs=6, batch_size=128, optimizer="adam")
CONV = replace(FASHION, train_size=4_000, steps=4, batch_size=32, optimizer="sgd", momentum=0.9, lr=0.05)
NETS = (MLP, replace(CONV, net="conv-deep", epochs=3), replace(CONV, net="conv-wide", epochs=4))
RATES = (1e-3, 2e-3, 4e-3)  # to choose from on MLP
TUNED = ("ottt", "dfa", "dkp", "opzo", "anchored-dkp")
SHARES = {"noisy-bp": BP, "zeroth-order": "opzo", "local-learning": "opzo"}  # whose rates these take


def half(net: RunSpec) -> int:
    """Training steps in half of the training."""
    return -(-(net.train_size or 0) // net.batch_size) * net.epochs // 2


def rows(net: RunSpec) -> tuple[str, ...]:
    """The rules to train first: the paper's, and on the deepest network the two best direct ones too."""
    best = ("dkp", f"anchored-dkp:quiet_after={half(net)}")
    return (BP, "opzo", *best) if net.net == "conv-deep" else (BP, "opzo")


def more(net: RunSpec) -> tuple[str, ...]:
    """The rules to train when those are done: other rivals, controls and combinations."""
    best = () if net.net == "conv-deep" else ("dkp", f"anchored-dkp:quiet_after={half(net)}")
    others = ("dfa", "zeroth-order", "opzo:local=true", "local-learning", "noisy-bp", "anchored-dkp")
    return (*best, *others, f"opzo:quiet_after={half(net)}")


def rate(net: RunSpec, rule: str) -> float:
    """The learning rate with the best validation accuracy, where rates were compared."""
    if net is not MLP:
        return net.lr
    name = rule.partition(":")[0]
    tried = [record for record in read(TUNING) if record.label == SHARES.get(name, name)]
    best = max(tried, key=lambda record: record.validation_accuracy or 0.0)
    return float(best.settings["lr"])


def run(specs: Iterable[RunSpec], path: Path) -> None:
    """Trains what the file does not hold yet."""
    done = [record.settings for record in read(path)]
    for spec in specs:
        if asdict(spec) in done:
            continue
        record = train(spec, load_data(spec))
        append(path, record)
        print(f"{spec.net}, {spec.rule}, {spec.lr:g}, seed {spec.seed}: {record.test_accuracy:.4f}", flush=True)


def tables() -> str:
    """A table for each network, from the records alone."""
    found = read(RECORDS)
    parts = []
    for net in NETS:
        records = [record for record in found if record.network == net.net]
        if not records:
            continue
        first = records[0]
        parts.append(
            f"`{net.net}`, {first.train_size:,} images, T = {net.steps}, {net.epochs} epochs, batch {net.batch_size}, "
            f"{net.optimizer}, cosine to 0:\n"
        )
        parts.append("| rule | rate | seeds | test % | against ottt | error products / sample |")
        parts.append("| --- | ---: | ---: | ---: | ---: | ---: |")
        labels = dict.fromkeys(record.label for record in records)
        parts += [line(label, records) for label in labels]
        parts.append("")
    return "\n".join(parts)


def line(label: str, records: list[Record]) -> str:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [record for record in records if record.label == label]
    bp = {record.seed: record.test_accuracy or 0.0 for record in records if record.label == BP}
    tests = [100 * (record.test_accuracy or 0.0) for record in runs]
    apart = [100 * ((record.test_accuracy or 0.0) - bp[record.seed]) for record in runs if record.seed in bp]
    seen = runs[0].train_size * runs[0].epochs
    cells = (
        f"`{label}`",
        f"{runs[0].settings['lr']:g}",
        str(len(runs)),
        spread(tests, "{:.2f}"),
        "" if label == BP else spread(apart, "{:+.2f}"),
        f"{runs[0].ledger['products_error'] / seen:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the tables in docs/opzo.md from the records")
    options = parser.parse_args()
    if options.table:
        begin = "<!-- table: opzo_fashion -->\n"
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        PAGE.write_text(before + begin + "\n" + tables() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
        return
    RECORDS.parent.mkdir(exist_ok=True)
    tuning = replace(MLP, validation=0.05, seed=TUNING_SEED, epochs=MLP.epochs // 2)
    run([replace(tuning, rule=rule, lr=lr) for rule in TUNED for lr in RATES], TUNING)
    for wanted in (rows, more):
        for seed in SEEDS:
            for net in NETS:
                run([replace(net, rule=rule, lr=rate(net, rule), seed=seed) for rule in wanted(net)], RECORDS)


if __name__ == "__main__":
    main()
