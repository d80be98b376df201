"""What else there is to know of a training step: its memory, its page faults, and where its time goes."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from onchip.kernels import native
from peers import Step

__all__ = ["page_faults", "peak_growth", "shares"]

WARM_UP = 3
PRODUCTS = ("mm", "addmm", "bmm", "mkldnn_convolution", "convolution_backward", "onchip_sparse", "onchip_nonzero")
"""What torch's profiler calls products, and ours that skip zeros."""


def peak_growth(step: Step) -> float:
    """MiB by which resident memory rose at most during a few steps; NaN where the system is not Linux."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    before = _kib(status, "VmRSS") if reset.exists() else 0
    if reset.exists():
        reset.write_text("5")  # forgets the peak so far, that of importing torch
    for _ in range(WARM_UP):
        step()
    return (_kib(status, "VmHWM") - before) / 2**10 if reset.exists() else float("nan")


def _kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def page_faults(step: Step) -> float:
    """Pages that the system had to hand out in a step."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(WARM_UP):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / WARM_UP


def shares(step: Step) -> dict[str, float]:
    """Shares of a step's time, as torch's profiler sees them."""
    with _named(), profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(WARM_UP):
            step()
    spent = {"products": 0.0, "scans": 0.0, "rest": 0.0}
    for event in seen.key_averages():
        name = event.key.removeprefix("aten::")
        kind = "products" if name in PRODUCTS else "scans" if name.startswith("onchip_") else "rest"
        spent[kind] += event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in spent.items()}


@contextmanager
def _named() -> Iterator[None]:
    """Shows calls of compiled kernels to the profiler, by their names."""
    bound = native._bound

    def named(library: Any, name: str, signature: str) -> Callable[..., int]:
        call = bound(library, name, signature)

        def recorded(*arguments: Any) -> int:
            with record_function(name):
                return call(*arguments)

        return recorded

    native._bound = named  # type: ignore[assignment]
    try:
        yield
    finally:
        native._bound = bound
