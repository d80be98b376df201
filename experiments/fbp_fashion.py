"""Frozen backpropagation on all of Fashion-MNIST: how little weight transport is enough?

Differences in points from BP, which reaches 86.42 % after two epochs, as mean ± standard deviation of n = 3 seeds:
fBP's default, at 1,000 times fewer bits, -0.48 ± 0.19; a budget of 10,000 times fewer bits, -0.68 ± 0.21; full
transport every 100 steps, -0.54 ± 0.37; 1,000 times fewer scalars (top 10%), -0.60 ± 0.61; 10,000 times fewer scalars
(top 1%), -0.99 ± 0.29; no transport, -3.44 ± 0.81; feedback alignment, -3.78 ± 0.87. BP with the samples of each batch
in reverse order is at -0.19 ± 0.11. After four epochs (BP: 87.68) the two budgets are at -0.20 ± 0.34 and
-0.09 ± 0.22, top 10% at -0.33 ± 0.18 and top 1% at -0.66 ± 0.16. So all schemes are far better than no transport, and
the default is close to BP; three seeds do not show more.

    python experiments/fbp_fashion.py            trains the runs that experiments/records/fbp_fashion.jsonl lacks
    python experiments/fbp_fashion.py --tune     makes the runs on validation images that chose the learning rate
    python experiments/fbp_fashion.py --table    writes the tables in docs/fbp.md and docs/fbp-schemes.md

Network 16C3-P2-32C3-P2-F128-10 of time-to-first-spike neurons, without biases; all 60,000 training images are used;
the 10,000 test images are evaluated once per run, after its last step. One seed gives every row the same first weights
and the same order of images, so differences are taken per seed.

Reference: Goupy et al. 2025 (arXiv 2505.13741) for fBP and its partial transports.
"""

from __future__ import annotations

import json
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

import onchip
from _paired import Paired, describe_pooled, pooled
from _records import FOLDER, append_lines, read_lines
from _tables import SEEDS, parser, spread, write
from onchip import models, rules
from onchip.cost.ledger import Ledger
from onchip.data import Dataset, Split, batches, load
from onchip.diagnostics import activity, alignment
from onchip.encoding import Latency
from onchip.learning.lr_scaling import LRScaling, groups
from onchip.learning.rule import Rule
from onchip.losses import StepLoss, predict
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons import TTFS
from onchip.nn.signals import Signal
from onchip.report.markdown import markdown_table
from onchip.runs.provenance import code
from onchip.surrogate import Triangle
from onchip.transport import Cyclic, Full, LowRank, Random, Sign, Top, Transport
from onchip.transport.schedule import Balanced, Doubling

RECORDS = FOLDER / "fbp_fashion.jsonl"
TUNING = FOLDER / "fbp_fashion_tuning.jsonl"

DATA = "fashion-mnist"
PROBES = (0.1, 0.5, 0.9)  # shares of the training after which gradients are compared with BP's
WEIGHT_BITS = 32
FULL = Full()


@dataclass(frozen=True)
class Setting:
    """What all rows of one network share; Adam with a cosine schedule to 0."""

    net: str = "conv_dense"
    epochs: int = 2
    train_size: int | None = None  # None: all images that are not validation images
    validation: float = 0.0
    batch: int = 32
    lr: float = 1e-3
    lr_scaling: LRScaling = "fan"
    surrogate: float = 0.0  # width of the triangle that is the derivative of firing; 0: none, as in the paper


CONV = Setting()
LONG = Setting(epochs=4)
SURROGATE = replace(LONG, surrogate=2.0, lr=4e-3)
MLP = Setting(net="mlp", epochs=5, train_size=10_000, batch=25, lr=5e-4, lr_scaling="equal")


@dataclass(frozen=True)
class Row:
    """One row of the table: a rule with its options, trained under a setting."""

    name: str
    make: Callable[[nn.Module], Rule]
    period: int = 100  # steps between probes and, for fBP, between transports
    setting: Setting = CONV
    reverse: bool = False  # reverses the samples of each batch, which changes only how sums are rounded


def fbp(name: str, period: int, transport: Transport = FULL, *, dense: bool = False) -> Row:
    """A row of fBP; `dense`: its first intervals are 1, 2, 4, ... steps, up to the period."""
    every = Doubling(longest=period) if dense else period
    text = f"Φ={period}, dense at first" if dense else f"Φ={period}"
    return Row(f"fbp, {name}, {text}", lambda model: rules.fbp(model, period=every, transport=transport), period)


def balanced(name: str, transport: Transport, mean: int, common: int) -> Row:
    """A row of fBP with a period for each layer, whose mean is `mean`; all layers coincide every `common` steps."""
    every = Balanced(mean)
    return Row(f"fbp, {name}, balanced Φ={mean}", lambda m: rules.fbp(m, period=every, transport=transport), common)


def saving(times: int, common: int) -> Row:
    """A row of fBP whose budget is `times` times fewer bits than BP moves."""

    def make(model: nn.Module) -> Rule:
        return rules.fbp(model, budget=WEIGHT_BITS * feedback_weights(model) / times)

    return Row(f"fbp, budget of BP's bits / {times:,}", make, common)


ROWS = (
    Row("bp", rules.bp),
    fbp("full", 100),
    fbp("top 10%", 100, Top(0.1)),
    fbp("sign", 32, Sign()),
    fbp("rank 1 in 4 bits", 13, LowRank(rank=1, bits=4)),
    fbp("top 1%", 100, Top(0.01)),
    Row("never", rules.never),
    Row("fa", rules.fa),
    fbp("cyclic 10%", 100, Cyclic(0.1)),
    Row("bp, 784-256-256-10, 10,000 images", rules.bp, setting=MLP),
)
AGAIN = (  # shows how far two runs of one rule differ
    Row("bp, batches in reverse", rules.bp, reverse=True),
    Row("bp, batches in reverse", rules.bp, setting=MLP, reverse=True),
)
BALANCED = (
    saving(1_000, common=14),
    saving(10_000, common=90),
    balanced("top 3%", Top(0.03), 30, common=180),
    balanced("top 0.3%", Top(0.003), 30, common=180),
)
BP = (ROWS[0].name, ROWS[-1].name)
POOLED = ("bp", "fbp")
LONGER = tuple(replace(row, setting=LONG) for row in (ROWS[0], *BALANCED[:2], ROWS[2], *ROWS[5:8]))
OTHERS = (
    Row("never", rules.never),
    Row("fa", rules.fa),
    Row("usf", rules.usf),
    Row("frsf", rules.frsf),
    Row("brsf", rules.brsf),
    Row("kolen-pollack", rules.kolen_pollack),
    Row("weight-mirror", rules.weight_mirror),
)
SHALLOW = tuple(replace(row, setting=MLP) for row in (saving(1_000, common=35), saving(10_000, common=204), *OTHERS))
LONGER_OTHERS = tuple(replace(row, setting=LONG) for row in (*OTHERS[2:], AGAIN[0], ROWS[3]))
WITH_SURROGATE = tuple(replace(row, setting=SURROGATE) for row in LONGER)
WITHOUT = (replace(ROWS[0], setting=replace(SURROGATE, surrogate=0.0)),)  # at the same learning rate
FIRING = tuple(  # on validation images, too
    replace(ROWS[0], setting=replace(CONV, validation=0.1, epochs=1, lr=lr, surrogate=width))
    for lr, widths in (
        *((5e-4, (0.0, 2.0)), (1e-3, (0.0, 1.0, 2.0, 4.0)), (2e-3, (0.0, 1.0, 2.0, 4.0))),
        *((4e-3, (0.0, 2.0, 4.0)), (8e-3, (2.0,))),
    )
    for width in widths
)
LATER = (fbp("random 10%", 100, Random(0.1)),)  # run after all seeds of the others

TRIED = (  # on validation images
    ROWS[0],
    fbp("sign", 32, Sign()),
    fbp("sign", 32, Sign(), dense=True),
    fbp("rank 1 in 4 bits", 13, LowRank(rank=1, bits=4)),
    fbp("rank 1 in 4 bits", 13, LowRank(rank=1, bits=4), dense=True),
    fbp("rank 1 in 8 bits", 26, LowRank(rank=1, bits=8), dense=True),
)


def train(row: Row, seed: int) -> dict[str, Any]:
    """Trains one network and returns its record, which includes the settings."""
    setting, begin = row.setting, time.perf_counter()
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    data = load(DATA, train_size=setting.train_size, validation=setting.validation)
    torch.manual_seed(seed)
    neuron = partial(TTFS, surrogate=Triangle(setting.surrogate)) if setting.surrogate else TTFS
    model = getattr(models, setting.net)(data.shape, data.n_classes, neuron=neuron)
    rule, ledger, loss_of = row.make(model), Ledger(), StepLoss()
    rule.observe(ledger)
    optimizer = torch.optim.Adam(groups(rule.parameters(), setting.lr_scaling), lr=setting.lr)
    order = torch.Generator().manual_seed(seed)

    steps = math.ceil(len(data.train) / setting.batch) * setting.epochs
    # A transport follows step n if Φ divides n (unless dense at first), so these gradients are from just before it.
    probes = [max(1, round(share * steps / row.period)) * row.period for share in PROBES]
    step, losses, aligned = 0, [], {}
    for _ in range(setting.epochs):
        total = 0.0
        for images, labels in batches(data.train, setting.batch, generator=order):
            for group in optimizer.param_groups:
                group["lr"] = group["scale"] * setting.lr * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            step += 1
            if row.reverse:
                images, labels = images.flip(0), labels.flip(0)
            signal = Latency()(images)
            loss = loss_of(rule.forward(signal), labels)
            total += loss.item() * len(labels)
            rule.backward(loss)
            if step in probes:
                near = alignment(model, signal, partial(loss_of, labels=labels))
                aligned[step] = {name: asdict(layer) for name, layer in near.items()}
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
        losses.append(total / len(data.train))
    trained = time.perf_counter() - begin
    split = "validation" if setting.validation else "test"
    return {
        "row": row.name,
        "rule": rule.name,
        "seed": seed,
        "data": DATA,
        "train": len(data.train),
        "measured_on": split,
        "samples": len(getattr(data, split)),
        "accuracy": accuracy(model, getattr(data, split)),
        "settings": settings_of(row),
        "steps": steps,
        "losses": losses,
        "alignment": aligned,
        "units": {name: asdict(layer) for name, layer in activity(model, sample(data)).items()},
        "ledger": ledger.summary(),
        "feedback_weights": feedback_weights(model),
        "seconds": trained,
        "threads": torch.get_num_threads(),
        "versions": {"onchip": onchip.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "code": asdict(code()),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "started": started,
    }


def feedback_weights(model: nn.Module) -> int:
    """The number of weights through which errors pass: those of all layers but the first."""
    return sum(layer.weight.numel() for layer in build_graph(model).layers[1:])


def sample(data: Dataset) -> Iterator[Signal]:
    """Signals of 2,000 training images, enough to tell which units pass no error for any image."""
    for images, _ in batches(data.train.take(torch.arange(min(2000, len(data.train)))), 250, shuffle=False):
        yield Latency()(images)


def accuracy(model: nn.Module, split: Split) -> float:
    """Share of samples in [0, 1] that the model classifies correctly."""
    with torch.no_grad():
        correct = [
            int((predict(model(Latency()(images))) == labels).sum())
            for images, labels in batches(split, 250, shuffle=False)
        ]
    return sum(correct) / len(split)


def settings_of(row: Row) -> dict[str, Any]:
    return asdict(row.setting) | {"period": row.period, "optimizer": "adam", "schedule": "cosine"}


def run_rows(rows: tuple[Row, ...], path: Path, seeds: tuple[int, ...]) -> None:
    """Trains the runs that the file lacks, seed by seed, so that an interrupted table is balanced."""
    done = [(record["row"], record["seed"], record["settings"]) for record in read(path)]
    for seed in seeds:
        for row in rows:
            if (row.name, seed, settings_of(row)) not in done:
                record = train(row, seed)
                append_lines(path, [record])
                print(f"{row.name}, seed {seed}: {record['accuracy']:.4f} in {record['seconds']:.0f} s", flush=True)


def run() -> None:
    for rows in (ROWS, AGAIN, LONGER, LONGER_OTHERS, SHALLOW, BALANCED, WITH_SURROGATE, WITHOUT, LATER):
        run_rows(rows, RECORDS, SEEDS)


def tune() -> None:
    tried: list[tuple[float, LRScaling]] = [(3e-4, "equal"), (1e-3, "equal"), (1e-3, "fan")]
    for lr, lr_scaling in tried:
        setting = replace(CONV, validation=0.1, epochs=1, lr=lr, lr_scaling=lr_scaling)
        run_rows(tuple(replace(row, setting=setting) for row in ROWS[:2]), TUNING, (1000,))
    run_rows(tuple(replace(row, setting=setting) for row in TRIED), TUNING, (1000,))
    setting = replace(setting, lr=5e-4)
    run_rows(tuple(replace(row, setting=setting) for row in (ROWS[0], ROWS[3], ROWS[4])), TUNING, (1000,))
    run_rows(FIRING, TUNING, (1000,))


def read(path: Path) -> list[dict[str, Any]]:
    """The records, with the settings under the names that they have today, and those that are younger than they are."""
    records = read_lines(path)
    for record in records:
        settings = record["settings"]
        named = {"lr_scaling" if name == "rates" else name: value for name, value in settings.items()}
        record["settings"] = asdict(Setting()) | named
    return records


def tables() -> dict[str, str]:
    """The tables of docs/fbp.md, and then that of docs/fbp-schemes.md."""
    tuning = read(TUNING)
    of_firing = [(row.name, settings_of(row)) for row in FIRING]
    firing = [each for each in tuning if each["seed"] == 1000 and (each["row"], each["settings"]) in of_firing]
    # The rest, and the runs without a surrogate with which other rows are compared.
    others = {shared(each) for each in tuning if each not in firing}
    schemes = [each for each in tuning if shared(each) in others]
    return {
        "fbp_fashion_found": found(read(RECORDS)),
        RECORDS.stem: tables_of(read(RECORDS)),
        "fbp_fashion_firing": firing_table(firing),
        TUNING.stem: tables_of(schemes),
    }


def shared(record: dict[str, Any]) -> str:
    """The settings that all rows of a table have in common, as text."""
    return json.dumps({key: value for key, value in record["settings"].items() if key != "period"})


def found(records: list[dict[str, Any]]) -> str:
    """What rows with a derivative of firing say: BP against BP without it, and other rows against BP, in points."""

    def of(row: Row) -> dict[int, float]:
        """Accuracy by seed."""
        those = [each for each in records if (each["row"], each["settings"]) == (row.name, settings_of(row))]
        return {each["seed"]: each["accuracy"] for each in those}

    def points(row: Row, reference: Row) -> str:
        runs, others = of(row), of(reference)
        gaps = [100 * (runs[seed] - others[seed]) for seed in runs if seed in others]
        return f"{spread(gaps, '+')} (n = {len(gaps)})" if gaps else ""

    bp, *others = WITH_SURROGATE
    without = {f"{row.setting.lr:g}": points(bp, row) for row in (LONGER[0], *WITHOUT)}
    against = " and ".join(f"{gap} at a learning rate of {lr}" for lr, gap in without.items() if gap)
    gaps = "; ".join(f"{row.name}: {gap}" for row in others if (gap := points(row, bp)))
    reached = [100 * accuracy for accuracy in of(bp).values()]
    return (
        f"- With [a derivative of firing](#a-derivative-of-firing), which is ours, BP is at "
        f"{spread(reached)}% (n = {len(reached)}) with a learning rate of {bp.setting.lr:g}; in points "
        f"against BP without it {against}.\n- In points against BP with it {gaps}."
    )


def firing_table(records: list[dict[str, Any]]) -> str:
    """Validation accuracy and dead units by learning rate and width of the surrogate."""
    found = {(record["settings"]["lr"], record["settings"]["surrogate"]): record for record in records}
    widths = sorted({width for _, width in found})
    header = ("lr", *(f"`surrogate=triangle:{width:g}`" if width else "without" for width in widths))
    rows = []
    for lr in sorted({lr for lr, _ in found}):
        cells = [validated(found[lr, width]) if (lr, width) in found else "" for width in widths]
        rows.append((f"{lr:g}", *cells))
    return markdown_table(header, rows)


def validated(record: dict[str, Any]) -> str:
    last = max(record["units"], key=int)
    return f"{100 * record['accuracy']:.2f}, {record['units'][last]['dead']} dead"


def tables_of(every: list[dict[str, Any]]) -> str:
    """A table for each setting of the records."""
    names = list(
        dict.fromkeys(row.name for row in (ROWS[0], ROWS[-1], *AGAIN, *BALANCED, *ROWS, *LATER, *OTHERS, *TRIED))
    )
    settings: dict[str, list[dict[str, Any]]] = {}
    for record in every:
        settings.setdefault(shared(record), []).append(record)
    compared = ("against bp", "95% interval", "80% power from", "loss")
    header = ("row", "seeds", "accuracy %", *compared, "scalars", "bits", "bits, with first copy", "dead")
    parts = []
    for text, records in settings.items():
        s, first = json.loads(text), records[0]
        parts.append(
            f"`{s['net']}`, {first['train']:,} training and {first['samples']:,} {first['measured_on']} images, "
            f"{s['epochs']} x {first['steps'] // s['epochs']:,} steps, batch {s['batch']}, Adam {s['lr']:g} "
            f"with `--lr-scaling {s['lr_scaling']}`, cosine to 0"
            + (f", `--neuron ttfs:surrogate=triangle:{s['surrogate']:g}`:" if s["surrogate"] else ":")
        )
        present = {record["row"] for record in records}
        parts.append(markdown_table(header, [cells(name, records) for name in names if name in present]))
        parts += [text for text in [pooled_text(records)] if text]
    return "\n\n".join(parts)


def cells(name: str, records: list[dict[str, Any]]) -> tuple[str, ...]:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [record for record in records if record["row"] == name]
    bp = {record["seed"]: record for record in records if record["row"] in BP}
    pairs = [(record, bp[record["seed"]]) for record in runs if record["seed"] in bp]
    differences = [100 * (record["accuracy"] - other["accuracy"]) for record, other in pairs]
    losses = [record["losses"][-1] - other["losses"][-1] for record, other in pairs]
    paired = Paired(tuple(differences))
    ledger = runs[0]["ledger"]
    scalars_of_bp = runs[0]["feedback_weights"] * runs[0]["steps"]  # BP moves every weight at every step
    bits = ledger["transport_value_bits"] + ledger["transport_index_bits"]
    first_copy = WEIGHT_BITS * ledger["weights_transported_initial"]
    last = max(runs[0]["units"], key=int)  # hidden layers are named by their index in the network
    dead = statistics.mean(record["units"][last]["dead"] for record in runs)
    return (
        name,
        str(len(runs)),
        spread([100 * record["accuracy"] for record in runs]),
        *([""] * 4 if name in BP else [spread(differences, "+"), *paired.cells(), f"{statistics.mean(losses):+.4f}"]),
        saved(scalars_of_bp, ledger["weights_transported"]),
        saved(WEIGHT_BITS * scalars_of_bp, bits),
        saved(WEIGHT_BITS * scalars_of_bp, bits + first_copy),
        f"{dead:.0f} of {runs[0]['units'][last]['units']}",
    )


def pooled_text(records: list[dict[str, Any]]) -> str:
    """What the rows of one kind together say of the differences; those without transport vary more."""
    rows: dict[str, dict[int, float]] = {}
    for record in records:
        if record["rule"] in POOLED:
            rows.setdefault(record["row"], {})[record["seed"]] = 100 * record["accuracy"]
    seeds = sorted({seed for row in rows.values() for seed in row})
    whole = {name: [row[seed] for seed in seeds] for name, row in rows.items() if len(row) == len(seeds)}
    return describe_pooled(pooled(whole), " of BP and fBP")


def saved(bp: int, moved: int) -> str:
    """How many times fewer scalars or bits are moved than under BP."""
    return f"{bp / moved:,.0f}x" if moved else "all"


def main() -> None:
    arguments = parser(__doc__, "fbp.md")
    arguments.add_argument("--tune", action="store_true", help="compare settings on validation images")
    options = arguments.parse_args()
    if options.table:
        *results, schemes = tables().items()
        write("fbp.md", dict(results))
        write("fbp-schemes.md", dict([schemes]))
    elif options.tune:
        tune()
    else:
        run()


if __name__ == "__main__":
    main()
