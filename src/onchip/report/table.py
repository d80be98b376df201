"""The table of a comparison: one row per rule, every number from the records."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from onchip._text import inert, one_line
from onchip.report import on_chip
from onchip.report.costs import traffic
from onchip.report.energy import costs, unpriced
from onchip.report.groups import Group
from onchip.report.markdown import markdown_table
from onchip.report.summary import Spread, count, on_front, summarize, title
from onchip.runs.record import Record

_TRANSPORTED = (
    "Transported: copied from forward to feedback weights during training, without the initial copy; bits include the "
    "indices of the weights."
)
_PRODUCTS = (
    "Forward, error, update: scalar products per training sample, of weights and activity, of feedback weights and "
    "errors, of errors and activity."
)
MEANINGS = {
    "test": "Accuracies: mean ± standard deviation over the seeds that succeeded.",
    "pareto": "Pareto: on the Pareto front, where no other rule is as accurate, on average, with as few transported "
    "bits (or weights, if a record has no bits).",
    "weights": _TRANSPORTED,
    "bits": _TRANSPORTED,
    "forward": _PRODUCTS,
    "error": _PRODUCTS,
    "update": _PRODUCTS,
    "operations": "Operations: scalar products per training sample in which a spike, or an error that is not 0, "
    "reaches a synapse.",
    "memory": "Memory: numbers stored as feedback weights, and by a batch until its update.",
}
"""What columns mean, by their short names."""

COLUMNS = (
    *("test", "chip", "cost", "bits", "operations", "energy", "memory", "weights", "seeds", "validation", "pareto"),
    *("forward", "error", "update", "speed"),
)
"""Names of all columns but the first, the most important first."""

FEW = ("test", "seeds", "chip", "cost", "bits", "operations", "memory", "energy")
"""The columns that a comparison prints if none are chosen."""


def note(names: Sequence[str]) -> str:
    """What the columns of these names mean."""
    said = dict.fromkeys(meaning for name, meaning in MEANINGS.items() if name in names)
    return " ".join([*said, "k, M, G: 10^3, 10^6, 10^9."])


NOTE = note(COLUMNS)
"""What all columns mean."""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Args:
        text: what a reader sees.
        spread: the numbers behind it; None if there are none.
    """

    text: str
    spread: Spread | None = None


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        header: heads of the columns.
        rows: as many cells each.
        names: short names of the columns, as in `COLUMNS`.
        unpriced: what each energy leaves out, under which rules.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    names: tuple[str, ...]
    unpriced: tuple[str, ...] = ()

    def texts(self) -> list[tuple[str, ...]]:
        """The rows as a reader sees them."""
        return [tuple(cell.text for cell in row) for row in self.rows]

    def _repr_markdown_(self) -> str:
        """What a notebook shows."""
        return markdown_table(self.header, self.texts())


def table(records: Sequence[Record], chosen: Sequence[str] | None = None, *, hardware: Sequence[str] = ()) -> Table:
    """One row per rule. Columns without a number in any record are left out.

    Args:
        records: The runs; at least one.
        chosen: Names of columns, in the order in which they follow the first; None for all.
        hardware: Energy tables, each a column; if empty, the first that the records name.

    Raises:
        RequestError: There is no such energy table.
    """
    summaries = summarize(records)
    good = [record for summary in summaries for record in summary.good]
    kinds = [cost for cost in costs(good, hardware) if cost.column]
    best = {summary.label for summary in on_front(summaries, traffic(good))}
    columns: list[tuple[str, str, list[Cell]]] = [
        ("rule", "rule", [Cell(summary.label) for summary in summaries]),
        ("test", "test %", [_percent(summary.test) for summary in summaries]),
        ("chip", on_chip.head(records), [Cell(on_chip.verdict(summary)) for summary in summaries]),
        ("cost", "against full precision", [_difference(on_chip.difference(s, summaries)) for s in summaries]),
        (
            "validation",
            "validation %",
            [_percent(s.spread(lambda r: r.validation_accuracy)) for s in summaries],
        ),
        ("seeds", "seeds", [Cell(summary.seeds) for summary in summaries]),
        ("pareto", "Pareto", [Cell("yes" if summary.label in best else "") for summary in summaries]),
        *(
            (cost.name.partition("-")[0], cost.column or "", [_count(summary.spread(cost.of)) for summary in summaries])
            for cost in kinds
        ),
        ("speed", "samples/s", [_count(summary.spread(lambda r: r.samples_per_second)) for summary in summaries]),
    ]
    used = [column for column in columns if column[0] == "test" or any(c.text not in ("-", "") for c in column[2])]
    if chosen is not None:
        used = [used[0], *(column for name in chosen for column in used if column[0] == name)]
    names, header, cells = zip(*used, strict=True)
    left_out = unpriced(summaries, [cost for cost in kinds if cost.column in header])
    return Table(header, tuple(zip(*cells, strict=True)), names, tuple(left_out))


def failures(records: Sequence[Record]) -> list[str]:
    """One line for each run that failed: which, and why."""
    return [f"{r.title}, seed {r.seed}: {r.error}" for r in records if r.status == "failed"]


def as_markdown(
    records: Sequence[Record],
    heading: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    hardware: Sequence[str] = (),
) -> str:
    """The table as Markdown with its columns aligned, and below it what failed and what no energy contains.

    Needs a record at least.
    """
    result = table(records, columns, hardware=hardware)
    failed = [f"- failed: {one_line(line)}" for line in failures(records)]
    left_out = [f"- {one_line(line)}" for line in result.unpriced]
    heading = one_line(heading or title(records))
    drawn = markdown_table(result.header, result.texts(), padded=True)
    blocks = [[heading], [drawn], failed, left_out, [NOTE]]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def as_csv(groups: Sequence[Group], *, hardware: Sequence[str] = ()) -> str:
    """All groups in one table of full precision: mean and standard deviation in columns of their own.

    The last column says what the energies of the group leave out.
    No text begins as a formula does, so that a spreadsheet shows it and computes nothing.
    """
    tables = [table(group.records, hardware=hardware) for group in groups]
    heads = list(dict.fromkeys(name for each in tables for name in each.header))
    numeric = {n for each in tables for row in each.rows for n, c in zip(each.header, row, strict=True) if c.spread}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    columns = (name for head in heads for name in ((head, f"{head}, sd") if head in numeric else (head,)))
    writer.writerow(["runs", *map(inert, columns), "unpriced"])
    for group, one in zip(groups, tables, strict=True):
        for row in one.rows:
            cells = dict(zip(one.header, row, strict=True))
            line = [inert(group.title)]
            for head in heads:
                cell = cells.get(head, Cell(""))
                if head not in numeric:
                    line.append(inert(cell.text))
                elif cell.spread is None:
                    line += ["", ""]
                else:
                    deviation = cell.spread.deviation
                    line += [repr(cell.spread.mean), "" if deviation is None else repr(deviation)]
            writer.writerow([*line, inert(" ".join(one.unpriced))])
    return buffer.getvalue()


def as_latex(groups: Sequence[Group], *, hardware: Sequence[str] = ()) -> str:
    """One `table` per group, with rules of the `booktabs` package."""
    return "\n".join(_latex(group, hardware) for group in groups)


def _latex(group: Group, hardware: Sequence[str]) -> str:
    result = table(group.records, hardware=hardware)
    rows = [" & ".join(map(_escaped, row)) + r" \\" for row in (result.header, *result.texts())]
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(' '.join([f'{group.title}.', *result.unpriced, NOTE]))}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(result.header) - 1)}}}",
        r"\toprule",
        rows[0],
        r"\midrule",
        *rows[1:],
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text that LaTeX sets as it is."""
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    return re.sub(r"[\\~^±&%$#_{}]", lambda found: special.get(found[0], "\\" + found[0]), one_line(text))


def _percent(spread: Spread | None) -> Cell:
    if spread is None:
        return Cell("-")
    percent = Spread(tuple(100 * value for value in spread.values))
    return Cell(percent.text(), percent)


def _difference(spread: Spread | None) -> Cell:
    return Cell("") if spread is None else Cell(spread.text("+.2f"), spread)


def _count(spread: Spread | None) -> Cell:
    return Cell("-") if spread is None else Cell(count(spread.mean), spread)
