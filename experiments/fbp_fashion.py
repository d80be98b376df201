"""Frozen backpropagation on all of Fashion-MNIST: how little weight transport is enough?

After two epochs, n = 3 seeds, points against BP's 86.42 % as mean ± standard deviation: fBP's default, at 1,000 times
fewer bits, -0.48 ± 0.19; the same kind of budget at 10,000 times fewer -0.68 ± 0.21; full transport every 100 steps
-0.54 ± 0.37; at 1,000 times fewer scalars -0.60 ± 0.61 (top 10%) and 10,000 times fewer -0.99 ± 0.29 (top 1%); no
transport -3.44 ± 0.81; feedback alignment -3.78 ± 0.87. BP itself, with the samples of each batch in reverse order, is
at -0.19 ± 0.11. After four epochs (BP 87.68) the two budgets are at -0.20 ± 0.34 and -0.09 ± 0.22, top 10% at
-0.33 ± 0.18 and top 1% at -0.66 ± 0.16. So all schemes are far better than none, and the default is nearly BP; more
than that three seeds cannot say.

    python experiments/fbp_fashion.py            trains what experiments/records/fbp_fashion.jsonl does not hold yet
    python experiments/fbp_fashion.py --tune     the runs on validation images that chose the learning rate
    python experiments/fbp_fashion.py --table    writes the tables in docs/fbp.md from the records

Network 16C3-P2-32C3-P2-F128-10 of time-to-first-spike neurons, without biases; 60,000 training images, none set
aside; the 10,000 test images are looked at once a run, after its last step. One seed gives every row the same
first weights and the same order of images, so differences are taken seed by seed.

Reference: Goupy et al. 2025 (arXiv 2505.13741) for fBP and its partial transports.
"""

from __future__ import annotations

import argparse
import json
import math
import os
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
from onchip.transport import Cyclic, Full, LowRank, Random, Sign, Top, Transport
from onchip.transport.schedule import Balanced, Doubling

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "fbp_fashion.jsonl"
TUNING = HERE / "records" / "fbp_fashion_tuning.jsonl"
PAGE = HERE.parent / "docs" / "fbp.md"
END = "<!-- end of table -->"

DATA = "fashion-mnist"
SEEDS = (0, 1, 2)
PROBES = (0.1, 0.5, 0.9)  # shares of the training after which gradients are compared with BP's
WIDTH = 32  # bits of a weight
FULL = Full()


@dataclass(frozen=True)
class Setting:
    """What all rows of one network share; cosine schedule to 0, Adam."""

    net: str = "conv_dense"
    epochs: int = 2
    train_size: int | None = None  # all that validation leaves
    validation: float = 0.0
    batch: int = 32
    lr: float = 1e-3
    rates: LRScaling = "fan"


CONV = Setting()
LONG = Setting(epochs=4)
MLP = Setting(net="mlp", epochs=5, train_size=10_000, batch=25, lr=5e-4, rates="equal")


@dataclass(frozen=True)
class Row:
    """One line of the table: a rule with its options, trained under a setting."""

    name: str
    make: Callable[[nn.Module], Rule]
    period: int = 100  # of the probes; for fBP, of its transports too
    setting: Setting = CONV
    reverse: bool = False  # the samples within each batch: the same gradients, apart from how sums are rounded


def fbp(name: str, period: int, transport: Transport = FULL, *, dense: bool = False) -> Row:
    """A row of fBP; `dense`: its first intervals are 1, 2, 4, ... steps, up to the period."""
    every = Doubling(longest=period) if dense else period
    text = f"Φ={period}, dense at first" if dense else f"Φ={period}"
    return Row(f"fbp, {name}, {text}", lambda model: rules.fbp(model, period=every, transport=transport), period)


def balanced(name: str, transport: Transport, mean: int, meet: int) -> Row:
    """A row of fBP with a period for each layer, in the mean `mean`; all are due after every `meet` steps."""
    every = Balanced(mean)
    return Row(f"fbp, {name}, balanced Φ={mean}", lambda m: rules.fbp(m, period=every, transport=transport), meet)


def saving(times: int, meet: int) -> Row:
    """A row of fBP by a budget of so many times fewer bits than BP moves."""

    def make(model: nn.Module) -> Rule:
        return rules.fbp(model, budget=WIDTH * feedback_weights(model) / times)

    return Row(f"fbp, budget of BP's bits / {times:,}", make, meet)


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
AGAIN = (  # how far apart are two runs of one rule?
    Row("bp, batches in reverse", rules.bp, reverse=True),
    Row("bp, batches in reverse", rules.bp, setting=MLP, reverse=True),
)
BALANCED = (
    saving(1_000, meet=14),
    saving(10_000, meet=90),
    balanced("top 3%", Top(0.03), 30, meet=180),
    balanced("top 0.3%", Top(0.003), 30, meet=180),
)
BP = (ROWS[0].name, ROWS[-1].name)
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
SHALLOW = tuple(replace(row, setting=MLP) for row in (saving(1_000, meet=35), saving(10_000, meet=204), *OTHERS))
LATER = (fbp("random 10%", 100, Random(0.1)), *OTHERS[2:])  # begun when all seeds of the others are done


TRIED = (  # on validation images
    ROWS[0],
    fbp("sign", 32, Sign()),
    fbp("sign", 32, Sign(), dense=True),
    fbp("rank 1 in 4 bits", 13, LowRank(rank=1, bits=4)),
    fbp("rank 1 in 4 bits", 13, LowRank(rank=1, bits=4), dense=True),
    fbp("rank 1 in 8 bits", 26, LowRank(rank=1, bits=8), dense=True),
)


def train(row: Row, seed: int) -> dict[str, Any]:
    """One run -> its record, settings included."""
    setting, begin = row.setting, time.perf_counter()
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    data = load(DATA, train_size=setting.train_size, validation=setting.validation)
    torch.manual_seed(seed)
    model = getattr(models, setting.net)(data.shape, data.n_classes, neuron=TTFS)
    rule, ledger, loss_of = row.make(model), Ledger(), StepLoss()
    rule.observe(ledger)
    optimizer = torch.optim.Adam(groups(rule.parameters(), setting.rates), lr=setting.lr)
    order = torch.Generator().manual_seed(seed)

    a_pass = math.ceil(len(data.train) / setting.batch)
    steps = a_pass * setting.epochs
    # A transport follows step n if Φ divides n (unless dense at first), so these gradients are those just before it.
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
    held = "validation" if setting.validation else "test"
    return {
        "row": row.name,
        "rule": rule.name,
        "seed": seed,
        "data": DATA,
        "train": len(data.train),
        "measured_on": held,
        "samples": len(getattr(data, held)),
        "accuracy": accuracy(model, getattr(data, held)),
        "settings": asdict(setting) | {"period": row.period, "optimizer": "adam", "schedule": "cosine"},
        "steps": steps,
        "losses": losses,
        "alignment": aligned,
        "units": {name: asdict(layer) for name, layer in activity(model, sample(data)).items()},
        "ledger": ledger.summary(),
        "feedback_weights": feedback_weights(model),
        "seconds": trained,
        "threads": torch.get_num_threads(),
        "versions": {"onchip": onchip.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "started": started,
    }


def feedback_weights(model: nn.Module) -> int:
    """Weights that errors come down through: all but the first layer's."""
    return sum(stage.weight.numel() for stage in build_graph(model).layers[1:])


def sample(data: Dataset) -> Iterator[Signal]:
    """Signals of 2,000 training images: enough to tell which units pass no error for any image."""
    for images, _ in batches(data.train.take(torch.arange(min(2000, len(data.train)))), 250, shuffle=False):
        yield Latency()(images)


def accuracy(model: nn.Module, split: Split) -> float:
    """Share in [0, 1] that the bare model classifies rightly."""
    with torch.no_grad():
        right = [
            int((predict(model(Latency()(images))) == labels).sum())
            for images, labels in batches(split, 250, shuffle=False)
        ]
    return sum(right) / len(split)


def run(rows: tuple[Row, ...], path: Path, seeds: tuple[int, ...]) -> None:
    """Trains what the file does not hold yet, seed by seed, so that a table cut short is balanced."""
    path.parent.mkdir(exist_ok=True)
    done = {(record["row"], record["seed"], json.dumps(record["settings"])) for record in read(path)}
    for seed in seeds:
        for row in rows:
            settings = asdict(row.setting) | {"period": row.period, "optimizer": "adam", "schedule": "cosine"}
            if (row.name, seed, json.dumps(settings)) in done:
                continue
            record = train(row, seed)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            print(f"{row.name}, seed {seed}: {record['accuracy']:.4f} in {record['seconds']:.0f} s", flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def tables(path: Path) -> str:
    """A table for each setting, from the records of a file alone."""
    wanted = list(dict.fromkeys(row.name for row in (ROWS[0], ROWS[-1], *AGAIN, *BALANCED, *ROWS, *LATER, *TRIED)))
    settings: dict[str, list[dict[str, Any]]] = {}
    for record in read(path):
        shared = {key: value for key, value in record["settings"].items() if key != "period"}
        settings.setdefault(json.dumps(shared), []).append(record)
    parts = []
    for text, records in settings.items():
        s, first = json.loads(text), records[0]
        parts.append(
            f"`{s['net']}`, {first['train']:,} training and {first['samples']:,} {first['measured_on']} images, "
            f"{s['epochs']} x {first['steps'] // s['epochs']:,} steps, batch {s['batch']}, Adam {s['lr']:g} "
            f"with rates `{s['rates']}`, cosine to 0:\n"
        )
        parts.append("| row | seeds | accuracy % | against bp | loss | scalars | bits | bits, with first copy | dead |")
        parts.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        parts += [line(row, records) for row in wanted if any(record["row"] == row for record in records)]
        parts.append("")
    return "\n".join(parts)


def line(row: str, records: list[dict[str, Any]]) -> str:
    """One row of a table: means ± standard deviations over its seeds."""
    runs = [record for record in records if record["row"] == row]
    bp = {record["seed"]: record for record in records if record["row"] in BP}
    pairs = [(record, bp[record["seed"]]) for record in runs if record["seed"] in bp]
    apart = [100 * (record["accuracy"] - other["accuracy"]) for record, other in pairs]
    losses = [record["losses"][-1] - other["losses"][-1] for record, other in pairs]
    ledger, weights = runs[0]["ledger"], runs[0]["feedback_weights"]
    bill = weights * runs[0]["steps"]  # BP moves every weight at every step
    bits = ledger["transport_value_bits"] + ledger["transport_index_bits"]
    first = WIDTH * ledger["weights_transported_initial"]
    last = max(runs[0]["units"], key=int)  # hidden layers are named by their place
    dead = statistics.mean(record["units"][last]["dead"] for record in runs)
    cells = (
        row,
        str(len(runs)),
        spread([100 * record["accuracy"] for record in runs], "{:.2f}"),
        *(["", ""] if row in BP else [spread(apart, "{:+.2f}"), f"{statistics.mean(losses):+.4f}"]),
        saved(bill, ledger["weights_transported"]),
        saved(WIDTH * bill, bits),
        saved(WIDTH * bill, bits + first),
        f"{dead:.0f} of {runs[0]['units'][last]['units']}",
    )
    return f"| {' | '.join(cells)} |"


def spread(values: list[float], form: str) -> str:
    mean = form.format(statistics.mean(values))
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else mean


def saved(bill: int, moved: int) -> str:
    return f"{bill / moved:,.0f}x" if moved else "all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="compare learning rates on validation images")
    parser.add_argument("--table", action="store_true", help="write the tables in docs/fbp.md from the records")
    options = parser.parse_args()
    if options.table:
        for path in (RECORDS, TUNING):
            begin = f"<!-- table: {path.stem} -->\n"
            before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
            PAGE.write_text(
                before + begin + "\n" + tables(path) + "\n" + END + rest.partition(END)[2], encoding="utf-8"
            )
    elif options.tune:
        rates: list[tuple[float, LRScaling]] = [(3e-4, "equal"), (1e-3, "equal"), (1e-3, "fan")]
        for lr, scale in rates:
            setting = replace(CONV, validation=0.1, epochs=1, lr=lr, rates=scale)
            run(tuple(replace(row, setting=setting) for row in ROWS[:2]), TUNING, (1000,))
        run(tuple(replace(row, setting=setting) for row in TRIED), TUNING, (1000,))
        setting = replace(setting, lr=5e-4)
        run(tuple(replace(row, setting=setting) for row in (ROWS[0], ROWS[3], ROWS[4])), TUNING, (1000,))
    else:
        for rows in (ROWS, SHALLOW, BALANCED, AGAIN, LONGER, LATER):
            run(rows, RECORDS, SEEDS)


if __name__ == "__main__":
    main()
