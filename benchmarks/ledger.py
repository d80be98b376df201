"""What does the ledger cost, in time, beside a training step?

    python benchmarks/ledger.py [--rounds 60] [--threads N] [--json FILE]

Three copies of a network train side by side under one rule: one alone, one with a ledger in a step in which it
counts no operations, and one in a step in which it does. Each takes one step in every round, in turn; what is
compared is the processor's time, so that other programs do not count. Ratios are taken in each round, medians over the
rounds. A ledger counts in every 50th step, so its share is that of the other steps and a 50th of what counting adds.
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

import onchip
from onchip import encoding as encode
from onchip import models, rules
from onchip.cost.ledger import Ledger
from onchip.losses import StepLoss
from onchip.nn.neurons import LIF, TTFS
from onchip.nn.signals import Signal

EVERY = 50
"""Steps between two exact counts, as `Ledger()` has them."""
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
    """One training step of a network of its own."""
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


def seconds(step: Callable[[], None]) -> float:
    """Processor's time of one step."""
    begin = time.process_time()
    step()
    return time.process_time() - begin


def measure(name: str, net: str, shape: tuple[int, ...], batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of a step alone, and median shares that the ledger adds."""
    torch.manual_seed(0)
    images, labels = torch.rand(batch, *shape), torch.randint(0, 10, (batch,))
    signal = encode.Latency()(images) if name == "fbp" else encode.Constant(6)(images)
    ledgers = (None, Ledger(every=10**9), Ledger(every=1))
    steps = [stepper(name, net, signal, labels, ledger) for ledger in ledgers]
    for step in steps:
        step()  # the first is slower, and counts in any case
        step()
    times = []
    for number in range(rounds):  # none always goes first
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if min(options.rounds, options.threads) < 1:
        parser.error("--rounds and --threads are at least 1")
    torch.set_num_threads(options.threads)
    rows = {}
    for name, net, shape, batch in CASES:
        label = f"{name}, {net}, {'x'.join(map(str, shape))}, batch {batch}"
        rows[label] = found = measure(name, net, shape, batch, options.rounds)
        shares = [100 * found[f"{what}_share"] for what in ("booking", "counting", "ledger")]
        print(f"{label:40} {1e3 * found['step_s']:9.2f} ms" + "".join(f" {s:+8.2f} %" for s in shares), flush=True)
    result = {
        "every": EVERY,
        "rounds": options.rounds,
        "threads": options.threads,
        "date": date.today().isoformat(),
        "onchip": onchip.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "rows": rows,
    }
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
