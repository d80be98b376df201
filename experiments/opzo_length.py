"""How far are direct rules from spatial backpropagation when training is long and the data set is whole?

    python experiments/opzo_length.py              trains the runs that experiments/records/opzo_length*.jsonl lack
    python experiments/opzo_length.py --nets conv-wide
    python experiments/opzo_length.py --table      writes the tables of docs/opzo.md from the records

Fashion-MNIST, of which 4,000, 15,000 or all 60,000 training images are used, for 1 to 16 epochs; and MNIST. The whole
test split is evaluated once per run, after its last step. Learning rates are chosen per rule and network on 3,000
validation images of Fashion-MNIST, after training on 4,000 others for 4 epochs, with a seed that is used for nothing
else. What is best in so short a run may be too high for a long one: among rates within one standard error of the best,
the main rules choose again, on 9,000 validation images after 2 epochs on the other 51,000, and with a second seed where
that leaves them within a standard error. Products are computed in bfloat16, except in the short runs that chose
learning rates and in the rows that compare it with float32. Runs come in the order of their importance.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace

from _records import FOLDER, accuracy, difference, train_missing
from _tables import SEEDS, parser, spread, write
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "opzo_length.jsonl"
TUNING = FOLDER / "opzo_length_tuning.jsonl"
LONGER = FOLDER / "opzo_length_long_tuning.jsonl"

NETS = ("conv-wide", "conv-deep")
BP = "ottt"  # spatial backpropagation with the traces that all other rows use too
THIRD = "THIRD"  # of the training steps
READOUTS = f"quiet_after={THIRD};local=true;readout_grid=3"
"""Local read-outs that see 3 x 3 numbers of each map."""
COARSE = f"anchored-dkp:{READOUTS}"
"""Our best direct rule on validation images."""

RULES = (
    *(BP, "opzo", f"opzo:quiet_after={THIRD}", "dkp", f"anchored-dkp:quiet_after={THIRD}", "dfa", "noisy-bp"),
    *("local-learning", "opzo:local=true", "opzo:grid=7", "dkp:local=true", "dkp:local=true;readout_grid=7"),
    *(f"anchored-dkp:quiet_after={THIRD};local=true", f"opzo:{READOUTS}", COARSE),
)
CORE = (
    *(BP, f"opzo:quiet_after={THIRD}", f"anchored-dkp:quiet_after={THIRD}", "dkp", "opzo"),
    *(COARSE, f"opzo:{READOUTS}"),
)
"""Rules whose main row has several seeds before any other row is trained."""

CURVE = (BP, "opzo", f"opzo:quiet_after={THIRD}", "dkp", f"anchored-dkp:quiet_after={THIRD}", "dfa", "noisy-bp")
"""Rules whose gap is followed over length and size."""

MAIN = (60_000, 4)
LENGTHS = ((4_000, 4), (4_000, 1), (4_000, 16), (15_000, 4), (60_000, 1), (4_000, 2), (4_000, 8), (15_000, 1))
"""Training images and epochs, in the order in which they are trained."""

FOUND = (
    *("opzo", f"opzo:quiet_after={THIRD}", "dkp", "dkp:local=true;readout_grid=7"),
    *(f"anchored-dkp:quiet_after={THIRD}", f"opzo:{READOUTS}", COARSE, "noisy-bp"),
)
"""Rules whose gaps the page begins with."""

TUNING_SEED, SECOND_SEED = 1000, 1001
LEARNING_RATES = (0.0125, 0.025, 0.05, 0.1, 0.2)
HIGHEST = 0.8
"""Where a grid ends that grows because its best rate is at its upper edge."""

CLOSE, STILL_CLOSE = 0.0067, 0.0033
"""The standard errors of an accuracy of 84% over 3,000 images, and of one of 89% over 9,000."""
FLOAT32 = RunConfig(
    data="fashion-mnist", validation=0.0, schedule="cosine", steps=4, batch_size=32, optimizer="sgd", momentum=0.9
)
BASE = replace(FLOAT32, precision="bfloat16")


def tuning(net: str, rules: tuple[str, ...] = RULES) -> Iterator[RunConfig]:
    """The runs that choose the learning rates."""
    for rule in rules:
        rates = list(LEARNING_RATES)
        for lr in rates:
            config = replace(FLOAT32, net=net, train_size=4_000, epochs=4, validation=0.05, seed=TUNING_SEED, lr=lr)
            yield with_rule(config, rule)
            if lr == rates[-1] < HIGHEST and best(tried(net, rule)) == lr:
                rates.append(2.0 * lr)


def tuning_again(net: str, rules: tuple[str, ...] = CORE) -> Iterator[RunConfig]:
    """The longer runs that choose among the rates that are close to the best; of those still close, with two seeds.

    Like the short ones, they go on while the best rate is at the edge of what was tried.
    """
    for rule in rules:
        rates = close(tried(net, rule), CLOSE)
        if len(rates) == 1:
            continue
        while rates:
            yield from (longer(net, rule, lr, TUNING_SEED) for lr in rates)
            found = tried_again(net, rule, TUNING_SEED)
            if len(again := close(found, STILL_CLOSE)) > 1:
                yield from (longer(net, rule, lr, SECOND_SEED) for lr in again)
            ends = {min(found): min(found) / 2.0, max(found): max(found) * 2.0}
            beside = ends.get(learning_rate(net, rule))
            rates = [beside] if beside in tried(net, rule) else []


def longer(net: str, rule: str, lr: float, seed: int) -> RunConfig:
    """A longer run that helps to choose a learning rate."""
    config = with_rule(replace(BASE, net=net, train_size=51_000, epochs=2, seed=seed, lr=lr), rule)
    return replace(config, train_size=None, validation=0.15)


def tried(net: str, rule: str) -> dict[float, float]:
    """Validation accuracy by learning rate, after the short runs."""
    config = with_rule(replace(BASE, train_size=4_000, epochs=4), rule)
    return validated(read(TUNING), net, config.rule)


def tried_again(net: str, rule: str, seed: int) -> dict[float, float]:
    """Validation accuracy by learning rate, after the longer runs."""
    config = with_rule(replace(BASE, train_size=51_000, epochs=2), rule)
    return validated([record for record in read(LONGER) if record.seed == seed], net, config.rule)


def validated(records: list[Record], net: str, rule: str) -> dict[float, float]:
    """Validation accuracy of a rule on a network by learning rate, in rising order of rates."""
    of = [record for record in records if (record.settings["net"], record.settings["rule"]) == (net, rule)]
    return dict(sorted((float(record.settings["lr"]), record.validation_accuracy or 0.0) for record in of))


def best(accuracies: dict[float, float]) -> float:
    """The learning rate with the best accuracy; of equals, the smallest."""
    return max(accuracies, key=lambda lr: (accuracies[lr], -lr))


def close(accuracies: dict[float, float], error: float) -> list[float]:
    """The learning rates whose accuracy is within one standard error of the best."""
    return [lr for lr, reached in accuracies.items() if reached >= max(accuracies.values()) - error]


def learning_rate(net: str, rule: str) -> float:
    """The best learning rate of the longer runs, where there are some, or of the short ones."""
    first, second = (tried_again(net, rule, seed) for seed in (TUNING_SEED, SECOND_SEED))
    return best({lr: first[lr] + second[lr] for lr in second} or first or tried(net, rule))


def with_rule(config: RunConfig, rule: str) -> RunConfig:
    """The run of a rule, with the training steps that its options count."""
    steps = -(-(config.train_size or 60_000) // config.batch_size) * config.epochs
    return replace(config, rule=rule.replace(THIRD, str(-(-steps // 3))))


def runs(
    net: str, rules: tuple[str, ...], size: int, epochs: int, seed: int = 0, data: str = BASE.data
) -> Iterator[RunConfig]:
    """One run per rule."""
    for rule in rules:
        lr = learning_rate(net, rule)
        yield with_rule(replace(BASE, net=net, data=data, train_size=size, epochs=epochs, seed=seed, lr=lr), rule)


def in_order(net: str) -> Iterator[RunConfig]:
    """All runs of a network but those that choose its learning rates, the most important first."""
    for seed in SEEDS:
        yield from runs(net, CORE, *MAIN, seed=seed)
    yield from runs(net, RULES, *MAIN)
    for size, epochs in LENGTHS:
        yield from runs(net, CURVE, size, epochs)
    yield from runs(net, CORE, *MAIN, data="mnist")
    for seed in SEEDS[1:]:
        yield from runs(net, RULES, *MAIN, seed=seed)


def tables() -> dict[str, str]:
    """The main row of every rule, its gap to spatial backpropagation over length and size, MNIST, and precision."""
    everything = read(RECORDS)
    all_rates = [record for record in everything if record.settings["precision"] == BASE.precision]
    records = [record for record in all_rates if at_best_rate(record)]
    fashion = [record for record in records if record.data == BASE.data]
    main = {net: at(fashion, net, *MAIN) for net in NETS}
    parts = [f"All 60,000 images, {MAIN[1]} epochs, T = {BASE.steps}, batch {BASE.batch_size}:", compared(RULES, main)]
    for net in NETS:
        lines = []
        for size, epochs in sorted({*LENGTHS, MAIN}):
            those = at(fashion, net, size, epochs)
            if bp := of_rule(BP, those):
                gaps = (gap_of(rule, those) or "-" for rule in CURVE[1:])
                lines.append((f"{size:,}", str(epochs), spread([accuracy(record) for record in bp]), *gaps))
        if len(lines) > 1:
            header = ("images", "epochs", BP, *map(shown, CURVE[1:]))
            text = (
                f"`{net}`, test % of `{BP}`, and what each rule is above it, at the learning rates of the first table:"
            )
            parts += [text, markdown_table(header, lines)]
    digits = {net: at([record for record in records if record.data == "mnist"], net, *MAIN) for net in NETS}
    if any(digits.values()):
        parts += [f"MNIST, all 60,000 images, {MAIN[1]} epochs, at those learning rates:", compared(CORE, digits)]
    parts += rates_compared()
    if superseded := [record for record in all_rates if not at_best_rate(record)]:
        header = ("network", "rule", "lr", "seeds", "test %", f"against {BP}")
        rows = [other_rate(net, rule, superseded, main[net]) for net in NETS for rule in RULES]
        parts += ["All 60,000 images, at rates that only the short runs found best:"]
        parts += [markdown_table(header, [row for row in rows if row], left=2)]
    wide = [record for record in everything if record.settings["precision"] == FLOAT32.precision]
    if wide:
        header = ("network", "rule", "float32", "bfloat16", "difference")
        rows = [precisions(record, all_rates) for record in wide]
        parts += [f"Products in float32 and in bfloat16, as in all tables above, seed {SEEDS[0]}, test %:"]
        parts += [markdown_table(header, rows, left=2)]
    return {"opzo_length": "\n\n".join(parts), "opzo_found": found(main)}


def at_best_rate(record: Record) -> bool:
    """Whether a run has the learning rate that its rule has now."""
    rule = next(rule for rule in RULES if shown(rule) == label(record))
    return float(record.settings["lr"]) == learning_rate(record.settings["net"], rule)


def rates_compared() -> list[str]:
    """The rates that the longer runs chose among, as a text and its table."""
    rows = []
    for net in NETS:
        for rule in CORE:
            runs = tried(net, rule), tried_again(net, rule, TUNING_SEED), tried_again(net, rule, SECOND_SEED)
            for lr in runs[1]:
                cells = (f"{100 * of[lr]:.2f}" if lr in of else "" for of in runs)
                kept = "chosen" if lr == learning_rate(net, rule) else ""
                rows.append((f"`{net}`", f"`{shown(rule)}`", f"{lr:g}", *cells, kept))
    if not rows:
        return []
    header = ("network", "rule", "lr", "4,000 images, 4 epochs", "51,000 images, 2 epochs", "second seed", "")
    return ["Learning rates that are close in the short runs, validation %:", markdown_table(header, rows, left=2)]


def other_rate(net: str, rule: str, records: list[Record], main: list[Record]) -> tuple[str, ...]:
    """The row of a rule at another rate than its best; empty without such runs."""
    of = [record for record in of_rule(rule, records) if record.settings["net"] == net]
    if not of:
        return ()
    gap = "" if rule == BP else gap_of(rule, [*of, *of_rule(BP, main)]) or "-"
    rate, reached = f"{of[0].settings['lr']:g}", spread([accuracy(record) for record in of])
    return f"`{net}`", f"`{shown(rule)}`", rate, str(len(of)), reached, gap


def found(main: dict[str, list[Record]]) -> str:
    """What the page begins with: the gaps of the rules that matter most, and how many seeds they are from."""
    rows = []
    for net, records in main.items():
        gaps = [gap_of(rule, records) for rule in FOUND]
        rows.append(
            (
                f"`{net}`",
                *(f"{gap} ({seeds(rule, records)})" if gap else "-" for rule, gap in zip(FOUND, gaps, strict=True)),
            )
        )
    text = (
        f"Points of test accuracy against spatial backpropagation (`{BP}`) on all 60,000 images of Fashion-MNIST, "
        f"{MAIN[1]} epochs; seeds in brackets; `noisy-bp` is spatial backpropagation under OPZO's noise:"
    )
    return f"{text}\n\n{markdown_table(('network', *(f'`{shown(rule)}`' for rule in FOUND)), rows)}"


def seeds(rule: str, records: list[Record]) -> int:
    """How many seeds the gap of a rule is from."""
    return len({each.seed for each in of_rule(rule, records)} & {each.seed for each in of_rule(BP, records)})


def at(records: list[Record], net: str, size: int, epochs: int) -> list[Record]:
    """The records of a network, of a number of images and of epochs."""
    return [each for each in records if (each.settings["net"], each.train_size, each.epochs) == (net, size, epochs)]


def of_rule(rule: str, records: list[Record]) -> list[Record]:
    """The records of a rule, whatever number a third of the steps is."""
    return [record for record in records if label(record) == shown(rule)]


def shown(rule: str) -> str:
    """A rule as tables name it."""
    return rule.replace(THIRD, "a third")


def label(record: Record) -> str:
    """The rule of a record as tables name it."""
    return re.sub(r"quiet_after=\d+", "quiet_after=a third", str(record.settings["rule"]))


def precisions(one: Record, records: list[Record]) -> tuple[str, ...]:
    """A run in float32, and the same run in bfloat16 if there is one."""
    other = next((record for record in records if same_but_precision(one, record)), None)
    narrow = ("-", "-") if other is None else (f"{accuracy(other):.2f}", f"{difference(other, one):+.2f}")
    return f"`{one.network}`", f"`{label(one)}`", f"{accuracy(one):.2f}", *narrow


def same_but_precision(one: Record, other: Record) -> bool:
    """Whether two runs differ in their precision alone, as far as both name their settings."""
    return {**other.settings, **one.settings, "precision": BASE.precision} == other.settings


def gap_of(rule: str, records: list[Record]) -> str:
    """How many points a rule is above spatial backpropagation, per seed; nothing without a pair."""
    bp = {record.seed: record for record in of_rule(BP, records)}
    gaps = [difference(record, bp[record.seed]) for record in of_rule(rule, records) if record.seed in bp]
    return spread(gaps, "+") if gaps else ""


def compared(rules: tuple[str, ...], records: dict[str, list[Record]]) -> str:
    """A table with a row for each rule that has records, and columns for each network."""
    heads = ("lr", "seeds", "test %", f"against {BP}")
    header = ["rule", *(f"{net}, {head}" for net in records for head in heads)]
    rows = []
    for rule in rules:
        cells = [f"`{shown(rule)}`"]
        for those in records.values():
            of, gap = of_rule(rule, those), "" if rule == BP else gap_of(rule, those)
            lr = f"{of[0].settings['lr']:g}" if of else ""
            cells += [lr, str(len(of)), spread([accuracy(each) for each in of]), gap] if of else [""] * len(heads)
        if any(cells[1:]):
            rows.append(cells)
    return markdown_table(header, rows)


def chosen_nets(arguments: argparse.ArgumentParser, text: str) -> list[str]:
    """The networks that --nets names; the program ends if there is no such one."""
    nets = text.split(",")
    if not set(nets) <= set(NETS):
        arguments.error(f"got --nets {text}; expected names out of {', '.join(NETS)}")
    return nets


def main() -> None:
    arguments = parser(__doc__, "opzo.md")
    arguments.add_argument("--nets", default=",".join(NETS), help="networks, separated by commas")
    arguments.add_argument(
        "--rules", help="rules whose main rows are trained, separated by commas; by default all runs"
    )
    options = arguments.parse_args()
    if options.table:
        write("opzo.md", tables())
        return
    nets = chosen_nets(arguments, options.nets)
    chosen = (
        RULES if options.rules is None else tuple(rule for rule in RULES if shown(rule) in options.rules.split(","))
    )
    for net in nets:
        train_missing(TUNING, tuning(net, chosen))
        train_missing(LONGER, tuning_again(net, tuple(rule for rule in CORE if rule in chosen)))
        for seed in SEEDS if options.rules else ():
            train_missing(RECORDS, runs(net, chosen, *MAIN, seed=seed))
        if options.rules is None:
            train_missing(RECORDS, in_order(net))


if __name__ == "__main__":
    main()
