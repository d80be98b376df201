"""Frozen backpropagation in VGG-7 and VGG-11 on CIFAR-10 and CIFAR-100, by the paper's recipe.

NOT YET RUN: no claim is made here. The recipe trains VGG-7 for hundreds of epochs, which needs a GPU; what one core can
do is in fbp_cifar10_quarter.py. The paper reports accuracies 0.5 points (CIFAR-10) and 1.1 points (CIFAR-100)
below BP at 1,000 times fewer scalars transported.

    python experiments/fbp_cifar10.py --device cuda                       CIFAR-10, VGG-7, three seeds
    python experiments/fbp_cifar10.py --device cuda --data cifar100 --net vgg11
    python experiments/fbp_cifar10.py --data folder:PATH --steps 3        times three steps of each rule

`--data folder:PATH` reads images from one folder per class, such as CIFAR-10 as JPEG files. An interrupted run
continues after its last complete epoch. Results, with their settings, are written to `--out`.

Reference: Goupy et al. 2025 (arXiv 2505.13741).
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

from onchip.data import Dataset, batches
from onchip.report import as_markdown
from onchip.runs.config import RunConfig
from onchip.runs.directory import RunDirectory
from onchip.runs.sweep_config import SweepConfig
from onchip.training.builder import build, load_data
from onchip.training.randomness import own_randomness
from onchip.training.resolved import resolve
from onchip.training.sweep import compare

RULES = (
    "bp",
    "fbp:period=100",
    "fbp:period=100;transport=top:0.1",  # 1,000x fewer scalars than BP
    "fbp:period=balanced:30;transport=top:0.03",  # as many, with a period for each layer
    "fbp",  # 1,000x fewer bits
    "fbp:period=100;transport=top:0.01",  # 10,000x fewer scalars
    "fbp:period=balanced:6;transport=lowrank",  # 10,000x fewer bits on VGG-7
    "never",
    "fa",
    "usf",
    "frsf",
    "kolen-pollack",
    "weight-mirror",
)
RECIPE = RunConfig(
    data="cifar10",
    net="vgg7",
    neuron="ttfs",
    epochs=300,
    batch_size=128,  # the paper's range is 32 to 256
    lr=1e-4,  # and 3e-5 to 1e-4
    optimizer="adamw",  # decoupled decay
    weight_decay=0.1,
    schedule="exponential",
    lr_decay=0.999,
    clip=1.0,
    patience=25,
    select="best",
    augment="crop:4,flip,autoaugment,cutout:16",
)


def time_steps(sweep: SweepConfig, data: Dataset, steps: int) -> None:
    """Times a few training steps of each rule."""
    for config in sweep.runs()[: len(sweep.rules)]:
        with own_randomness(config):
            run = build(resolve(config, data))
            drawn = batches(data.train, config.batch_size, generator=run.order, augment=run.resolved.augment)
            begin, losses = time.perf_counter(), []
            for (images, labels), _ in zip(drawn, range(steps), strict=False):
                loss = run.resolved.loss(run.rule.forward(run.encode(images)), labels)
                losses.append(loss.item())
                run.rule.backward(loss)
                run.optimizer.step()
                run.optimizer.zero_grad()
            spent = (time.perf_counter() - begin) / len(losses)
            run.rule.detach()
        print(
            f"{config.rule:36} {spent:7.2f} s per step of {config.batch_size} samples; "
            f"losses {losses[0]:.3f} to {losses[-1]:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=RECIPE.data, help="cifar10, cifar100 or folder:PATH")
    parser.add_argument("--net", default=RECIPE.net, help="vgg7 or vgg11")
    parser.add_argument("--device", default=RECIPE.device)
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--batch-size", type=int, default=RECIPE.batch_size)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--download", action="store_true", help="download the data set if it is missing")
    parser.add_argument("--out", type=Path, default=Path("runs/fbp_cifar10"))
    parser.add_argument("--steps", type=int, help="only time this many training steps of each rule")
    options = parser.parse_args()
    config = dataclasses.replace(
        RECIPE,
        data=options.data,
        net=options.net,
        device=options.device,
        epochs=options.epochs,
        batch_size=options.batch_size,
    )
    data = load_data(config, download=options.download)
    sweep = SweepConfig(config, RULES, tuple(range(options.seeds)))
    if options.steps:
        time_steps(sweep, data.to(config.device), options.steps)
        return
    records = []
    for record in compare(sweep, data, options.out, resume=RunDirectory(options.out).config() is not None):
        records.append(record)
        print(record.label, record.seed, record.status, record.test_accuracy, flush=True)
    (options.out / "table.md").write_text(as_markdown(records), encoding="utf-8")


if __name__ == "__main__":
    main()
