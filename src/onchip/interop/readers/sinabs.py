"""sinabs: `sinabs.nir.from_nir`."""

from onchip.interop.readers.base import FAITHFUL, Reader

sinabs = Reader(
    name="sinabs",
    version="3.1.3",
    dt=1.0,
    strict=False,
    decay="exponential",
    lif_gain="unit",
    li_gain="unit",
    if_gain="unit",
    resets="soft",
    bias=True,
    maps=False,
    grouped=False,
    pads_sums=False,
    averages="convolution",
    support={
        **dict.fromkeys(["Affine", "Conv2d", "SumPool2d", "Flatten", "LI", "residual"], FAITHFUL),
        "LIF": ("approximate", "sinabs sends several spikes at once where a membrane reaches the threshold twice"),
        "IF": (
            "approximate",
            "sinabs sends several spikes at once where a membrane reaches the threshold twice, and keeps it above -θ",
        ),
        "recurrent": ("unsupported", "sinabs runs each layer over all time steps at once"),
        "shortcut": ("unsupported", "nirtorch 2.6, which executes the graph, runs a second branch too late"),
    },
)
"""It takes τ in time steps, α = exp(-1/τ), and subtracts the threshold at a spike."""
