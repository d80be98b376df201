"""norse: `norse.torch.from_nir`."""

from onchip.interop.readers.base import FAITHFUL, Reader

norse = Reader(
    name="norse",
    version="1.1.0",
    dt=1e-3,
    # LIFBoxCell: v += dt/τ (I - v), without R; IAFCell: v += I.
    lif_gain="leak",
    if_gain="unit",
    flatten_batch=True,
    grouped=False,
    pads_sums=False,
    # It leaves AvgPool2d out without a word.
    averages="convolution",
    # Its executor has no activity of the step before at the first step, and so no bias of it.
    recurrent_bias=False,
    support={
        **dict.fromkeys(["Linear", "Affine", "Conv2d", "SumPool2d", "LIF", "IF", "CubaLIF"], FAITHFUL),
        "Flatten": ("faithful", "norse flattens the batch, too: give it one sample at a time, without that axis"),
        "LI": ("unsupported", "norse 1.1.0 leaves LI out without a word; end with a plain read-out"),
        "recurrent": FAITHFUL,
        "residual": FAITHFUL,
        "shortcut": ("unsupported", "norse 1.1.0 runs a second branch one time step late"),
    },
)
"""It takes dt = 1 ms and executes nodes depth first."""
