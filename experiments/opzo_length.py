"""How far are direct rules from spatial backpropagation when training is long and the data set is whole?

    python experiments/opzo_length.py              trains the runs that experiments/records/opzo_length*.jsonl lack
    python experiments/opzo_length.py --nets conv-wide
    python experiments/opzo_length.py --table      writes the tables of docs/opzo.md from the records

Fashion-MNIST, of which 4,000, 15,000 or all 60,000 training images are used, for 1 to 16 epochs; and MNIST. The whole
test split is evaluated once per run, after its last step. How learning rates are chosen is in _opzo_rates.py. Products
are computed in bfloat16, except in the short runs that chose learning rates and in the rows that compare it with
float32. Runs come in the order of their importance.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), table 1.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from _candidates import quiet_last
from _opzo_rates import BASE, FLOAT32, THIRD, Rates, third, with_rule
from _records import FOLDER, accuracy, difference, given_from, train_missing
from _tables import SEEDS, parser, spread, write
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read

RECORDS = FOLDER / "opzo_length.jsonl"

NETS = ("conv-wide", "conv-deep")
BP = "ottt"  # spatial backpropagation with the traces that all other rows use too
READOUTS = f"quiet_after={THIRD};local=true;readout_grid=3"
"""Local read-outs that see 3 x 3 numbers of each map."""
LAST = ("opzo:quiet_last=true", f"opzo:quiet_after={THIRD};quiet_last=true")
"""No noise in the last hidden layer, whose feedback is learned; a rule that the package does not have."""
COARSE = f"anchored-dkp:{READOUTS}"
"""Our best direct rule on validation images."""

RULES = (
    *(BP, "opzo", f"opzo:quiet_after={THIRD}", "dkp", f"anchored-dkp:quiet_after={THIRD}", "dfa", "noisy-bp"),
    *("local-learning", "opzo:local=true", "opzo:grid=7", "dkp:local=true", "dkp:local=true;readout_grid=7"),
    *(f"anchored-dkp:quiet_after={THIRD};local=true", f"opzo:{READOUTS}", COARSE, *LAST),
)
CORE = (
    *(BP, f"opzo:quiet_after={THIRD}", f"anchored-dkp:quiet_after={THIRD}", "dkp", "opzo"),
    *(*LAST, COARSE, f"opzo:{READOUTS}", "noisy-bp"),
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

QUIET = [third(*run) for run in (MAIN, (51_000, 2), (4_000, 4))]
OWN = {LAST[1].replace(THIRD, str(steps)): partial(quiet_last, quiet_after=steps) for steps in QUIET}
given = given_from({LAST[0]: quiet_last, **OWN})

CHOSEN = Rates(FOLDER / "opzo_length_tuning.jsonl", FOLDER / "opzo_length_long_tuning.jsonl", given=given)


def runs(
    net: str, rules: tuple[str, ...], size: int, epochs: int, seed: int = 0, data: str = BASE.data
) -> Iterator[RunConfig]:
    """One run per rule."""
    for rule in rules:
        lr = CHOSEN.best(net, rule)
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
    return float(record.settings["lr"]) == CHOSEN.best(record.settings["net"], rule)


def rates_compared() -> list[str]:
    """The rates that the longer runs chose among, as a text and its table."""
    rows = [
        (f"`{net}`", f"`{shown(rule)}`", *row) for net in NETS for rule in CORE for row in CHOSEN.compared(net, rule)
    ]
    if not rows:
        return []
    header = ("network", "rule", "lr", "4,000 images, 4 epochs", "51,000 images, 2 epochs", "second seed", "")
    return ["Learning rates that longer runs compared, validation %:", markdown_table(header, rows, left=2)]


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
    by_name = {shown(rule): rule for rule in RULES}
    names = list(by_name) if options.rules is None else options.rules.split(",")
    if not set(names) <= set(by_name):
        arguments.error(f"got --rules {options.rules}; expected names out of {', '.join(by_name)}")
    chosen = tuple(by_name[name] for name in names)
    for net in nets:
        CHOSEN.train(net, chosen, tuple(rule for rule in CORE if rule in chosen))
        for seed in SEEDS if options.rules else ():
            train_missing(RECORDS, runs(net, chosen, *MAIN, seed=seed), given=given)
        if options.rules is None:
            train_missing(RECORDS, in_order(net), given=given)


if __name__ == "__main__":
    main()
