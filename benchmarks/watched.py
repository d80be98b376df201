"""The memory and the page faults of a training step, and where its time goes."""

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
"""Names of products in torch's profiler, among them our own, which skip zeros."""


def peak_growth(step: Step, steps: int = WARM_UP) -> float:
    """The peak rise of resident memory during a few steps, in MiB; NaN where the system is not Linux."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    before = _kib(status, "VmRSS") if reset.exists() else 0
    if reset.exists():
        reset.write_text("5")  # resets the peak, which importing torch has set
    for _ in range(steps):
        step()
    return (_kib(status, "VmHWM") - before) / 2**10 if reset.exists() else float("nan")


def _kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def page_faults(step: Step) -> float:
    """Page faults per step."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(WARM_UP):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / WARM_UP


def shares(step: Step) -> dict[str, float]:
    """Shares of a step's time, as torch's profiler measures them."""
    with _named(), profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(WARM_UP):
            step()
    spent = {"products": 0.0, "scans": 0.0, "rest": 0.0}
    for event in profiled.key_averages():
        name = event.key.removeprefix("aten::")
        kind = "products" if name in PRODUCTS else "scans" if name.startswith("onchip_") else "rest"
        spent[kind] += event.self_cpu_time_total
    return {kind: time / sum(spent.values()) for kind, time in spent.items()}


@contextmanager
def _named() -> Iterator[None]:
    """Makes calls of compiled kernels visible to the profiler under their names."""
    bound = native._bound

    def named(library: Any, name: str) -> Callable[..., int]:
        call = bound(library, name)

        def recorded(*arguments: Any) -> int:
            with record_function(name):
                return call(*arguments)

        return recorded

    native._bound = named  # type: ignore[assignment]
    try:
        yield
    finally:
        native._bound = bound
