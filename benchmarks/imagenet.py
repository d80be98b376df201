"""What would ImageNet take under each rule, on 1, 8 and 64 GPUs?

    python benchmarks/imagenet.py --json FILE                  counts and measures a training step on this CPU
    python benchmarks/imagenet.py --counts FILE --gpu gpu.json works the times out again with other numbers for the GPU

Counted, by the ledger: the products, neuron updates and stored numbers of a step on one image of 224x224, as
`onchip cost` counts them, of ResNet-34 with the stem of He et al. 2016 (7x7, stride 2, and a pool). Counts grow by the
same number with each class, so those of 1,000 classes follow from those of 10 and 20. Measured: the time of that step,
with 10 classes, on one CPU thread. Predicted: the memory of a step on 32 images. Not measured, but estimated from the
numbers in `GPU`: all times on GPUs, by

    t(image) = 2 products / (flops utilization) + moved neuron_updates bytes / (bandwidth bandwidth_share)
    t(step)  = batch t(image) + 4 (parameters + feedback) / (bandwidth bandwidth_share)
               + 2 (N - 1) / N 4 reduced / (link link_share)
    t        = epochs images / (N batch) t(step)

with N GPUs, `batch` images per GPU and step, and `reduced` numbers in the all-reduce: the gradients, and feedback that
is learned from the batch. Parameters and feedback are read once per step, in float32. Nothing overlaps, data arrive in
time, and zeros are multiplied. Put your own measured numbers into a file with any of the fields of `GPU`, as JSON, and
name it with --gpu.
"""

from __future__ import annotations

import json
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from _measure import about, parser, save, seconds
from onchip import Static, allocator, kernels, models, nn
from onchip.cost.estimate import Price, Pricing
from onchip.data.samples import IMAGES as IMAGE_SAMPLES
from onchip.errors import UnsupportedError
from onchip.losses import StepLoss
from onchip.nn.graph_builder import build_graph
from onchip.runs.config import RunConfig
from onchip.training import registry
from onchip.training.footprint import Footprint
from onchip.training.networks import Network

IMAGES, EPOCHS, CLASSES, STEPS, SIDE = 1_281_167, 100, 1_000, 6, 224
"""ImageNet-1k's training images; T as in Xiao et al. 2022 (OTTT), who trained a ResNet-34 on it."""
RULES = (
    *("bp", "ottt", "eprop", "fa", "fbp", "weight-mirror", "dfa", "drtp", "dkp", "opzo"),
    *("local-learning", "dkp:grid=1", "opzo:grid=1"),
)
GPUS = 1, 8, 64


@dataclass(frozen=True)
class GPU:
    """Numbers of a GPU and its network, none of which was measured by us; the defaults are an H100 SXM's data sheet.

    Args:
        name: What they are of.
        flops: Peak of dense products in bfloat16, per second.
        utilization: Share of the peak that convolutions reach: a guess.
        bandwidth: Of the memory, bytes per second.
        bandwidth_share: Share that scans over time reach: the target of benchmarks/scan.py.
        bytes: Of a number in memory, in bfloat16.
        moved: Numbers read and written per neuron and time step: 3 forward, 3 for errors, 2 for a trace.
        link: NVLink within a node, one direction, bytes per second.
        link_between: Network per GPU between nodes, 400 Gbit/s, bytes per second.
        link_share: Share of either that an all-reduce reaches: a guess.
        per_node: GPUs of a node.
        batch: Images per GPU and step.
    """

    name: str = "H100 SXM, data sheet"
    flops: float = 989e12
    utilization: float = 0.3
    bandwidth: float = 3.35e12
    bandwidth_share: float = 0.7
    bytes: float = 2.0
    moved: float = 8.0
    link: float = 450e9
    link_between: float = 50e9
    link_share: float = 0.7
    per_node: int = 8
    batch: int = 32


def network(classes: int) -> nn.Sequential:
    """ResNet-34 for images of 224x224: `onchip.models.resnet34` with the stem of the paper's networks for ImageNet."""
    torch.manual_seed(0)
    layers = list(models.resnet34((3, SIDE, SIDE), classes))
    stem = nn.WeightStandardizedConv2d(3, 64, 7, stride=2, padding=3)
    return nn.Sequential(stem, layers[1], nn.AvgPool2d(2), *layers[2:])


def priced(classes: int, chosen: Sequence[str], side: int = SIDE) -> dict[str, Price]:
    """What a step on one image costs."""
    model = network(classes)
    torch.manual_seed(0)
    image = Static(torch.rand(1, 3, side, side), STEPS)
    labels = torch.zeros(1, dtype=torch.int64)
    kind = build_graph(model).kind
    pricing = Pricing(model, kind, image, labels, StepLoss(), 1, 10_000, 32, "horowitz-45nm")
    return {name: pricing.price(registry.part("rule", name), name) for name in chosen}


def learned(name: str, step: dict[str, int | float], model: nn.Sequential) -> float:
    """Numbers of the feedback that are learned from the batch, so that ranks have to agree on them."""
    rule = registry.part("rule", name)(model)
    feedback = rule.feedback
    follows = feedback.perturbs or any(True for _ in feedback.parameters())
    rule.detach()
    return float(step["feedback_memory"]) if follows else 0.0


def counts(chosen: Sequence[str], side: int = SIDE) -> dict[str, dict[str, float]]:
    """Of a step on one image of 1,000 classes, by rule."""
    few, more = priced(10, chosen, side), priced(20, chosen, side)
    model = network(10)
    parameters = sum(parameter.numel() for parameter in network(CLASSES).parameters())
    rows = {}
    for name in chosen:
        step = {
            key: value + (more[name].step[key] - value) * (CLASSES - 10) / 10
            for key, value in few[name].step.items()
            if isinstance(value, (int, float))
        }
        reduced = parameters + learned(name, step, model)
        rows[name] = {
            **{part: step[f"products_{part}"] for part in ("forward", "error", "update")},
            "neuron_updates": step["neuron_updates"],
            "feedback_memory": step["feedback_memory"],
            "stored_activity": step["stored_activity_peak"] if few[name].streams else step["stored_activity"],
            "weights_transported": step["weights_transported"],
            "parameters": parameters,
            "reduced": reduced,
        }
    return rows


def memory(name: str) -> float:
    """Bytes of a training step on 32 images of 1,000 classes in float32, by sgd, as `onchip cost --memory` says it.

    Predicted for 10 and 20 classes; what grows with the classes, grows by the same number with each.
    """
    few, more = (_need(name, classes) for classes in (10, 20))
    return few + (more - few) * (CLASSES - 10) / 10


def _need(name: str, classes: int) -> float:
    model = network(classes)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    made = Network(partial(network, classes), build_graph(model).kind, "lif", parameters)
    config = RunConfig(steps=STEPS, optimizer="sgd", batch_size=GPU.batch)
    footprint = Footprint(config, made, (3, SIDE, SIDE), classes, IMAGE_SAMPLES)
    return footprint.need(registry.part("rule", name))(GPU.batch).total


def measured(name: str, rounds: int) -> float:
    """Median seconds of a training step on one image, with 10 classes."""
    rule = registry.part("rule", name)(network(10))
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-4, fused=True)
    image, labels, loss = Static(torch.rand(1, 3, SIDE, SIDE), STEPS), torch.zeros(1, dtype=torch.int64), StepLoss()

    def step() -> None:
        rule.forward(image)
        value = torch.stack([loss(out, labels) for out in rule.outputs]).sum()
        rule.backward(value, targets=labels if rule.by_target else None)
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    step()
    return statistics.median(seconds(step) for _ in range(rounds))


def days(row: dict[str, float], gpu: GPU, gpus: int) -> dict[str, float]:
    """Days of all epochs on a number of GPUs, and of these the days of each part."""
    products = row["forward"] + row["error"] + row["update"]
    steps = EPOCHS * IMAGES / (gpus * gpu.batch)
    link = gpu.link if gpus <= gpu.per_node else gpu.link_between
    parts = {
        "products": gpu.batch * 2 * products / (gpu.flops * gpu.utilization),
        "scans": gpu.batch * gpu.moved * row["neuron_updates"] * gpu.bytes / (gpu.bandwidth * gpu.bandwidth_share),
        "weights": 4 * (row["parameters"] + row["feedback_memory"]) / (gpu.bandwidth * gpu.bandwidth_share),
        "reduction": 2 * (gpus - 1) / gpus * 4 * row["reduced"] / (link * gpu.link_share),
    }
    spent = {part: steps * taken / 86_400 for part, taken in parts.items()}
    return {"days": sum(spent.values()), **spent}


def worked_out(rows: dict[str, dict[str, float]], gpu: GPU) -> dict[str, dict[str, dict[str, float]]]:
    """The estimates, by rule and number of GPUs."""
    return {name: {str(gpus): days(row, gpu, gpus) for gpus in GPUS} for name, row in rows.items()}


def main() -> None:
    arguments = parser(__doc__, 3, threads=1)
    arguments.add_argument("--rules", default=",".join(RULES), help="separated by commas")
    arguments.add_argument("--counts", type=Path, help="take counts and times on the CPU from this earlier result")
    arguments.add_argument("--gpu", type=Path, help="JSON with fields of GPU that replace ours")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    if options.counts is not None:
        result: dict[str, Any] = json.loads(options.counts.read_text(encoding="utf-8"))
    else:
        warnings.simplefilter("ignore")  # one step says nothing about silent layers
        chosen = [name for name in options.rules.split(",") if trainable(name)]
        result = about(steps=STEPS, side=SIDE, rounds=options.rounds, kept=allocator.keep(), kernels=kernels.active())
        result["rows"] = counts(chosen)
        for name, row in result["rows"].items():
            row["cpu_seconds_per_image"] = measured(name, options.rounds)
            row["memory"] = memory(name)
            print(name, {key: f"{value:,.3g}" for key, value in row.items()}, flush=True)
    gpu = GPU(**json.loads(options.gpu.read_text(encoding="utf-8"))) if options.gpu else GPU()
    result["gpu"], result["estimates"] = asdict(gpu), worked_out(result["rows"], gpu)
    print(f"Estimated days on {gpu.name}, {EPOCHS} epochs; nothing of this was measured:")
    for name, estimate in result["estimates"].items():
        print(f"{name:16}", ", ".join(f"{gpus} GPUs {taken['days']:.2f}" for gpus, taken in estimate.items()))
    save(options.json, result)


def trainable(name: str) -> bool:
    """Whether a rule can train the network; says why not."""
    try:
        registry.part("rule", name)(network(10)).detach()
    except UnsupportedError as refusal:
        print(f"left out: {refusal}")
        return False
    return True


if __name__ == "__main__":
    main()
