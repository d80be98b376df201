"""Which kernels a device runs, and calls of those in Triton: where it is missing or fails, torch is used instead.

`ONCHIP_KERNELS=triton` requires them. They then also run in Triton's interpreter on a CPU, if the environment has
TRITON_INTERPRET=1 from the start: this is slow, and serves to test them without a GPU.
"""

import contextlib
import functools
import importlib
import os
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.kernels import native
from onchip.kernels.table import NATIVE, TRITON

_broken: list[str] = []
"""Why Triton is out of use, once it has failed."""


def active(device: torch.device | str = "cpu") -> Literal["native", "triton", "torch"]:
    """Which kernels run the scans of a device; compiles some of them if needed.

    On a CPU the answer is for float32, and for bfloat16 where it is taken; Triton takes float16, too.

    Raises:
        RequestError: the required kernels are not available, or do not run on such a device.
    """
    device, requested = torch.device(device), native.choice()
    if _reached(device):
        signal = torch.zeros(1, 1, device=device)
        probe = scan("trace", signal)
        return "triton" if probe is not None and probe(signal, None, torch.empty_like(signal), 0.5) else "torch"
    runs_on = {"native": NATIVE.device, "triton": TRITON.device}.get(requested, device.type)
    if device.type != runs_on:
        raise RequestError(
            f"kernels got {native.VARIABLE}={requested} and device {device.type!r}; expected device {runs_on!r}. "
            f"Set {native.VARIABLE}=auto to take those of the device"
        )
    return native.active() if device.type == "cpu" else "torch"


def scan(name: str, series: Tensor, pool: int | None = None) -> Callable[..., bool] | None:
    """A Triton scan for a series (T, B, features...) and a pool of it, by its name in `onchip.kernels.fused`.

    None where Triton does not take them. The scan returns whether it ran; if not, it has written nothing, and torch
    has to compute the same.

    Raises:
        RequestError: Triton was required and is not available.
    """
    if not _reached(series.device) or not TRITON.take(series, pool) or not native.plain(series):
        return None
    if _broken and native.choice() != "triton":
        return None
    return functools.partial(_tried, name, series.device)


def _reached(device: torch.device) -> bool:
    """Whether Triton has to run on a device."""
    requested = native.choice()
    if device.type == "cpu":
        return requested == "triton" and os.environ.get("TRITON_INTERPRET") == "1"
    return device.type == TRITON.device and requested in ("auto", "triton")


def _tried(name: str, device: torch.device, *arguments: Any) -> bool:
    try:
        # Triton launches on the current device, wherever the tensors are.
        with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
            _launcher(name)(*arguments)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a compiler, a linker or a driver may raise
        _give_up(error)
        return False
    return True


@functools.cache
def _launcher(name: str) -> Callable[..., None]:
    launcher: Callable[..., None] = getattr(importlib.import_module("onchip.kernels.fused"), name)
    return launcher


def _give_up(error: Exception) -> None:
    reason = f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no reason given'])[-1]}"
    if native.choice() == "triton":
        raise RequestError(
            f"Triton kernels were requested and cannot be had: {reason}. Install a Triton that fits this torch and "
            f"GPU, or set {native.VARIABLE}=auto to use torch instead"
        ) from error
    _broken.append(reason)
    warnings.warn(
        f"Triton kernels are not used, torch does their work: {reason}. Results are the same to rounding, and slower; "
        f"{native.VARIABLE}=torch silences this",
        stacklevel=2,
    )
