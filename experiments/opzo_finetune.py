"""A trained network lands on a chip that is not what it was trained for: which rule brings it back on the chip?

    python experiments/opzo_finetune.py            trains what experiments/records/opzo_finetune.jsonl does not hold yet
    python experiments/opzo_finetune.py --table    writes the table in docs/opzo.md from the records

A network is trained by backpropagation on Fashion-MNIST. Then every weight is multiplied by 1 + 0.5 z and every
neuron's bias moves by 0.5 z, once, z normal: mismatch of synapses and of thresholds, which the chip cannot see. Each
rule then trains the disturbed network for one epoch on 4,000 of the images, at one rate for all.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), section 5, who fine-tune a ResNet-34 under noise.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from onchip import models, rules
from onchip.data import Split, batches, load
from onchip.learning.rule import Rule
from onchip.losses import StepLoss, predict
from onchip.nn.signals import Static

HERE = Path(__file__).resolve().parent
RECORDS = HERE / "records" / "opzo_finetune.jsonl"
PAGE = HERE.parent / "docs" / "opzo.md"
END = "<!-- end of table -->"

SEEDS = (0, 1, 2)
RULES = ("ottt", "opzo", "anchored_dkp", "dkp", "dfa", "zeroth_order")
LOSS = StepLoss()


@dataclass(frozen=True)
class Setting:
    """What all rows share; Adam throughout."""

    net: str = "mlp"
    steps: int = 6  # T
    train_size: int = 10_000
    epochs: int = 4
    lr: float = 1e-3
    batch: int = 64
    mismatch: float = 0.5
    tuning_size: int = 4_000
    tuning_lr: float = 3e-4


SETTING = Setting()


def learn(rule: Rule, split: Split, epochs: int, lr: float, order: torch.Generator) -> None:
    optimizer = torch.optim.Adam(rule.parameters(), lr=lr)
    for _ in range(epochs):
        for images, labels in batches(split, SETTING.batch, generator=order):
            out = rule.forward(Static(images, SETTING.steps))
            rule.backward(LOSS(out, labels), LOSS.each(out.detach(), labels))
            optimizer.step()
            optimizer.zero_grad()
            rule.step()


def disturb(model: nn.Module, generator: torch.Generator) -> None:
    """Mismatch of every weight, and of the bias of every hidden neuron."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for layer in layers:
            layer.weight *= 1.0 + SETTING.mismatch * torch.randn(layer.weight.shape, generator=generator)
        for layer in layers[:-1]:
            layer.bias += SETTING.mismatch * torch.randn(layer.bias.shape, generator=generator)


@torch.no_grad()
def accuracy(model: nn.Module, split: Split) -> float:
    """Share in [0, 1] that the bare model classifies rightly."""
    right = [
        int((predict(model(Static(images, SETTING.steps))) == labels).sum())
        for images, labels in batches(split, 500, shuffle=False)
    ]
    return sum(right) / len(split)


def train(seed: int) -> list[dict[str, Any]]:
    """All rows of one seed."""
    data = load("fashion-mnist", train_size=SETTING.train_size, validation=0.0)
    torch.manual_seed(seed)
    model = getattr(models, SETTING.net)(data.shape, data.n_classes)
    order = torch.Generator().manual_seed(seed)
    rule = rules.ottt(model)
    learn(rule, data.train, SETTING.epochs, SETTING.lr, order)
    rule.detach()
    found = {"as trained": accuracy(model, data.test)}
    disturb(model, torch.Generator().manual_seed(seed))
    found["disturbed"] = accuracy(model, data.test)
    few = data.train.take(torch.randperm(len(data.train), generator=order)[: SETTING.tuning_size])
    for name in RULES:
        twin = copy.deepcopy(model)
        torch.manual_seed(seed)
        learn(getattr(rules, name)(twin), few, 1, SETTING.tuning_lr, torch.Generator().manual_seed(seed))
        found[name] = accuracy(twin, data.test)
    return [{"row": row, "seed": seed, "test_accuracy": a, "settings": asdict(SETTING)} for row, a in found.items()]


def run() -> None:
    """Trains the seeds that the file does not hold yet."""
    RECORDS.parent.mkdir(exist_ok=True)
    for seed in SEEDS:
        if not any(record["seed"] == seed and record["settings"] == asdict(SETTING) for record in read()):
            lines = [json.dumps(record) + "\n" for record in train(seed)]
            with RECORDS.open("a", encoding="utf-8") as file:
                file.write("".join(lines))
            print(f"seed {seed}", flush=True)


def read() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDS.read_text(encoding="utf-8").splitlines()] if RECORDS.exists() else []


def tables() -> str:
    """The table, from the records alone."""
    records = [record for record in read() if record["settings"] == asdict(SETTING)]
    lines = ["| after | seeds | test % |", "| --- | ---: | ---: |"]
    for row in dict.fromkeys(record["row"] for record in records):
        values = [100.0 * record["test_accuracy"] for record in records if record["row"] == row]
        deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        name = f"`{row}`" if row in RULES else row
        lines.append(f"| {name} | {len(values)} | {statistics.mean(values):.2f}{deviation} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="write the table in docs/opzo.md from the records")
    if parser.parse_args().table:
        begin = "<!-- table: opzo_finetune -->\n"
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        PAGE.write_text(before + begin + "\n" + tables() + "\n" + END + rest.partition(END)[2], encoding="utf-8")
    else:
        run()


if __name__ == "__main__":
    main()
