"""A trained network is moved to a chip with device mismatch: which rule restores its accuracy on the chip?

    python experiments/opzo_finetune.py            trains the seeds that experiments/records/opzo_finetune.jsonl lacks
    python experiments/opzo_finetune.py --table    writes the table in docs/opzo.md from the records

A network is trained by backpropagation on Fashion-MNIST. Then every weight is multiplied by 1 + 0.5 z and 0.5 z is
added to every neuron's bias, once, with z normal: mismatch of synapses and of thresholds, which the chip cannot
measure. Each rule then trains the disturbed network for one epoch on 4,000 of the images, at one learning rate for all.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), section 5, who fine-tune a ResNet-34 under noise.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from _records import FOLDER, append_lines, read_lines
from _tables import SEEDS, command, spread
from onchip import models, rules
from onchip.data import Split, batches, load
from onchip.learning.rule import Rule
from onchip.losses import StepLoss, predict
from onchip.nn.signals import Static
from onchip.report.markdown import markdown_table

RECORDS = FOLDER / "opzo_finetune.jsonl"
RULES = ("ottt", "opzo", "anchored_dkp", "dkp", "dfa", "zeroth_order")
LOSS = StepLoss()


@dataclass(frozen=True)
class Setting:
    """What all rows share; the optimizer is Adam."""

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
    """Share of samples in [0, 1] that the model classifies correctly."""
    correct = [
        int((predict(model(Static(images, SETTING.steps))) == labels).sum())
        for images, labels in batches(split, 500, shuffle=False)
    ]
    return sum(correct) / len(split)


def train(seed: int) -> list[dict[str, Any]]:
    """The records of all rows of one seed."""
    data = load("fashion-mnist", train_size=SETTING.train_size, validation=0.0)
    torch.manual_seed(seed)
    model = getattr(models, SETTING.net)(data.shape, data.n_classes)
    order = torch.Generator().manual_seed(seed)
    rule = rules.ottt(model)
    learn(rule, data.train, SETTING.epochs, SETTING.lr, order)
    rule.detach()
    accuracies = {"as trained": accuracy(model, data.test)}
    disturb(model, torch.Generator().manual_seed(seed))
    accuracies["disturbed"] = accuracy(model, data.test)
    few = data.train.take(torch.randperm(len(data.train), generator=order)[: SETTING.tuning_size])
    for name in RULES:
        twin = copy.deepcopy(model)
        torch.manual_seed(seed)
        learn(getattr(rules, name)(twin), few, 1, SETTING.tuning_lr, torch.Generator().manual_seed(seed))
        accuracies[name] = accuracy(twin, data.test)
    shared = {"seed": seed, "settings": asdict(SETTING)}
    return [{"row": row, "test_accuracy": share, **shared} for row, share in accuracies.items()]


def run() -> None:
    for seed in SEEDS:
        records = read_lines(RECORDS)
        if not any(record["seed"] == seed and record["settings"] == asdict(SETTING) for record in records):
            append_lines(RECORDS, train(seed))
            print(f"seed {seed}", flush=True)


def tables() -> dict[str, str]:
    records = [record for record in read_lines(RECORDS) if record["settings"] == asdict(SETTING)]
    rows = []
    for name in dict.fromkeys(record["row"] for record in records):
        values = [100.0 * record["test_accuracy"] for record in records if record["row"] == name]
        rows.append((f"`{name}`" if name in RULES else name, str(len(values)), spread(values)))
    return {"opzo_finetune": markdown_table(("after", "seeds", "test %"), rows)}


if __name__ == "__main__":
    command(__doc__, "opzo.md", tables, run)
