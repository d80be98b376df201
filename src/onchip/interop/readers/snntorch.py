"""snnTorch: `snntorch.import_nir.import_from_nir`."""

from onchip.interop.readers.base import FAITHFUL, Reader

snntorch = Reader(
    name="snntorch",
    version="1.0.0",
    dt=1e-4,
    # IF becomes Leaky(beta=0.9) with a soft reset, whatever the node says; a LIF of endless τ does not leak.
    leaks=True,
    scalar_threshold=True,
    flatten_batch=True,
    grouped=False,
    pads_sums=False,
    sums_at_output=False,
    support={
        **dict.fromkeys(["Linear", "Affine", "Conv1d", "Conv2d", "AvgPool2d", "SumPool2d", "LIF", "CubaLIF"], FAITHFUL),
        "Flatten": ("faithful", "snnTorch flattens the batch, too: give it one sample at a time, without that axis"),
        "recurrent": ("unsupported", "snnTorch 1.0.0 fails to run the recurrent connections that it reads"),
        "residual": FAITHFUL,
        "shortcut": FAITHFUL,
    },
)
"""It takes dt = 0.1 ms and one threshold for all neurons of a node."""
