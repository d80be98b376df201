"""Whether torch's operations are being recorded, so that all work has to be done by them."""

import torch


def traced() -> bool:
    """Whether a compiler or tracer follows what torch computes: torch.compile, export, jit.trace, make_fx and so on.

    Compiled kernels, which read and write memory behind torch's back, would be missing from what it records.
    """
    if torch.compiler.is_compiling() or scripted():
        return True
    # Modes in which every operation is dispatched to Python, as in make_fx; there is no public name for their number.
    return bool(torch._C._len_torch_dispatch_stack())


def scripted() -> bool:
    """Whether torch.jit.trace follows, whose traces have no derivatives of spikes."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
