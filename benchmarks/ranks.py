"""How many samples a second do two processes train together, beside twice one process?

    python benchmarks/ranks.py [--rules bp,opzo] [--rounds 15] [--json FILE]

Each process has one thread and 32 samples of a batch: one has a batch of 32, two share one of 64. The network is
`conv5`. Rounds of one process and of two take turns on the same cores; the efficiency is
the median, over rounds, of the samples a second of two processes over twice those of one. While one is measured, the
other waits. `processor_efficiency` is the same ratio of processor time, which other programs disturb less, and which
leaves out what a process waits for the other.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
import time
from multiprocessing.connection import Connection
from typing import Any

import torch

from _measure import about, paired, parser, save
from onchip import Static, models, nn, rules
from onchip.learning.ranks import ALONE, Ranks
from onchip.losses import StepLoss
from onchip.nn.signals import TIME_STEPS
from onchip.training.gradients import gradients

SHAPE, CLASSES, STEPS, BATCH = (3, 32, 32), 10, 2, 32
PROCESSES = 2
STEPS_PER_ROUND = 1


def contender(pipe: Connection, name: str, environment: dict[str, str], *, together: bool) -> None:
    """One process: for each message, the seconds of some training steps."""
    os.environ |= environment
    torch.set_num_threads(1)
    ranks = Ranks.join() if together else ALONE
    torch.manual_seed(0)
    rule = getattr(rules, name)(models.conv5(SHAPE, CLASSES, neuron=nn.LIF))
    if together:
        rule.divide(ranks)
    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-3)
    rule.step_after(optimizer)
    signal, labels = Static(torch.rand(BATCH, *SHAPE), STEPS), torch.arange(BATCH) % CLASSES
    while pipe.recv():
        begin, processor = time.perf_counter(), time.process_time()
        for _ in range(STEPS_PER_ROUND):
            gradients(rule, StepLoss(), signal, labels, TIME_STEPS)
            optimizer.step()
            optimizer.zero_grad()
        pipe.send((time.perf_counter() - begin, time.process_time() - processor))
    ranks.leave()


def measure(name: str, rounds: int) -> dict[str, Any]:
    fresh = multiprocessing.get_context("spawn")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    pipes, started = [], []
    for rank in range(PROCESSES + 1):  # the last one is alone
        pipe, far = fresh.Pipe()
        together = rank < PROCESSES
        environment = {**shared, "RANK": str(rank)} if together else {}
        process = fresh.Process(target=contender, args=(far, name, environment), kwargs={"together": together})
        process.start()
        pipes.append(pipe)
        started.append(process)
    times: dict[str, list[float]] = {"one": [], "two": []}
    processor: dict[str, list[float]] = {"one": [], "two": []}
    for number in range(rounds + 1):  # the first round warms up
        for which, chosen in (("one", pipes[PROCESSES:]), ("two", pipes[:PROCESSES])):
            for pipe in chosen:
                pipe.send(True)
            spent = [pipe.recv() for pipe in chosen]
            if number:
                times[which].append(max(wall for wall, _ in spent))
                processor[which].append(statistics.mean(used for _, used in spent))
    for pipe in pipes:
        pipe.send(False)
    for process in started:
        process.join()
    low, middle, high = paired(times["one"], times["two"])  # equally many samples in each process
    each = BATCH * STEPS_PER_ROUND
    return {
        "samples_per_second_one": each / statistics.median(times["one"]),
        "samples_per_second_two": PROCESSES * each / statistics.median(times["two"]),
        "efficiency": middle,
        "efficiency_quartile_low": low,
        "efficiency_quartile_high": high,
        "processor_efficiency": paired(processor["one"], processor["two"])[1],
    }


def main() -> None:
    arguments = parser(__doc__, 15)
    arguments.add_argument("--rules", default="bp,opzo,dfa", help="separated by commas")
    options = arguments.parse_args()
    rows = {name: measure(name, options.rounds) for name in options.rules.split(",")}
    result = about(net="conv5", steps=STEPS, batch=BATCH, rounds=options.rounds)
    for name, row in rows.items():
        print(
            f"{name:12} one {row['samples_per_second_one']:7.1f}, two {row['samples_per_second_two']:7.1f} samples/s, "
            f"efficiency {row['efficiency']:.2f} ({row['efficiency_quartile_low']:.2f} to "
            f"{row['efficiency_quartile_high']:.2f}), by processor time {row['processor_efficiency']:.2f}"
        )
    save(options.json, {**result, "rows": rows})


if __name__ == "__main__":
    main()
