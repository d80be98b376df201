"""How much time does the ledger add to a training step?

    python benchmarks/ledger.py [--rounds 60] [--threads N] [--json FILE]

Three copies of a network train under one rule: one without a ledger, one with a ledger that counts no operations in the
step, and one with a ledger that does. Each takes one step in every round, in turn, and processor time is compared, so
that other programs are not counted. Ratios are taken inside each round; results are medians over the rounds. A ledger
counts operations in every 50th step, so its share is that of the other steps plus a 50th of what counting adds.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

import onchip
from _measure import about, parser, save, seconds
from onchip import encoding as encode
from onchip import models, rules
from onchip.cost.ledger import Ledger
from onchip.losses import StepLoss
from onchip.nn.neurons import LIF, TTFS
from onchip.nn.signals import Signal

EVERY = 50
"""Steps between two exact counts, the default of `Ledger()`."""
CASES = (  # rule, network, images, batch
    ("bp", "conv_wide", (1, 28, 28), 16),
    ("ottt", "conv_wide", (1, 28, 28), 16),
    ("dfa", "conv_wide", (1, 28, 28), 16),
    ("opzo", "conv_wide", (1, 28, 28), 16),
    ("bp", "mlp", (1, 8, 8), 32),
    ("dfa", "mlp", (1, 8, 8), 32),
    ("fbp", "conv_wide", (1, 28, 28), 16),  # spike times
)


def stepper(name: str, net: str, signal: Signal, labels: torch.Tensor, ledger: Ledger | None) -> Callable[[], None]:
    """A training step of a new network."""
    torch.manual_seed(0)
    shape = tuple(signal.image.shape[1:] if isinstance(signal, onchip.Static) else signal.shape[1:])
    neuron = LIF if isinstance(signal, onchip.Static) else TTFS
    rule = getattr(rules, name)(getattr(models, net)(shape, 10, neuron=neuron))
    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-4)
    loss_of = StepLoss()
    if ledger is not None:
        rule.observe(ledger)

    def step() -> None:
        rule.forward(signal)
        rule.backward(torch.stack([loss_of(output, labels) for output in rule.outputs]).sum())
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def measure(name: str, net: str, shape: tuple[int, ...], batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step without a ledger, and median shares that the ledger adds."""
    torch.manual_seed(0)
    images, labels = torch.rand(batch, *shape), torch.randint(0, 10, (batch,))
    signal = encode.Latency()(images) if name == "fbp" else encode.Constant(6)(images)
    ledgers = (None, Ledger(every=10**9), Ledger(every=1))
    steps = [stepper(name, net, signal, labels, ledger) for ledger in ledgers]
    for step in steps:
        step()  # the first step is slower, and counts operations in any case
        step()
    times = []
    for number in range(rounds):  # each copy goes first in a third of the rounds
        order = [(number + turn) % 3 for turn in range(3)]
        spent = {index: seconds(steps[index]) for index in order}
        times.append([spent[index] for index in range(3)])
    booking = statistics.median(booked / alone - 1.0 for alone, booked, _ in times)
    counting = statistics.median((counted - booked) / alone for alone, booked, counted in times)
    return {
        "step_s": statistics.median(alone for alone, _, _ in times),
        "booking_share": booking,
        "counting_share": counting,
        "ledger_share": booking + counting / EVERY,
    }


def main() -> None:
    options = parser(__doc__, 60, threads=1).parse_args()
    torch.set_num_threads(options.threads)
    rows = {}
    for name, net, shape, batch in CASES:
        label = f"{name}, {net}, {'x'.join(map(str, shape))}, batch {batch}"
        rows[label] = row = measure(name, net, shape, batch, options.rounds)
        shares = [100 * row[f"{what}_share"] for what in ("booking", "counting", "ledger")]
        print(f"{label:40} {1e3 * row['step_s']:9.2f} ms" + "".join(f" {s:+8.2f} %" for s in shares), flush=True)
    settings = about(every=EVERY, rounds=options.rounds, onchip=onchip.__version__)
    save(options.json, {**settings, "rows": rows})


if __name__ == "__main__":
    main()
