"""How noisy is each rule's gradient, and how near is it to that of backpropagation, per layer and during training?

    python experiments/opzo_gradients.py            measures what experiments/records/opzo_gradients.jsonl lacks
    python experiments/opzo_gradients.py --table    writes the tables in docs/opzo.md from the records

Every rule trains its own network on Fashion-MNIST. At some steps training stops; with the weights of that step, the
rule and spatial backpropagation with traces (`ottt`, without noise) each compute the gradient of the same 20 batches.
The variance is taken over these batches and averaged over a layer's weights; the cosine is between the two mean
gradients. The measurement does not change the rule's state.

Reference: Xiao et al. 2024 (OPZO, arXiv 2407.12516), figure 2.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from _records import FOLDER, append_lines, read_lines
from _tables import SEEDS, command
from onchip import models, rules
from onchip.data import batches, load
from onchip.learning.rule import Rule
from onchip.losses import StepLoss
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Static
from onchip.report.markdown import markdown_table
from onchip.training import registry

RECORDS = FOLDER / "opzo_gradients.jsonl"
BATCHES = 20  # per measurement
SHARES = (0.05, 0.5, 1.0)  # shares of the training after which gradients are measured
RULES = ("opzo", "opzo:scale=0.1", "anchored-dkp", "dkp", "dfa", "zeroth-order")
LOSS = StepLoss()


@dataclass(frozen=True)
class Setting:
    """What all rules of one network share; cosine schedule to 0."""

    net: str
    train_size: int
    steps: int  # T
    epochs: int
    batch: int
    optimizer: str
    lr: float


SETTINGS = (
    Setting("mlp_wide", 10_000, 6, 1, 128, "Adam", 1e-3),
    Setting("conv_wide", 4_000, 4, 1, 32, "SGD", 0.05),
)


@dataclass
class Moments:
    """Sums of one layer's gradient, and of its squares, over batches."""

    total: Tensor
    squares: Tensor

    def variance(self) -> float:
        """The variance over batches, averaged over the weights."""
        mean = self.total / BATCHES
        return float((self.squares / BATCHES - mean.square()).mean() * BATCHES / (BATCHES - 1))


def gradient_sums(rule: Rule, images: list[tuple[Tensor, Tensor]], steps: int) -> dict[str, Moments]:
    """Sums a rule's gradients over all batches, per layer."""
    sums: dict[str, Moments] = {}
    for batch, labels in images:
        out = rule.forward(Static(batch, steps))
        rule.backward(LOSS(out, labels), LOSS.each(out.detach(), labels))
        for layer in rule.layers:
            gradient = layer.parameter.grad
            assert gradient is not None
            gradient = gradient.double()
            zero = torch.zeros_like(gradient)
            moments = sums.setdefault(layer.name, Moments(zero, zero.clone()))
            moments.total += gradient
            moments.squares += gradient.square()
        for parameter in rule.parameters():
            parameter.grad = None
    return sums


def measure(
    rule: Rule, model: nn.Module, images: list[tuple[Tensor, Tensor]], steps: int
) -> dict[str, dict[str, float]]:
    """The variance, the variance under backpropagation, and the cosine, per layer."""
    state = {name: value.clone() for name, value in rule.state_dict().items()}
    with torch.random.fork_rng():
        ours = gradient_sums(rule, images, steps)
        exact = gradient_sums(rules.ottt(copy.deepcopy(model)), images, steps)
    rule.load_state_dict(state)
    return {
        name: {
            "variance": own.variance(),
            "variance_bp": exact[name].variance(),
            "cosine": float(torch.cosine_similarity(own.total.flatten(), exact[name].total.flatten(), 0)),
        }
        for name, own in ours.items()
    }


def train(setting: Setting, name: str, seed: int) -> dict[str, Any]:
    """Trains one network and returns its record."""
    data = load("fashion-mnist", train_size=setting.train_size, validation=0.05)
    torch.manual_seed(seed)
    model = getattr(models, setting.net)(data.shape, data.n_classes)
    rule = registry.part("rule", name)(model)
    make: Callable[..., torch.optim.Optimizer] = (
        torch.optim.Adam if setting.optimizer == "Adam" else partial(torch.optim.SGD, momentum=0.9)
    )
    optimizer = make(rule.parameters(), lr=setting.lr)
    order = torch.Generator().manual_seed(seed)
    fixed = list(batches(data.train, setting.batch, generator=torch.Generator().manual_seed(1)))[:BATCHES]
    total = math.ceil(len(data.train) / setting.batch) * setting.epochs
    stops = [max(1, round(share * total)) for share in SHARES]
    step, measured = 0, {}
    for _ in range(setting.epochs):
        for images, labels in batches(data.train, setting.batch, generator=order):
            for group in optimizer.param_groups:
                group["lr"] = setting.lr * 0.5 * (1.0 + math.cos(math.pi * step / total))
            out = rule.forward(Static(images, setting.steps))
            rule.backward(LOSS(out, labels), LOSS.each(out.detach(), labels))
            optimizer.step()
            optimizer.zero_grad()
            rule.step()
            step += 1
            if step in stops:
                measured[step] = measure(rule, model, fixed, setting.steps)
    return {"rule": name, "seed": seed, "settings": asdict(setting), "training_steps": total, "measured": measured}


def run() -> None:
    done = [(record["rule"], record["seed"], record["settings"]) for record in read_lines(RECORDS)]
    for seed in SEEDS:
        for setting in SETTINGS:
            for name in RULES:
                if (name, seed, asdict(setting)) not in done:
                    append_lines(RECORDS, [train(setting, name, seed)])
                    print(f"{setting.net}, {name}, seed {seed}", flush=True)


def tables() -> dict[str, str]:
    """A table for each network."""
    everything, parts = read_lines(RECORDS), []
    for setting in SETTINGS:
        records = [record for record in everything if record["settings"] == asdict(setting)]
        if not records:
            continue
        hidden = len(build_graph(getattr(models, setting.net)((1, 28, 28), 10)).layers) - 1
        parts.append(
            f"`{setting.net}`, {setting.train_size:,} images, T = {setting.steps}, batch {setting.batch}, "
            f"{setting.optimizer} {setting.lr:g}, {setting.epochs} epoch. Hidden layers are numbered from the input. "
            f"Each cell gives means over seeds after {', '.join(f'{share:.0%}' for share in SHARES)} of the training:"
        )
        header = ["rule", "seeds"]
        header += [f"variance / BP's, {layer}" for layer in range(1, hidden + 1)]
        header += [f"cosine, {layer}" for layer in range(1, hidden + 1)]
        parts.append(
            markdown_table(header, [row(name, [r for r in records if r["rule"] == name], hidden) for name in RULES])
        )
    return {"opzo_gradients": "\n\n".join(parts)}


def row(name: str, records: list[dict[str, Any]], hidden: int) -> list[str]:
    """One row: what was measured at each stop, per hidden layer."""
    stops = [list(record["measured"].values()) for record in records]  # (seed, stop, layer)
    cells = [f"`{name}`", str(len(records))]
    for layer in range(hidden):
        ratios = [
            statistics.geometric_mean(values["variance"] / values["variance_bp"] for values in at(stops, stop, layer))
            for stop in range(len(SHARES))
        ]
        cells.append(", ".join("diverged" if ratio > 1e9 else f"{ratio:.2g}" for ratio in ratios))
    for layer in range(hidden):
        cosines = [statistics.mean(v["cosine"] for v in at(stops, stop, layer)) for stop in range(len(SHARES))]
        cells.append(", ".join(f"{cosine:.2f}" for cosine in cosines))
    return cells


def at(stops: list[list[dict[str, dict[str, float]]]], stop: int, layer: int) -> list[dict[str, float]]:
    """What every seed measured at one stop in one layer; stops of a very short training may be one and the same."""
    return [list(seed[min(stop, len(seed) - 1)].values())[layer] for seed in stops]


if __name__ == "__main__":
    command(__doc__, "opzo.md", tables, run)
