"""How fast is a training step of SSNN-BP, compared with a plain loop over time steps?

    python benchmarks/ssnn.py [--rounds 9] [--steps 32] [--batch 20] [--json FILE]

784-200-10, one thread. The plain loop and "the paper's streams" do what the paper does: Bernoulli spikes up,
winner-take-all, Bernoulli spikes down, coincidences; both draw the input spikes. "Ours" is the default form of the
rule: random phases and products of counts. All take one turn in each round, and ratios are taken inside a round.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from _measure import about, in_turns, parser, save, speed
from onchip import kernels, models, nn, rules
from onchip.encoding import Poisson, RandomPhase
from onchip.learning.temporal.coincidence import Coincidences
from onchip.losses import StepLoss, Winner
from onchip.nn.spike_train import BernoulliTrain

RATE, GAIN = 0.2, 2.0


def loop(images: Tensor, labels: Tensor, steps: int) -> Callable[[], None]:
    """A training step as the paper describes it, one time step after another."""
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
            error = GAIN * (d @ last.weight) * gate
            drawn = torch.rand_like(error)
            g = (drawn < error).float() - (drawn < -error).float()
            for total, count in zip(updates, (g.t() @ x, g.sum(0), d.t() @ h, d.sum(0)), strict=True):
                total += count
        for parameter, total, worth in zip(
            (*first.parameters(), *last.parameters()), updates, (GAIN, GAIN, 1.0, 1.0), strict=True
        ):
            parameter -= RATE / (batch * steps * worth) * total

    return step


def whole(images: Tensor, labels: Tensor, steps: int, *, paper: bool) -> Callable[[], None]:
    """The same training step by the engine, all time steps at once."""
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
    steps_of = {
        "plain loop": loop(images, labels, steps),
        "the paper's streams": whole(images, labels, steps, paper=True),
        "ours": whole(images, labels, steps, paper=False),
    }
    times = in_turns(steps_of, rounds)
    return {name: speed(times["plain loop"], spent) for name, spent in times.items()}


def main() -> None:
    arguments = parser(__doc__, 9, threads=1)
    arguments.add_argument("--steps", type=int, default=32, help="time steps T")
    arguments.add_argument("--batch", type=int, default=20, help="samples per step")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    rows = measure(options.rounds, options.steps, options.batch)
    for name, row in rows.items():
        print(f"{name:22s} {row['milliseconds']:8.1f} ms   {row['times_as_fast']:.2f} times as fast as the loop")
    settings = about(steps=options.steps, batch=options.batch, rounds=options.rounds)
    save(options.json, {**settings, "kernels": kernels.active(), "rows": rows})


if __name__ == "__main__":
    main()
