"""The gallery: a page for each rule, made from its docstring, its description, its certificate and records."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

from certified import Certified, certificates
from flow import flow
from formulas import COUNTS, SIZES, formulas, streams
from measured import HEADER, SOURCES, measured
from onchip import nn, rules
from onchip.certificates import TRANSPORT_BOOKED, Claims
from onchip.errors import UnsupportedError
from onchip.learning.description import ErrorPath, RuleDescription
from onchip.report.markdown import markdown_table
from onchip.runs.grammar import command_name
from pages import inline
from uses import USES

LATER = re.compile(r"^(Limit|Cost|Args|Raises|Returns|Example|Reference): ?", re.MULTILINE)
SIGNS = {"holds": "yes", "no": "no", "unclaimed": "not claimed", "n/a": "-"}

CLAIMS = "<!-- generated: claims -->"
"""Where docs/rules/index.md gets the table of all rules."""


def gallery(root: Path) -> dict[str, str | bytes]:
    """The pages of the rules by their path in the site."""
    found = certificates(root)
    pages: dict[str, str | bytes] = {f"rules/{name}.md": rule_page(name, found, root) for name in rules.__all__}
    index = (root / "docs" / "rules" / "index.md").read_text(encoding="utf-8")
    pages["rules/index.md"] = index.replace(CLAIMS, overview(found, root))
    return pages


def overview(found: dict[str, list[Certified]], root: Path) -> str:
    """The table of all rules with their claims, which a script lets readers filter."""
    claims = [claim.title for claim in (*Claims.known(), TRANSPORT_BOOKED)]
    rows = []
    for name in rules.__all__:
        certificate = found[command_name(name)][0]
        description = described(name)
        path = description.synapses[0].paths[0]
        marks = [SIGNS[certificate.marks[claim]] for claim in claims]
        rows.append((f"[`{name}`]({name}.md)", path.origin, path.through, *marks))
    return (
        '<div class="filterable" markdown="1">\n\n'
        + markdown_table(("rule", "error from", "through", *claims), rows, left=3 + len(claims))
        + "\n\n</div>"
    )


def rule_page(name: str, found: dict[str, list[Certified]], root: Path) -> str:
    """The Markdown of a rule's page."""
    text = inspect.getdoc(getattr(rules, name)) or ""
    description, certified = described(name), found.get(command_name(name), [])
    needed = certified[0].needed() if certified else []
    summary = LATER.split(text)[0].strip()
    title, _, rest = summary.partition("\n\n")
    blocks = [
        f"# `{name}`",
        title,
        rest,
        f'<figure class="flow">\n{inline(flow(description, needed).svg())}\n</figure>',
    ]
    blocks += [f"**When to use it.** {USES[name]}"] if name in USES else []
    blocks += [f"**Limit.** {section(text, 'Limit')}", "## What an update reads", _parts(description)]
    if certified:
        blocks.append(_audit(certified))
    blocks += ["## Cost", section(text, "Cost"), _formulas(name), "## Measured", _measured(name, root)]
    blocks += ["## Options", f"::: onchip.rules.{name}.{name}\n    options:\n      {OPTIONS}"]
    blocks += ["## Reference", section(text, "Reference")]
    return "\n\n".join(filter(None, blocks)) + "\n"


OPTIONS = "\n      ".join(
    [
        "show_docstring_description: false",
        "show_docstring_examples: false",
        "heading_level: 3",
        "show_root_toc_entry: false",
    ]
)


def described(name: str) -> RuleDescription:
    """The description of a rule with its default options, on a chain of two hidden layers of 64 neurons."""
    for neuron, readout in ((nn.LIF, ()), (nn.Stochastic, (nn.MeanReadout(),))):
        layers = (nn.Linear(64, 64), neuron(), nn.Linear(64, 64), neuron(), nn.Linear(64, 10), *readout)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what rules say of unusual options
                rule = getattr(rules, name)(nn.Sequential(*layers))
        except UnsupportedError:
            continue
        return rule.describe()
    raise UnsupportedError(f"{name} trains neither LIF nor stochastic neurons")


def section(text: str, name: str) -> str:
    """A section of a docstring in one line; empty if there is none."""
    match = re.search(rf"^{name}: (.*(?:\n +.*)*)", text, re.MULTILINE)
    return re.sub(r"\s*\n\s*", " ", match[1]) if match else ""


def _parts(description: RuleDescription) -> str:
    hidden = description.synapses[0]
    rows = [("errors are made from", " and ".join(dict.fromkeys(path.origin for path in hidden.paths)))]
    rows += [("they pass", " and ".join(dict.fromkeys(path.through for path in hidden.paths)))]
    rows += [("feedback weights", "; ".join(filter(None, map(_feedback, hidden.paths))) or "none are stored")]
    rows += [("errors are", description.errors), ("of the past an update needs", _history(hidden.update.history))]
    rows += [("noise is added in training", "yes" if description.noise else "no")]
    rows += [("the labels are needed beside the loss", "yes" if description.needs_targets else "no")]
    return markdown_table(("part", "in hidden layers, with default options"), rows, left=2)


def _history(history: str) -> str:
    return {"none": "nothing", "traces": "traces per neuron", "state per synapse": "a state per synapse"}.get(
        history, f"the {history}" if history == "whole sequence" else history
    )


def _feedback(path: ErrorPath) -> str:
    said = ["a copy of the forward weights at first"] if path.copied else []
    if path.period is not None:
        often = "every step" if path.period == 1 else f"every {path.period:g} steps"
        said.append(f"transport of {path.scheme} {often}")
    for way in path.learning:
        over = " and ".join(word for word, on in (("the batch", way.over_batch), ("the sequence", way.over_time)) if on)
        said.append(f"learn by {way.by}" + (f", with means over {over}" if over else ""))
    return ", ".join(said) or ("fixed random numbers" if path.through == "fixed weights" else "")


def _audit(certified: list[Certified]) -> str:
    titles = list(certified[0].marks)
    rows = [(title, *(SIGNS[one.marks[title]] for one in certified)) for title in titles]
    heads = [re.sub(r"^mlp of (\w+) neurons,.*", r"\1 neurons", one.about) for one in certified]
    findings = [(subject, one) for subject, one in certified[0].findings.items()]
    return "\n\n".join(
        [
            f"Claims that [the audit](../certificates.md) tested, on a network of each kind of neurons (first: "
            f"{certified[0].about}):",
            markdown_table(("claim", *heads), rows, left=1 + len(heads)),
            '??? note "What the audit found that updates depend on"\n\n'
            + "\n".join(
                "    " + line for line in markdown_table(("updates depend on", "found"), findings, left=2).splitlines()
            ),
        ]
    )


def _formulas(name: str) -> str:
    found = formulas(name)
    rows = [(COUNTS[count], formula) for count, formula in found.items()]
    stored = "a stream (`rule.stream`)" if streams(name) else "a whole sequence"
    return (
        "Counts of the [ledger](../costs.md) per training step with default options, as formulas in n₀ inputs, hidden "
        "layers of n₁ and n₂ neurons, c classes, T time steps and B samples, without biases. Products are those of "
        f"dense signals; an event-driven chip computes a part of them. The stored activity is that of {stored}:\n\n"
        + markdown_table(("count", "formula"), rows, left=2)
        + "\n\n*The formulas are fitted to counts of the engine on "
        + f"{len(SIZES) - 1} networks, and confirmed on another one.*"
    )


def _measured(name: str, root: Path) -> str:
    runs = [one for one in measured(root) if one.label.partition(":")[0] == command_name(name)]
    if not runs:
        return "No experiment that trains all rules has a record of this one yet."
    places = {(one.experiment, one.table) for one in runs}
    base = [one for one in measured(root) if one.label == "bp" and (one.experiment, one.table) in places]
    rows = [one.cells() for one in (*(base if name != "bp" else ()), *runs)]
    pages = ", ".join(f"[{SOURCES[e]}](../{SOURCES[e]})" for e in dict.fromkeys(one.experiment for one in runs))
    return "\n\n".join(
        [
            f"Means ± standard deviations over seeds; {pages} has all rules and settings.",
            markdown_table(HEADER, rows, left=3),
        ]
    )
