"""Triton's kernels without a GPU: right in its interpreter, and compiled for GPUs, with wide loads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from onchip.kernels.table import Formula, Past

pytest.importorskip("triton")
HERE = Path(__file__)

POINTERS = {"drive", "potentials", "output", "error", "signal", "before", "traced", "series", "total", "plain"}
FLOAT32 = {"membrane", "factors"}
SCALARS = {"decay", "threshold", "through", "first", "second", "share"}
WIDE = {"n", "cells", "channels", "error_step"}
"""Sizes that are multiples of 16 in all but odd networks, which Triton makes use of."""


def test_the_kernels_in_the_interpreter() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        str(HERE.with_name("interpreted.py")),
    ]
    ran = subprocess.run(
        command, cwd=HERE.parents[2], env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def compiled(kernel: Any, constants: dict[str, Any], number: str, architecture: int) -> str:
    """PTX of a kernel as it would be launched."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, aligned = {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in POINTERS | FLOAT32:
            signature[name] = "*fp32" if name in FLOAT32 else f"*{number}"
        else:
            signature[name] = "fp32" if name in SCALARS else "i32"
        if name in POINTERS | FLOAT32 | WIDE:
            aligned[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    made = triton.compile(source, GPUTarget("cuda", architecture, 32), {"enable_fp_fusion": False})
    assert made.asm["cubin"]
    return str(made.asm["ptx"])


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [80, 90])
@pytest.mark.parametrize("number", ["fp32", "bf16", "fp16"])
def test_fire_compiles_for_gpus(number: str, architecture: int) -> None:
    from onchip.kernels.fused.spikes import BLOCKS, _forward

    for pool, block in BLOCKS.items():
        for flag in (False, True):
            constants = {"STATIC": flag, "RESTED": flag, "HARD": flag, "STORES": not flag, "POOL": pool, "BLOCK": block}
            code = compiled(_forward, constants, number, architecture)
            assert "ld.global.v" in code, "loads are to be wide"
            assert "fma.rn.f32" in code


@pytest.mark.parametrize("number", ["fp32", "bf16", "fp16"])
def test_errors_and_traces_compile_for_gpus(number: str) -> None:
    from onchip.kernels.fused import static_drive
    from onchip.kernels.fused.errors import BLOCK, _backward
    from onchip.kernels.fused.traces import _trace, _weighted_sum

    kinds = [(kind, min(kind, 4), 1) for kind in Formula] + [(0, past, 2) for past in Past]
    for kind, past, pool in kinds:
        constants = {"KIND": int(kind), "PAST": int(past), "POOL": pool, "BLOCK": BLOCK}
        assert "ld.global.v4" in compiled(_backward, constants, number, 80)
        flags = {"STEPS": 16, "HARD": past in (Past.RESET_HARD, Past.DETACHED_HARD), "BLOCK": static_drive.BLOCK}
        assert "ld.global.v" in compiled(static_drive._sums, {**constants, **flags}, number, 80)
    for started in (False, True):
        assert "ld.global.v4" in compiled(_trace, {"STARTED": started, "BLOCK": BLOCK}, number, 80)
    assert "ld.global.v4" in compiled(_weighted_sum, {"BLOCK": BLOCK}, number, 80)
