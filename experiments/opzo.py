"""Direct rules on images: which comes nearest to backpropagation without a spatial backward pass?

    python experiments/opzo.py                    trains what experiments/records/opzo*.jsonl do not hold yet
    python experiments/opzo.py --nets "mlp-wide; conv-wide" --seeds 0
    python experiments/opzo.py --table            writes the tables and the picture of docs/opzo.md from the records

Training images are drawn class by class; the whole test split, 10,000 images, is looked at once a run, after its last
step. Where `rates` says so, 3,000 other training images chose the learning rate of each rule, with one seed of its own
and half of the epochs; strengths of the noise and sides of grids were compared so as well, at one rate. One seed gives
every row the same first weights and the same order of images, so differences are taken seed by seed; seeds come one
after the other, the rows that matter most first, so that a table cut short is balanced. CIFAR-10 is read from
pictures, in a folder `cifar10-jpeg` where the script is run.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1 and section 5.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from onchip.report.curves import learning
from onchip.report.drawing import content
from onchip.report.summary import summarize
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, append, read
from onchip.training.builder import load_data
from onchip.training.loop import train

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "opzo.jsonl"
TUNING = HERE / "records" / "opzo_tuning.jsonl"
PAGE = HERE.parent / "docs" / "opzo.md"
CURVES = HERE.parent / "docs" / "opzo-curves.svg"
END = "<!-- end of table -->"

SEEDS = (0, 1, 2)
TUNING_SEED = 1000
BP = "ottt"  # spatial backpropagation under the traces that all other rows use too
TUNED = (BP, "opzo", "anchored-dkp", "dkp", "dfa")
VARIANTS = ("opzo:scale=0.1", "opzo:scale=0.05", "opzo:grid=7", "opzo:grid=4", "anchored-dkp:scale=0.1")


@dataclass(frozen=True)
class Bench:
    """A network on a data set, and the rules that train it.

    Args:
        spec: what all its runs share.
        rules: in order of importance; HALF stands for the training step in the middle.
        rates: learning rates that each rule chose from; none where all take the one of `spec`.
    """

    spec: RunConfig
    rules: tuple[str, ...]
    rates: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The network, its data where that is not Fashion-MNIST, and an optimizer that is not its first."""
        data = "" if self.spec.data == FASHION.data else f"{self.spec.data}, "
        return f"{data}{self.spec.net}" + (", adam" if self is ADAM else "")

    def runs(self, seed: int) -> Iterator[RunConfig]:
        half = -(-(self.spec.train_size or 0) // self.spec.batch_size) * self.spec.epochs // 2
        for rule in self.rules:
            yield replace(self.spec, rule=rule.replace("HALF", str(half)), lr=self.rate(rule), seed=seed)

    def tuning(self) -> Iterator[RunConfig]:
        half = replace(self.spec, validation=0.05, seed=TUNING_SEED, epochs=self.spec.epochs // 2)
        for rule in TUNED if self.rates else ():
            for lr in self.rates:
                yield replace(half, rule=rule, lr=lr)
        for rule in VARIANTS if self.rates and self.spec.optimizer == "sgd" else ():
            yield replace(half, rule=rule)

    def rate(self, rule: str) -> float:
        """The learning rate with the best validation accuracy for the rule's next of kin, where rates were compared."""
        if not self.rates:
            return self.spec.lr
        name = rule.partition(":")[0]
        kin = {"noisy-bp": BP, "zeroth-order": "opzo", "local-learning": "opzo"}.get(name, name)
        tried = [record for record in read(TUNING) if record.label == kin and self.holds(record)]
        best = max(tried, key=lambda record: record.validation_accuracy or 0.0)
        return float(best.settings["lr"])

    def holds(self, record: Record) -> bool:
        """Whether a record is of this network, data and optimizer."""
        own = self.spec.net, self.spec.data, self.spec.optimizer
        return own == tuple(record.settings[name] for name in ("net", "data", "optimizer"))


FASHION = RunConfig(data="fashion-mnist", validation=0.0, schedule="cosine", train_size=4_000, steps=4, batch_size=32)
SGD = replace(FASHION, optimizer="sgd", momentum=0.9, lr=0.05)
FLAT = replace(FASHION, net="mlp-wide", train_size=10_000, steps=6, epochs=6, batch_size=128)

BEST = "anchored-dkp:quiet_after=HALF"
PAPER = (BP, "opzo", "dkp", BEST, "dfa")
OTHERS = ("opzo:quiet_after=HALF", "noisy-bp", "opzo:local=true", "local-learning", "anchored-dkp")
WEAK = ("opzo:scale=0.1", "opzo:scale=0.1;quiet_after=HALF", "anchored-dkp:scale=0.1;quiet_after=HALF")
GRIDS = ("opzo:grid=7", "dkp:grid=7", "anchored-dkp:grid=7;quiet_after=HALF")

MLP = Bench(FLAT, (*PAPER, *OTHERS, "zeroth-order"), (1e-3, 2e-3, 4e-3, 8e-3))
WIDE = Bench(replace(SGD, net="conv-wide", epochs=4), (*PAPER, *WEAK, *GRIDS, *OTHERS), (0.025, 0.05, 0.1))
DEEP = Bench(replace(SGD, net="conv-deep", epochs=3), (*PAPER, *WEAK, *GRIDS, *OTHERS), (0.025, 0.05, 0.1))
RESIDUAL = Bench(replace(SGD, net="resnet8", epochs=3), PAPER)
NINE = Bench(replace(SGD, net="conv9-narrow", epochs=3), PAPER)
DIGITS = Bench(replace(FLAT, data="mnist", epochs=3, lr=2e-3), PAPER)
COLOUR = Bench(replace(SGD, data="folder:cifar10-jpeg", net="conv-wide", epochs=4), (*PAPER, *WEAK))
ADAM = Bench(replace(WIDE.spec, optimizer="adam"), PAPER, (1e-3, 2e-3, 4e-3))
"""Adam's step does not depend on a gradient's size, so that no rule gains by larger ones."""
BENCHES = (MLP, WIDE, DEEP, RESIDUAL, NINE, DIGITS, COLOUR, ADAM)


def run(specs: Iterable[RunConfig], path: Path) -> None:
    """Trains what the file does not hold yet."""
    done = [record.settings for record in read(path)]
    for spec in specs:
        if any(same(spec, settings) for settings in done):
            continue
        record = train(spec, load_data(spec))
        append(path, record)
        accuracy = record.test_accuracy if path == RECORDS else record.validation_accuracy
        print(f"{spec.data}, {spec.net}, {spec.rule}, {spec.lr:g}, seed {spec.seed}: {accuracy:.4f}", flush=True)


def same(spec: RunConfig, settings: dict[str, object]) -> bool:
    """Whether kept settings are these; those that did not exist yet had their default."""
    defaults = {field.name: field.default for field in fields(RunConfig)}
    return {**defaults, **settings} == asdict(spec)


def tables() -> str:
    """A table for each network, from the records alone."""
    found = read(RECORDS)
    parts = []
    for bench in BENCHES:
        records = [record for record in found if bench.holds(record)]
        if not records:
            continue
        first, spec = records[0], bench.spec
        rates = "each rule at its best rate" if bench.rates else "one rate for all"
        parts.append(
            f"`{bench.name}`, {first.train_size:,} images, T = {spec.steps}, {spec.epochs} epochs, batch "
            f"{spec.batch_size}, {spec.optimizer}, cosine to 0, {rates}:\n"
        )
        parts.append("| rule | rate | seeds | test % | against ottt | feedback memory | error products / sample |")
        parts.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        order = {run.rule: place for place, run in enumerate(bench.runs(0))}
        records.sort(key=lambda record: order.get(record.settings["rule"], len(order)))
        parts += [line(label, records) for label in dict.fromkeys(record.label for record in records)]
        parts.append("")
    return "\n".join(parts)


def curves() -> bytes:
    """The training loss of the paper's rules after each epoch on the first network (the paper's figure 3)."""
    wanted = {BP, "opzo", "dkp", "dfa", "local-learning"}  # zeroth-order stays above 2
    records = [record for record in read(RECORDS) if MLP.holds(record) and record.label in wanted]
    drawn = learning(summarize(records), lambda epoch: epoch.train_loss, "training loss")
    assert drawn is not None, "every run has several epochs"
    return content(drawn, "svg")


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
        "" if label == BP or not apart else spread(apart, "{:+.2f}"),
        f"{runs[0].ledger['feedback_memory']:,.0f}",
        f"{runs[0].ledger['products_error'] / seen:,.0f}",
    )
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the tables and the picture of docs/opzo.md")
    parser.add_argument("--nets", help="the networks to train, separated by semicolons, as the tables name them")
    parser.add_argument("--seeds", help="separated by commas; by default all")
    options = parser.parse_args()
    if options.table:
        begin = "<!-- table: opzo -->\n"
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        PAGE.write_text(before + begin + "\n" + tables() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
        CURVES.write_bytes(curves())
        return
    chosen = [name.strip() for name in options.nets.split(";")] if options.nets else [bench.name for bench in BENCHES]
    benches = [bench for bench in BENCHES if bench.name in chosen]
    if len(benches) < len(chosen):
        parser.error(f"got --nets {options.nets}; there are {'; '.join(bench.name for bench in BENCHES)}")
    RECORDS.parent.mkdir(exist_ok=True)
    for bench in benches:
        run(bench.tuning(), TUNING)
    for seed in map(int, options.seeds.split(",")) if options.seeds else SEEDS:
        for bench in benches:
            run(bench.runs(seed), RECORDS)


if __name__ == "__main__":
    main()
