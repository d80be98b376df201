"""Compiled kernels: plain C, built by the system's compiler at first use and cached on disk.

Measured beside torch.compile (19 s), torch's C++ extensions (33 s) and numba (an OpenMP of its own), one call
of the compiler took a second and ran as fast. The library is loaded after torch and shares its threads.

The environment variable ONCHIP_KERNELS chooses: `torch` uses torch only; `native` raises an error without a compiler;
`auto`, the default, falls back to torch and warns once. `triton` concerns GPUs (`onchip.kernels.gpu`); on CPUs it is
the same as `auto`.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

# Loaded first: the library then finds torch's OpenMP in place, and brings no second one.
import torch
from torch import Tensor

from onchip.errors import RequestError
from onchip.kernels import store
from onchip.kernels.table import MACROS, NATIVE
from onchip.kernels.tracing import traced

Choice = Literal["auto", "native", "triton", "torch"]
"""`native` insists on compiled kernels on CPUs, `triton` on those for GPUs (`onchip.kernels.gpu`), `torch` avoids
both, `auto` takes them where they can be had."""

VARIABLE = "ONCHIP_KERNELS"
SOURCES = sorted(Path(__file__).parent.glob("*.c"))
HEADERS = sorted(Path(__file__).parent.glob("*.h"))
# No -ffast-math: NaN and rounding stay as the source has them, so fused multiply-adds are written out, too.
# Traps and errno are not used, and keep a compiler from vectorizing comparisons.
FLAGS = ["-O3", "-march=native", "-std=gnu11", "-fPIC", "-shared"]
FLAGS += ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
THREADS = "-fopenmp"
FLAGS += [f"-D{name}={number}" for name, number in MACROS.items()]
TYPES: dict[str, Any] = {"int64_t": ctypes.c_int64, "double": ctypes.c_double}

_forced: Choice | None = None


class BuildError(Exception):
    """The compiled kernels cannot be had; the message says why."""


def choice() -> Choice:
    """The requested kernels: by `forced`, else by the environment's ONCHIP_KERNELS, else `auto`.

    Raises:
        RequestError: the environment variable has another value.
    """
    requested = _forced or os.environ.get(VARIABLE) or "auto"
    for known in get_args(Choice):
        if requested == known:
            return known
    raise RequestError(f"the environment has {VARIABLE}={requested}; expected one of {', '.join(get_args(Choice))}")


@contextmanager
def forced(requested: Choice) -> Iterator[None]:
    """Requests one kind of kernels within a `with` block, whatever the environment variable is.

    Example:
        >>> with forced("torch"):
        ...     active()
        'torch'
    """
    global _forced
    before, _forced = _forced, requested
    try:
        yield
    finally:
        _forced = before


def active() -> Literal["native", "torch"]:
    """Which kernels run float32 on a CPU; builds the compiled ones if it is their turn.

    Raises:
        RequestError: compiled kernels were insisted on and cannot be built.
    """
    return "torch" if _library() is None else "native"


def function(name: str) -> Callable[..., int] | None:
    """A function of the compiled kernels that returns an int64; None where torch is to do its work.

    Args:
        name: in the C source, which also says what arguments it takes.

    Raises:
        RequestError: compiled kernels were insisted on and cannot be built.
    """
    library = _library()
    return None if library is None else _bound(library, name)


def scan(name: str, series: Tensor, pool: int | None = None) -> Callable[..., int] | None:
    """As `function`, for a series (T, B, features...) and a pool of it; None also where the C code does not take them.

    It takes what `NATIVE` says, and series that are `plain`.
    """
    if series.device.type != NATIVE.device or not NATIVE.take(series, pool) or not plain(series):
        return None
    if series.dtype == torch.bfloat16:
        name = f"{name}_bfloat16"
        return function(name) if name in _signatures() else None
    return function(name)


def plain(series: Tensor) -> bool:
    """Whether a series (T, B, features...) may be worked on outside of torch.

    One step follows the other without gaps, maps (C, H, W) in either order, and there is nothing for autograd or
    a tracer to follow. Neither is one of no samples, with whose number kernels would divide their work.
    """
    if (series.requires_grad and torch.is_grad_enabled()) or traced() or not series.numel():
        return False
    step = series[0]
    gapless = step.is_contiguous() or (step.dim() == 4 and step.is_contiguous(memory_format=torch.channels_last))
    return gapless and series.stride(0) == step.numel()


@functools.cache
def _bound(library: ctypes.CDLL, name: str) -> Callable[..., int]:
    bound = library[name]
    bound.argtypes = list(_signatures()[name])
    bound.restype = ctypes.c_int64
    return bound


@functools.cache
def _signatures() -> dict[str, tuple[Any, ...]]:
    """Types of the arguments of each function, as its C source declares them."""
    sources = "\n".join(source.read_text(encoding="utf-8") for source in SOURCES)
    declared = re.findall(r"^int64_t (onchip_\w+)\(([^)]*)\)", sources, re.MULTILINE)
    return {
        name: tuple(ctypes.c_void_p if "*" in one else TYPES[one.split()[0]] for one in arguments.split(","))
        for name, arguments in declared
    }


def _library() -> ctypes.CDLL | None:
    requested = choice()
    if requested == "torch":
        return None
    library, reason = _loaded()
    if library is None and requested == "native":
        raise RequestError(
            f"compiled kernels were requested and cannot be built: {reason}. Install a C compiler, name one in "
            f"the environment's CC, or set {VARIABLE}=auto to use torch instead"
        )
    if library is None:
        _warn(reason)
    return library


@functools.cache
def _loaded() -> tuple[ctypes.CDLL | None, str]:
    """The library, or None and the reason why there is none."""
    try:
        return _load(), ""
    except (BuildError, store.UntrustedError, OSError) as error:
        return None, str(error)


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled kernels are not used, torch does their work: {reason}. Results are the same to rounding, "
        f"and slower; {VARIABLE}=torch silences this",
        stacklevel=2,
    )


def _load() -> ctypes.CDLL:
    compiler = _compiler()
    name = f"kernels-{_fingerprint(compiler)}"
    for path in store.kept(name):
        with contextlib.suppress(BuildError, OSError):  # whatever is wrong with it, it is built again
            return _opened(path)
    return _opened(build(compiler, name))


def _opened(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    for function in _signatures():
        if not hasattr(library, function):
            raise BuildError(f"{path} has no function {function}")
    return library


def build(compiler: str, name: str) -> Path:
    """Compiles the kernels to a shared library that appears whole or not at all, and returns its path.

    Args:
        compiler: Path of the C compiler.
        name: The name to keep the library under.

    Raises:
        BuildError: The compiler failed; the message has its last words.
        store.UntrustedError: Others may write to the folder of libraries.
        OSError: The folder cannot be written, or there is no such compiler.
    """
    with tempfile.TemporaryDirectory(dir=store.opened()) as folder:
        library = Path(folder) / name
        for threads in ([THREADS], []):  # some compilers come without OpenMP
            command = [compiler, *FLAGS, *threads, "-o", str(library), *map(str, SOURCES), "-lm"]
            ran = subprocess.run(command, capture_output=True, text=True, errors="replace")
            if ran.returncode == 0 and library.exists():
                return store.keep(library, name)
    words = ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"]
    raise BuildError(f"{compiler} failed: {words[-1]}")


def _compiler() -> str:
    named = os.environ.get("CC")
    for name in [named] if named else ["cc", "gcc", "clang"]:
        path = shutil.which(name)
        if path:
            return path
    raise BuildError(f"there is no C compiler named {named or 'cc, gcc or clang'}")


def _fingerprint(compiler: str) -> str:
    """What a built library depends on: sources, flags, compiler and the processor's instructions."""
    parts = [source.read_text(encoding="utf-8") for source in (*SOURCES, *HEADERS)]
    parts += [*FLAGS, compiler, str(os.stat(compiler).st_mtime_ns), sys.platform, platform.machine(), _processor()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if not listed.exists():
        return platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part", "isa")
    lines = dict.fromkeys(line for line in listed.read_text().splitlines() if line.startswith(wanted))
    return "\n".join(lines)
