"""What all benchmarks share: clocks, measurement in turns, paired ratios, and the description of the machine."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import torch

__all__ = ["about", "in_turns", "machine", "paired", "parser", "processor", "save", "seconds", "show", "speed"]

Step = Callable[[], object]
DOCS = Path(__file__).resolve().parent.parent / "docs"


def seconds(work: Step, device: torch.device | None = None) -> float:
    """Seconds of one call.

    On a GPU the clock waits for the device. On one CPU thread it counts processor time, which other programs on the
    machine disturb less than the time on the wall.
    """
    gpu = device is not None and device.type == "cuda"
    clock = time.process_time if torch.get_num_threads() == 1 and not gpu else time.perf_counter
    if gpu:
        torch.cuda.synchronize(device)
    begin = clock()
    work()
    if gpu:
        torch.cuda.synchronize(device)
    return clock() - begin


def in_turns(
    works: Mapping[str, Step], rounds: int, *, warm_up: int = 1, timer: Callable[[Step], float] = seconds
) -> dict[str, list[float]]:
    """Seconds of every work in every round; all works take one turn per round, so that noise affects all alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(warm_up + rounds):
        for name, work in works.items():
            times[name].append(timer(work))
    return {name: spent[warm_up:] for name, spent in times.items()}


def paired(base: Sequence[float], own: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile of base / own, with ratios taken inside each round."""
    low, middle, high = statistics.quantiles([one / other for one, other in zip(base, own, strict=True)], n=4)
    return low, middle, high


def speed(base: Sequence[float], own: Sequence[float]) -> dict[str, float]:
    """How many times as fast as the base, with quartiles, and the median time."""
    low, middle, high = paired(base, own)
    return {
        "milliseconds": 1e3 * statistics.median(own),
        "times_as_fast": middle,
        "quartile_low": low,
        "quartile_high": high,
    }


def machine() -> str:
    """The processor's architecture and its vector instructions."""
    return f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def processor() -> str:
    """The processor's name and its instructions for products in bfloat16, as Linux has them."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = [flag.upper() for flag in ("avx512_bf16", "amx_bf16", "bf16") if flag in facts.get("flags", "").split()]
    family = f" (family {facts['cpu family']}, model {facts['model']})" if "cpu family" in facts else ""
    return f"{facts.get('model name', platform.processor())}{family}, {', '.join(flags) or 'no bfloat16 products'}"


def about(**settings: Any) -> dict[str, Any]:
    """The settings of a benchmark, followed by the date, the version of torch, the threads and the machine."""
    return {
        **settings,
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "machine": machine(),
    }


def save(path: Path | None, result: Mapping[str, Any]) -> None:
    """Writes a result as JSON, if there is a path."""
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def show(page: str, name: str, table: str) -> None:
    """Writes a table between `<!-- table: NAME -->` and the next end marker in a page of docs/."""
    path, begin, end = DOCS / page, f"<!-- table: {name} -->\n", "<!-- end of table -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    path.write_text(f"{before}{begin}\n{table}\n\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def parser(description: str | None, rounds: int, threads: int | None = None) -> argparse.ArgumentParser:
    """A parser with the options that all benchmarks have: `--rounds`, `--threads` and `--json`.

    Args:
        description: The docstring of the benchmark.
        rounds: The default of `--rounds`.
        threads: The default of `--threads`; None leaves the number to torch.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--rounds", type=partial(_at_least, 2), default=rounds, help="more give steadier quartiles")
    made.add_argument("--threads", type=partial(_at_least, 1), default=threads, help="CPU threads of torch")
    made.add_argument("--json", type=Path, help="also write the result to this file")
    return made


def _at_least(least: int, text: str) -> int:
    if not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"got {text!r}; expected a whole number of at least {least}")
    return int(text)
