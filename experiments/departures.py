"""How large are our departures from the authors' code and equations?

    python experiments/departures.py            measures all of them, in a few minutes on one core
    python experiments/departures.py --table    writes the table in docs/departures.md

Each row is one departure, measured on first weights (seeds 0 to 2; mean ± standard deviation) and 256 images of
Fashion-MNIST; sizes of effects on accuracy come from the records of other experiments. `--table` measures again,
because there is nothing to train.

Reference: the code of Xiao et al. 2022 (OTTT, NeurIPS) for the rows of `ottt` and of standardized weights, the authors'
code for those of `drtp`, `etlp`, `decolle` and `s_tllr`; the equations of the papers for all others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

import ssnn
from _records import read_lines
from _tables import SEEDS, parser, spread, write
from onchip import models, nn, rules
from onchip.data import load
from onchip.devices.resistive import ResistiveCell
from onchip.diagnostics import FactorRecorder
from onchip.encoding import Poisson
from onchip.learning.centering import Causal, Centering, LeaveOneOut
from onchip.learning.three_factors import ThreeFactors
from onchip.losses import StepLoss
from onchip.nn.signals import Static
from onchip.surrogate import FastSigmoid, Sigmoid

IMAGES, STEPS, CLASSES = 256, 6, 10
Row = tuple[str, str, str]


def batch(seed: int, data: str = "fashion-mnist") -> tuple[Tensor, Tensor]:
    """Images in [0, 1] and labels."""
    split = load(data, train_size=IMAGES, seed=seed).train
    return split.samples.float() / 255.0, split.labels


def size(found: Tensor, reference: Tensor) -> tuple[float, float]:
    """The ratio of two norms, and the cosine."""
    return float(found.norm() / reference.norm()), float(F.cosine_similarity(found.flatten(), reference.flatten(), 0))


def over_seeds(measure: Callable[[int], tuple[float, ...]]) -> list[str]:
    """Each number that is measured, over seeds."""
    return [spread(values) for values in zip(*(measure(seed) for seed in SEEDS), strict=True)]


def ottt_factors(seed: int, *, events: bool = False) -> tuple[list[ThreeFactors], Tensor]:
    """The factors of one update of `ottt` on `mlp_wide`, from the first layer to the last, and its input (T, B, n)."""
    torch.manual_seed(seed)
    images, labels = batch(seed)
    model = models.mlp_wide((1, 28, 28), CLASSES)
    signal = Poisson(STEPS)(images) if events else Static(images, STEPS)
    rule, factors = rules.ottt(model), FactorRecorder()
    rule.observe_factors(factors)
    rule.backward(StepLoss()(rule.forward(signal), labels))
    layers = [factors.layers[layer.name] for layer in rule.layers]
    return layers, (signal.expand() if isinstance(signal, Static) else signal).flatten(2)


def first_layer(seed: int, *, events: bool = False) -> tuple[float, ...]:
    (first, *_), inputs = ottt_factors(seed, events=events)
    delta = first.local * first.error
    ours = torch.einsum("tbo,tbi->oi", delta, first.pre.flatten(2))
    return size(ours, torch.einsum("tbo,tbi->oi", delta, inputs))


def readout(seed: int) -> tuple[float, ...]:
    (*_, last), _ = ottt_factors(seed)
    trace = torch.zeros_like(last.pre)
    for t, spikes in enumerate(last.pre):
        trace[t] = spikes if t == 0 else 0.5 * trace[t - 1] + spikes
    ours = torch.einsum("tbo,tbi->oi", last.error, last.pre)
    return size(ours, torch.einsum("tbo,tbi->oi", last.error, trace))


def readout_biases(seed: int) -> tuple[float, ...]:
    """Errors of `decolle` in the first hidden layer, against those of read-outs with random biases."""
    torch.manual_seed(seed)
    images, labels = batch(seed)
    rule = rules.decolle(models.mlp_wide((1, 28, 28), CLASSES))
    rule.forward(Static(images, STEPS))
    weights = rule.state_dict()["readout_1"]
    output, bound = rule.outputs[1].detach(), len(weights) ** -0.5
    errors = []
    for biases in (torch.zeros(CLASSES), torch.empty(CLASSES).uniform_(-bound, bound)):
        shifted = (output + biases).requires_grad_()
        (error,) = torch.autograd.grad(StepLoss()(shifted, labels), shifted)
        errors.append(error @ weights.t())
    return size(*errors)


def surrogates(seed: int) -> tuple[float, ...]:
    """The first layer's update of `s_tllr` with our surrogate derivative, against that with the authors'."""
    images, labels = batch(seed)
    found = []
    for surrogate in (Sigmoid(), FastSigmoid(100.0)):
        torch.manual_seed(seed)
        model = models.mlp_wide((1, 28, 28), CLASSES, neuron=partial(nn.LIF, surrogate=surrogate))
        rule = rules.s_tllr(model)
        rule.backward(StepLoss()(rule.forward(Static(images, STEPS)), labels))
        gradient = rule.layers[0].parameter.grad
        assert gradient is not None
        found.append(gradient)
    return size(*found)


def strict_firing(seed: int, *, data: str) -> tuple[float, ...]:
    """Percentage of first-layer neurons whose potential ends exactly at the threshold: >= would let them fire."""
    torch.manual_seed(seed)
    images, _ = batch(seed, data)
    fired = (images > 0).float()
    found = []
    for layer in (nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.Linear(images[0].numel(), 256, bias=False)):
        spikes, times = fired, fired * (1.0 - images)
        if isinstance(layer, nn.Linear):
            spikes, times = spikes.flatten(1), times.flatten(1)
        found.append(100.0 * float((2.0 * layer(spikes) - layer(times) == 0).float().mean()))
    return tuple(found)


def later_effects(seed: int) -> tuple[float, ...]:
    """Slope and cosine of LeaveOneOut's estimate for the first of two hidden layers on that of Causal."""

    def estimate(centering: Centering) -> Tensor:
        torch.manual_seed(seed)
        layers = [nn.Linear(20, 40), nn.LIF(), nn.Linear(40, 30), nn.LIF(), nn.Linear(30, 16)]
        for layer in (layers[0], layers[2]):
            layer.weight.data.mul_(3.0)  # type: ignore[union-attr, operator]
        rule = rules.opzo(nn.Sequential(*layers), centering=centering, momentum=0.9999)
        for _ in range(600):
            rule.forward(Static(torch.rand(256, 20), STEPS))
        return rule.state_dict()["estimate_1"]

    ours, same_step = estimate(LeaveOneOut()), estimate(Causal())
    return float((ours * same_step).sum() / same_step.square().sum()), size(ours, same_step)[1]


def at_a_bound(seed: int) -> tuple[float, ...]:
    """Spread of a cell at a hard bound after 8 pulses up and 8 down: summed before clipping, and clipped each time."""
    torch.manual_seed(seed)
    options = {"quantum": 1e-3, "cycle_spread": 0.3}
    spreads = []
    for cell in (ResistiveCell(**options), ResistiveCell(**options, softness_up=1e-12)):  # the second goes one by one
        weight = torch.full((100_000,), cell.upper, dtype=torch.float64)
        met = torch.full((2, len(weight)), 8.0, dtype=torch.float64)
        cell.write(weight, cell.draw(weight), met, lr=cell.quantum, unit=1.0)
        spreads.append(((cell.upper - weight).mean().item() / cell.quantum, weight.std().item() / cell.quantum))
    return (*spreads[0], *spreads[1])


def streams() -> tuple[str, str]:
    """Differences in test accuracy, in points, that the records of `ssnn.py` show: our streams, and our clock."""
    found: dict[str, dict[int, float]] = {}
    for entry in read_lines(ssnn.RECORDS):
        if entry["table"].startswith("784-200-10, 10,000 images"):
            record = entry["record"]
            found.setdefault(entry["row"], {})[record["seed"]] = 100.0 * record["test_accuracy"]
    ours = found["ours"]
    return tuple(  # type: ignore[return-value]
        spread([ours[seed] - other for seed, other in found[row].items()], "+")
        for row in ("the paper's streams", "winner-take-all")
    )


def rows() -> list[Row]:
    static, events = over_seeds(first_layer), over_seeds(partial(first_layer, events=True))
    fashion, digits = (over_seeds(partial(strict_firing, data=data)) for data in ("fashion-mnist", "digits"))
    last, (slope, cosine) = over_seeds(readout), over_seeds(later_effects)
    biases, slopes = over_seeds(readout_biases), over_seeds(surrogates)
    bound = over_seeds(at_a_bound)
    trains, winner = streams()
    forgotten = [f"{100 * (1 - 0.999**k):.0f}%" for k in (79, 474)]
    return [
        (
            "`ottt`, first layer: the update uses the trace of the input; the authors' code uses the input",
            "norm of the gradient / theirs; cosine",
            f"static images {static[0]}; {static[1]}. Poisson spikes {events[0]}; {events[1]}",
        ),
        (
            "`ottt`, read-out: the update uses the spikes; the authors' code uses their trace",
            "norm of the gradient / theirs; cosine",
            f"{last[0]}; {last[1]}",
        ),
        (
            "`drtp`, `etlp`: hidden layers receive -F y / N, as from a mean loss; in the authors' code F y",
            "size of the hidden gradient / theirs with the same F, for T B = N; cosine",
            "1/N; -1",
        ),
        (
            "`decolle`: local read-outs have no biases; in the authors' code they have fixed random ones",
            "norm of the error in the first hidden layer / theirs; cosine",
            f"{biases[0]}; {biases[1]}",
        ),
        (
            "`s_tllr`: ψ is the surrogate of the neurons, by default `Sigmoid(4)`; the authors have `FastSigmoid(100)`",
            "norm of the first layer's gradient / theirs; cosine",
            f"{slopes[0]}; {slopes[1]}",
        ),
        (
            "Standardized weights: a gain of 4 at first in each layer; the authors' code has 1, and spikes times 2.74",
            "size of the first drive / theirs: first layer; others",
            f"4.00; {4 / 2.74:.2f}",
        ),
        (
            "Standardized weights: the variance has the divisor n; the authors' code has n - 1",
            "size of the weights / theirs, for n = 9; 27; 576",
            "; ".join(f"{math.sqrt(n / (n - 1)):.3f}" for n in (9, 27, 576)),
        ),
        (
            "Spike times: a neuron fires if its potential passes the threshold; with ≥ it also fires without input",
            "first-layer neurons that differ, in %: convolution of 3 x 3; dense",
            f"{fashion[0]}; {fashion[1]}. Digits {digits[0]}; {digits[1]}",
        ),
        (
            "`opzo`: M is divided by 1 - λ^k, as in Adam; M_0 = 0 without it",
            "size that M would have after 79; 474 steps at λ = 0.999",
            "; ".join(forgotten),
        ),
        (
            "`opzo`, centering over time: the effect of noise on later steps is subtracted from that on its own step",
            "slope of M on its own-step value for the first of two hidden layers; cosine",
            f"{slope}; {cosine}",
        ),
        (
            "`ssnn_bp`: random-phase trains, counts, signed errors; in the paper Bernoulli, coincidences, a winner",
            "accuracy against the paper's streams at T = 8, in points",
            trains,
        ),
        ("`ssnn_bp`: the signed error alone, instead of a winner", "the same, in points", winner),
        (
            "`pulsed`, hard bounds: the pulses of one update are added up and then clipped; the toolkit clips each",
            "a cell at its bound after 8 pulses up and 8 down: distance from the bound; spread, in quanta",
            f"{bound[0]}; {bound[1]}. Clipped each time {bound[2]}; {bound[3]}",
        ),
    ]


def main() -> None:
    table = rows()
    lines = ["| departure | measure | size |", "| --- | --- | --- |", *(f"| {' | '.join(row)} |" for row in table)]
    text = "\n".join(lines)
    if parser(__doc__, "departures.md").parse_args().table:
        write("departures.md", {"departures": text})
    else:
        print(text)


if __name__ == "__main__":
    main()
