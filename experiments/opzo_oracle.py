"""Which part of the gap from OPZO to spatial backpropagation is noise, which the estimate, which that M is one matrix?

    python experiments/opzo_oracle.py              trains the runs that experiments/records/opzo_oracle*.jsonl lack
    python experiments/opzo_oracle.py --nets conv-wide
    python experiments/opzo_oracle.py --table      writes the table of docs/opzo.md from the records

`opzo` differs from `ottt` in three things: noise in the forward pass, one matrix M per layer for all samples, and that
M is estimated. `noisy-bp` has the noise alone. `oracle` has the one matrix alone: M is the true mean derivative, which
backward passes through a copy of the network compute; `oracle:scale=0.2` has the noise, too, and in
`oracle:quiet_after=a third` M is constant after a third of the steps, as in `opzo` with that option. Two more oracles
have several matrices per layer, among which something chooses that a unit could know: whether it is active itself
(`own`), or the label (`label`). With a matrix of its own for each sample the oracle is `ottt`, which a test shows.

All 60,000 images of Fashion-MNIST, 4 epochs. Settings are those of opzo_length.py, whose runs without an oracle are
used; the learning rates of oracles are chosen in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from _opzo_rates import BASE, THIRD, Rates, third, with_rule
from _oracle import oracle
from _records import FOLDER, difference, given_from, train_missing
from _tables import SEEDS, parser, spread, write
from onchip.report.markdown import markdown_table
from onchip.runs.config import RunConfig
from onchip.runs.record import Record, read
from opzo_length import BP, MAIN, NETS, at, at_best_rate, chosen_nets, compared, of_rule
from opzo_length import RECORDS as LENGTH

RECORDS = FOLDER / "opzo_oracle.jsonl"

SCALE = 0.2  # of the noise of `opzo` and `noisy_bp`
NOISY, CONSTANT = f"oracle:scale={SCALE}", f"oracle:quiet_after={THIRD}"
ORACLES = {
    "oracle": partial(oracle, bfloat16=True),
    NOISY: partial(oracle, scale=SCALE, bfloat16=True),
    CONSTANT.replace(THIRD, str(third(*MAIN))): partial(oracle, until=third(*MAIN), bfloat16=True),
    # With one matrix of ten per image, ten times the images for as good a mean.
    "oracle:choice=own": partial(oracle, choice="own", bfloat16=True),
    "oracle:choice=label": partial(oracle, choice="label", images=32, momentum=0.98, bfloat16=True),
}
"""Oracles by the names that tables and records have for them."""
given = given_from(ORACLES)

CHOSEN = Rates(FOLDER / "opzo_oracle_tuning.jsonl", FOLDER / "opzo_oracle_long_tuning.jsonl", "bfloat16", given)

OWN_RATE = ("oracle", NOISY)
"""Oracles that have a learning rate of their own; the others have that of the first."""
QUIET = f"opzo:quiet_after={THIRD}"
ROWS = (BP, "noisy-bp", "oracle", NOISY, CONSTANT, QUIET, "opzo", "oracle:choice=own", "oracle:choice=label")
PARTS = {
    "`opzo`, the whole gap": ("opzo", BP),
    "the noise alone": ("noisy-bp", BP),
    "one matrix for all samples alone": ("oracle", BP),
    "both": (NOISY, BP),
    "that the matrix is estimated": ("opzo", NOISY),
    f"`{QUIET.replace(THIRD, 'a third')}`, the whole gap": (QUIET, BP),
    "one matrix that is constant after a third": (CONSTANT, BP),
    "of the gap, what that does not explain": (QUIET, CONSTANT),
}
"""Differences of two rows."""


def learning_rate(net: str, rule: str) -> float:
    """The best rate of an oracle."""
    return CHOSEN.best(net, rule if rule in OWN_RATE else "oracle")


def runs(net: str, rules: Iterable[str], seed: int) -> Iterator[RunConfig]:
    """The runs of one seed."""
    for rule in rules:
        lr = learning_rate(net, rule)
        yield with_rule(replace(BASE, net=net, train_size=MAIN[0], epochs=MAIN[1], seed=seed, lr=lr, rule=rule), rule)


def found() -> dict[str, list[Record]]:
    """The records of all rows by network, those without an oracle from the other experiment."""
    others = [each for each in read(LENGTH) if each.settings["precision"] == BASE.precision and at_best_rate(each)]
    own = [each for each in read(RECORDS) if each.settings["lr"] == learning_rate(each.settings["net"], each.label)]
    records = [record for record in (*own, *others) if record.data == BASE.data]
    return {net: at(records, net, *MAIN) for net in NETS}


def tables() -> dict[str, str]:
    """The differences of rows into which the gap divides, and the rows."""
    records = found()
    rows = [(name, *(part(*of, those) for those in records.values())) for name, of in PARTS.items()]
    return {"opzo_oracle": f"{markdown_table(('points', *records), rows)}\n\n{compared(ROWS, records)}"}


def part(rule: str, reference: str, records: list[Record]) -> str:
    """How many points a row is above another one, per seed, with the number of seeds in brackets."""
    seeds = {record.seed: record for record in of_rule(reference, records)}
    gaps = [difference(record, seeds[record.seed]) for record in of_rule(rule, records) if record.seed in seeds]
    return f"{spread(gaps, '+')} ({len(gaps)})" if gaps else "-"


def main() -> None:
    arguments = parser(__doc__, "opzo.md")
    arguments.add_argument("--nets", default=",".join(NETS), help="networks, separated by commas")
    options = arguments.parse_args()
    if options.table:
        write("opzo.md", tables())
        return
    nets = chosen_nets(arguments, options.nets)
    for net in nets:
        CHOSEN.train(net, OWN_RATE, compare=OWN_RATE)
    for rules in ((*OWN_RATE, CONSTANT), tuple(ORACLES)):
        for seed in SEEDS:
            for net in nets:
                train_missing(RECORDS, runs(net, rules, seed), given=given)


if __name__ == "__main__":
    main()
