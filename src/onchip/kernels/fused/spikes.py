"""Leaky integrate-and-fire neurons over time on a GPU, with the average pool of their spikes.

A program has a block of neurons, or of pooled cells with the p² neurons of each, and runs them through all steps.
Their membranes are float32 in registers, whatever the tensors are. Sums and products are fused where kernels/scans.c
fuses them, and nowhere else (`enable_fp_fusion=False` at the launch), so float32 spikes and potentials are those of
compiled code and of torch, bit for bit. In half precision a spike is decided by the potential as it is stored, which
is what the backward pass reads.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

BLOCKS = {1: 1024, 2: 512}
"""Cells per program by side of the pool, 4 warps: 128 bits of float32 per thread. Larger pools fill the registers."""


def forward(
    drive: Tensor,
    potentials: Tensor | None,
    output: Tensor,
    membrane: Tensor,
    extent: tuple[int, ...],
    decay: float,
    threshold: float,
    static: bool,
    rested: bool,
    hard: bool,
) -> None:
    """Fills potentials (T, B, ...), which may be the drive itself, output and membrane.

    Args:
        drive: (T, B, ...), or (B, ...) if static.
        potentials: u; None if they are not needed.
        output: spikes, or their averages.
        membrane: v, (B, ...) float32; v before the first step if rested.
        extent: (B, H, W, C, pool), as in kernels/lif.py.
        decay: λ.
        threshold: θ.
        static: one drive for all steps.
        rested: the neurons do not start from zero.
        hard: reset to zero.
    """
    _, _, width, channels, pool = extent
    cells, n = output[0].numel(), membrane.numel()
    block = BLOCKS.get(pool, 128)
    # With no pool a "row" would be one pixel of n channels, for which the kernel has no use.
    sizes = (cells, n, channels, width) if pool > 1 else (cells, n, 1, 1)
    tensors = drive, drive if potentials is None else potentials, output, membrane
    options = {"STATIC": static, "RESTED": rested, "HARD": hard, "STORES": potentials is not None, "POOL": pool}
    arguments = *tensors, len(output), *sizes, decay, threshold
    _forward[(triton.cdiv(cells, block),)](*arguments, **options, BLOCK=block, enable_fp_fusion=False)


@triton.jit
def _forward(
    drive,
    potentials,
    output,
    membrane,
    steps,
    cells,
    n,
    channels,
    width,
    decay,
    threshold,
    STATIC: tl.constexpr,
    RESTED: tl.constexpr,
    HARD: tl.constexpr,
    STORES: tl.constexpr,
    POOL: tl.constexpr,
    BLOCK: tl.constexpr,
):
    out = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    live = out < cells
    if POOL == 1:
        corner = out
    else:
        cell, channel = out // channels, out % channels
        across = width // POOL
        corner = (cell // across * POOL * width + cell % across * POOL) * channels + channel
    membranes = ()
    currents = ()
    for i in tl.static_range(POOL * POOL):
        at = corner + (i // POOL * width + i % POOL) * channels
        if RESTED:
            membranes = membranes + (tl.load(membrane + at, mask=live),)
        else:
            membranes = membranes + (tl.zeros([BLOCK], tl.float32),)
        if STATIC:
            currents = currents + (tl.load(drive + at, mask=live).to(tl.float32),)
    for _ in range(steps):
        fired = tl.zeros([BLOCK], tl.float32)
        after = ()
        for i in tl.static_range(POOL * POOL):
            at = corner + (i // POOL * width + i % POOL) * channels
            if STATIC:
                current = currents[i]
            else:
                current = tl.load(drive + at, mask=live).to(tl.float32)
            u = tl.fma(membranes[i], decay, current)
            stored = u.to(potentials.dtype.element_ty)
            if STORES:
                tl.store(potentials + at, stored, mask=live)
            s = tl.where(stored.to(tl.float32) >= threshold, 1.0, 0.0)
            fired += s
            if HARD:
                after = after + (u - u * s,)
            else:
                after = after + (u - threshold * s,)
        membranes = after
        share = tl.div_rn(fired, POOL * POOL * 1.0) if POOL > 1 else fired
        tl.store(output + out, share.to(output.dtype.element_ty), mask=live)
        # Pointers move on, so that places within a step are numbers of 32 bits.
        drive += n
        potentials += n
        output += cells
    for i in tl.static_range(POOL * POOL):
        at = corner + (i // POOL * width + i % POOL) * channels
        tl.store(membrane + at, membranes[i], mask=live)
