"""Direct rules on images: which comes nearest to backpropagation without a spatial backward pass?

    python experiments/opzo.py                    trains the runs that experiments/records/opzo*.jsonl lack
    python experiments/opzo.py --nets "mlp-wide; conv-wide" --seeds 0
    python experiments/opzo.py --table            writes the tables and the figure of docs/opzo.md from the records

Training images are drawn class by class; the whole test split, 10,000 images, is evaluated once per run, after its last
step. Where a bench lists `learning_rates`, 3,000 other training images chose among them for each rule, with a seed that
is used for nothing else and half of the epochs; strengths of the noise and sides of grids were compared in the same
way, at one learning rate. One seed gives every row the same first weights and the same order of images, so differences
are taken per seed. Seeds are run one after another, with the most important rows first, so that an interrupted table is
balanced. CIFAR-10 is read from image files in a folder `cifar10-jpeg` in the working directory.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1 and section 5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from _records import FOLDER, accuracy, difference, train_missing
from _tables import DOCS, SEEDS, parser, spread, write
from onchip.report.curves import learning
from onchip.report.drawing import content
from onchip.report.markdown import markdown_table
from onchip.report.summary import summarize
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "opzo.jsonl"
TUNING = FOLDER / "opzo_tuning.jsonl"
CURVES = DOCS / "opzo-curves.svg"

TUNING_SEED = 1000
BP = "ottt"  # spatial backpropagation with the traces that all other rows use too
TUNED = (BP, "opzo", "anchored-dkp", "dkp", "dfa")
VARIANTS = ("opzo:scale=0.1", "opzo:scale=0.05", "opzo:grid=7", "opzo:grid=4", "anchored-dkp:scale=0.1")


@dataclass(frozen=True)
class Bench:
    """A network on a data set, and the rules that train it.

    Args:
        config: The settings that all its runs share.
        rules: The rules in order of importance; HALF stands for the training step in the middle.
        learning_rates: The learning rates that were compared for each rule; empty if all rules use that of `config`.
    """

    config: RunConfig
    rules: tuple[str, ...]
    learning_rates: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """The network, its data unless that is Fashion-MNIST, and the optimizer of the bench that compares Adam."""
        data = "" if self.config.data == FASHION.data else f"{self.config.data}, "
        return f"{data}{self.config.net}" + (", adam" if self is ADAM else "")

    def runs(self, seed: int) -> Iterator[RunConfig]:
        """The runs of one seed, in order of importance."""
        half = -(-(self.config.train_size or 0) // self.config.batch_size) * self.config.epochs // 2
        for rule in self.rules:
            lr = self.learning_rate(rule)
            yield replace(self.config, rule=rule.replace("HALF", str(half)), lr=lr, seed=seed)

    def tuning(self) -> Iterator[RunConfig]:
        """The runs on validation images."""
        half = replace(self.config, validation=0.05, seed=TUNING_SEED, epochs=self.config.epochs // 2)
        for rule in TUNED if self.learning_rates else ():
            for lr in self.learning_rates:
                yield replace(half, rule=rule, lr=lr)
        for rule in VARIANTS if self.learning_rates and self.config.optimizer == "sgd" else ():
            yield replace(half, rule=rule)

    def learning_rate(self, rule: str) -> float:
        """The learning rate with the best validation accuracy of the rule, or of the tuned rule closest to it."""
        if not self.learning_rates:
            return self.config.lr
        name = rule.partition(":")[0]
        tuned = {"noisy-bp": BP, "zeroth-order": "opzo", "local-learning": "opzo"}.get(name, name)
        tried = [record for record in read(TUNING) if record.label == tuned and self.contains(record)]
        best = max(tried, key=lambda record: record.validation_accuracy or 0.0)
        return float(best.settings["lr"])

    def contains(self, record: Record) -> bool:
        """Whether a record has the bench's network, data and optimizer."""
        own = self.config.net, self.config.data, self.config.optimizer
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
ADAM = Bench(replace(WIDE.config, optimizer="adam"), PAPER, (1e-3, 2e-3, 4e-3))
"""Adam's step does not depend on the scale of a gradient, so no rule gains by larger gradients."""
BENCHES = (MLP, WIDE, DEEP, RESIDUAL, NINE, DIGITS, COLOUR, ADAM)


def tables() -> dict[str, str]:
    """A table for each network."""
    everything, parts = read(RECORDS), []
    header = ("rule", "lr", "seeds", "test %", "against ottt", "feedback memory", "error products / sample")
    for bench in BENCHES:
        records = [record for record in everything if bench.contains(record)]
        if not records:
            continue
        config = bench.config
        lr = "each rule at its best learning rate" if bench.learning_rates else "one learning rate for all"
        parts.append(
            f"`{bench.name}`, {records[0].train_size:,} images, T = {config.steps}, {config.epochs} epochs, batch "
            f"{config.batch_size}, {config.optimizer}, cosine to 0, {lr}:"
        )
        order = {run.rule: place for place, run in enumerate(bench.runs(0))}
        records.sort(key=lambda record: order.get(record.settings["rule"], len(order)))
        parts.append(markdown_table(header, [row(label, records) for label in dict.fromkeys(r.label for r in records)]))
    return {"opzo": "\n\n".join(parts)}


def row(label: str, records: list[Record]) -> tuple[str, ...]:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [record for record in records if record.label == label]
    bp = {record.seed: record for record in records if record.label == BP}
    differences = [difference(record, bp[record.seed]) for record in runs if record.seed in bp]
    samples = runs[0].train_size * runs[0].epochs
    return (
        f"`{label}`",
        f"{runs[0].settings['lr']:g}",
        str(len(runs)),
        spread([accuracy(record) for record in runs]),
        "" if label == BP or not differences else spread(differences, "+"),
        f"{runs[0].ledger['feedback_memory']:,.0f}",
        f"{runs[0].ledger['products_error'] / samples:,.0f}",
    )


def curves() -> bytes:
    """The training loss of the paper's rules after each epoch on the first network (the paper's figure 3)."""
    shown = {BP, "opzo", "dkp", "dfa", "local-learning"}  # zeroth-order stays above 2
    records = [record for record in read(RECORDS) if MLP.contains(record) and record.label in shown]
    figure = learning(summarize(records), lambda epoch: epoch.train_loss, "training loss")
    assert figure is not None, "every run has several epochs"
    return content(figure, "svg")


def main() -> None:
    arguments = parser(__doc__, "opzo.md")
    arguments.add_argument("--nets", help="the networks to train, separated by semicolons, as the tables name them")
    arguments.add_argument("--seeds", help="seeds, separated by commas; by default all")
    options = arguments.parse_args()
    if options.table:
        write("opzo.md", tables())
        CURVES.write_bytes(curves())
        return
    chosen = [name.strip() for name in options.nets.split(";")] if options.nets else [bench.name for bench in BENCHES]
    benches = [bench for bench in BENCHES if bench.name in chosen]
    if len(benches) < len(chosen):
        names = "; ".join(bench.name for bench in BENCHES)
        arguments.error(f"got --nets {options.nets}; expected names out of: {names}")
    for bench in benches:
        train_missing(TUNING, bench.tuning())
    for seed in map(int, options.seeds.split(",")) if options.seeds else SEEDS:
        for bench in benches:
            train_missing(RECORDS, bench.runs(seed))


if __name__ == "__main__":
    main()
