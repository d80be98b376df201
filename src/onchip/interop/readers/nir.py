"""NIR as it is defined, without a program's own conventions."""

from onchip.interop.readers.base import FAITHFUL, Reader

nir = Reader(
    name="nir",
    version="1.0.8",
    # NIR has no time step; that of snnTorch and spikingjelly, stored in the file's metadata.
    dt=1e-4,
    support=dict.fromkeys(
        [
            *("Linear", "Affine", "Conv1d", "Conv2d", "SumPool2d", "AvgPool2d", "Flatten"),
            *("IF", "LIF", "CubaLIF", "LI", "recurrent", "residual", "shortcut"),
        ],
        FAITHFUL,
    ),
)
"""The equations of the package `nir`, integrated by Euler's method; a spike where v > v_threshold."""
