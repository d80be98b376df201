"""spikingjelly: `spikingjelly.activation_based.nir_exchange.from_nir.import_from_nir`."""

from onchip.interop.readers.base import FAITHFUL, Reader

spikingjelly = Reader(
    name="spikingjelly",
    version="2.0.0",
    dt=1e-4,
    strict=False,
    uniform=True,
    least_decay=False,
    grouped=False,
    pads_sums=False,
    # The executor of nirtorch has no activity of the step before at the first step, and so no bias of it.
    recurrent_bias=False,
    sums_at_output=False,
    support={
        **dict.fromkeys(["Linear", "Affine", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d", "Flatten"], FAITHFUL),
        **dict.fromkeys(["LIF", "IF", "CubaLIF", "recurrent", "residual", "shortcut"], FAITHFUL),
    },
)
"""It takes dt = 0.1 ms, one set of constants for all neurons of a node, and R = τ/dt or 1/dt only."""
