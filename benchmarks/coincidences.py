"""How fast are coincidences of spikes counted by AND and a count of bits, beside products of floats?

    python benchmarks/coincidences.py [--rounds 15] [--threads 1] [--json FILE]

The update of 784-200 after T = 128 steps of 100 samples: D⁺ᵀ X and D⁻ᵀ X over 12,800 rows, which a device needs
one by one, for it has pulses up and pulses down. Operands lie there as floats for the products, and as bytes for
the counts, whose packing is counted too. Every way takes its turn in each round; a ratio is taken inside each.
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

from onchip import kernels
from onchip.kernels.popcount import coincidences, pack

INPUTS, OUTPUTS, ROWS = 784, 200, 128 * 100
INPUT_RATE, ERROR_RATE = 0.3, 0.05


def ways() -> dict[str, Callable[[], object]]:
    """What takes part; all find the same numbers."""
    torch.manual_seed(0)
    pre = (torch.rand(ROWS, INPUTS) < INPUT_RATE).to(torch.uint8)
    drawn = torch.rand(ROWS, OUTPUTS)
    up, down = (drawn < ERROR_RATE).to(torch.uint8), (drawn > 1 - ERROR_RATE).to(torch.uint8)
    floats = [spikes.float() for spikes in (up, down, pre)]
    packed = [pack(spikes) for spikes in (up, down, pre)]

    def products() -> tuple[Tensor, Tensor]:
        return floats[0].t() @ floats[2], floats[1].t() @ floats[2]

    for counted, product in zip(coincidences(*packed), products(), strict=True):
        assert torch.equal(counted.float(), product)
    signed = floats[0] - floats[1]
    return {
        "float32, up and down": products,
        "float32, their difference alone": lambda: signed.t() @ floats[2],
        "counts, with packing": lambda: coincidences(pack(up), pack(down), pack(pre)),
        "counts": lambda: coincidences(*packed),
    }


def measure(rounds: int) -> dict[str, dict[str, float]]:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    works = ways()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            begin = clock()
            work()
            times[name].append(clock() - begin)
    rows = {}
    for name, spent in times.items():  # the first round warms up
        ratios = [base / own for base, own in zip(times["float32, up and down"][1:], spent[1:], strict=True)]
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
    parser.add_argument("--rounds", type=int, default=15, help="at least 2; more give steadier quartiles")
    parser.add_argument("--threads", type=int, help="of torch; by default as many as it takes by itself")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    options = parser.parse_args()
    if options.rounds < 2 or (options.threads or 1) < 1:
        parser.error("--rounds is at least 2, --threads at least 1")
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options.rounds)
    result = {
        "rounds": options.rounds,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "kernels": kernels.active(),
        "rows": rows,
    }
    print(", ".join(f"{key} {value}" for key, value in result.items() if key != "rows"))
    for name, row in rows.items():
        spread = f"({row['quartile_low']:.1f} to {row['quartile_high']:.1f})"
        print(f"{name:32} {row['milliseconds']:7.1f} ms  {row['times_as_fast']:5.1f} times as fast {spread}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
