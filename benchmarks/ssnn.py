"""How fast is a training step of the spike rule, beside a plain loop over time steps?

    python benchmarks/ssnn.py [--rounds 9] [--steps 32] [--batch 20] [--json FILE]

784-200-10, one thread. Both ways do what the paper does: Bernoulli spikes up, winner-take-all, Bernoulli
spikes down, coincidences; input spikes are drawn in both. "Ours" is the default form beside them: random phases and
products of counts. Ways take turns in each round, and a ratio is taken inside each.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch
from torch import Tensor

from onchip import kernels, models, nn, rules
from onchip.encoding import Poisson, RandomPhase
from onchip.learning.temporal.coincidence import Coincidences
from onchip.losses import StepLoss, Winner
from onchip.nn.spike_train import BernoulliTrain

RATE, GAIN = 0.2, 2.0


def loop(images: Tensor, labels: Tensor, steps: int) -> Callable[[], None]:
    """One training step written as METHODS' eight steps are read, a time step after the other."""
    first, last = torch.nn.Linear(784, 200), torch.nn.Linear(200, 10)
    batch = len(images)
    pixels, onehot = images.flatten(1), torch.nn.functional.one_hot(labels, 10).float()

    @torch.no_grad()
    def step() -> None:
        sums, logits = torch.zeros(batch, 200), torch.zeros(batch, 10)
        updates = [torch.zeros_like(p) for p in (*first.parameters(), *last.parameters())]
        for t in range(1, steps + 1):
            x = (torch.rand_like(pixels) < pixels).float()
            sums += x @ first.weight.t()
            potential = sums / t + first.bias
            h = (torch.rand_like(potential) < potential.clamp(0, 1)).float()
            gate = ((potential > 0) & (potential < 1)).float()
            logits += h @ last.weight.t()
            chosen = torch.multinomial((logits / t + last.bias).softmax(1), 1).squeeze(1)
            d = torch.nn.functional.one_hot(chosen, 10).float() - onehot
            wanted = GAIN * (d @ last.weight) * gate
            drawn = torch.rand_like(wanted)
            g = (drawn < wanted).float() - (drawn < -wanted).float()
            for total, met in zip(updates, (g.t() @ x, g.sum(0), d.t() @ h, d.sum(0)), strict=True):
                total += met
        for parameter, total, worth in zip(
            (*first.parameters(), *last.parameters()), updates, (GAIN, GAIN, 1.0, 1.0), strict=True
        ):
            parameter -= RATE / (batch * steps * worth) * total

    return step


def whole(images: Tensor, labels: Tensor, steps: int, *, paper: bool) -> Callable[[], None]:
    """The same by the engine, all steps at once."""
    train = {"train": BernoulliTrain()} if paper else {}
    model = models.mlp_narrow((1, 28, 28), 10, neuron=lambda: nn.Stochastic(**train))
    rule = rules.ssnn_bp(model, gain=GAIN, **train, **({"temporal": Coincidences()} if paper else {}))
    optimizer = torch.optim.SGD(rule.parameters(), lr=RATE)
    loss, encode = (Winner(), Poisson(steps)) if paper else (StepLoss(mix=0.0), RandomPhase(steps))

    def step() -> None:
        rule.backward(loss(rule.forward(encode(images)), labels))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def measure(rounds: int, steps: int, batch: int) -> dict[str, dict[str, float]]:
    torch.manual_seed(0)
    images, labels = torch.rand(batch, 1, 28, 28) * (torch.rand(batch, 1, 28, 28) < 0.5), torch.randint(10, (batch,))
    ways = {
        "plain loop": loop(images, labels, steps),
        "the paper's streams": whole(images, labels, steps, paper=True),
        "ours": whole(images, labels, steps, paper=False),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds + 1):
        for name, work in ways.items():
            begin = time.process_time()  # one thread: what others do on the machine does not count
            work()
            times[name].append(time.process_time() - begin)
    rows = {}
    for name, spent in times.items():  # the first round warms up
        ratios = [base / own for base, own in zip(times["plain loop"][1:], spent[1:], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "milliseconds": 1e3 * statistics.median(spent[1:]),
            "times_as_fast": middle,
            "quartile_low": low,
            "quartile_high": high,
        }
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--batch", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(options.rounds, options.steps, options.batch)
    for name, row in rows.items():
        print(f"{name:22s} {row['milliseconds']:8.1f} ms   {row['times_as_fast']:.2f} times as fast as the loop")
    if options.json:
        about = {
            "steps": options.steps,
            "batch": options.batch,
            "rounds": options.rounds,
            "date": date.today().isoformat(),
            "torch": torch.__version__,
            "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
            "kernels": kernels.active(),
        }
        options.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
