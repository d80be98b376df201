"""Examples of every command, which `--help` shows below its options: by the command's words after `onchip`."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "compare": (
        "onchip compare --rules bp,fbp,dfa --epochs 5",
        "onchip compare --data fashion-mnist --download --net 16C3-P2-F64 --out runs/fashion",
    ),
    "train": (
        "onchip train --rule fbp:period=100 --net 16C3-P2-F64 --out runs/mine",
        "torchrun --nproc-per-node 4 -m onchip train --rule opzo",
    ),
    "predict": ("onchip predict runs/mine pictures/ --csv",),
    "rules": ("onchip rules", "onchip rules fbp"),
    "networks": ("onchip networks vgg7",),
    "neurons": ("onchip neurons lif",),
    "encoders": ("onchip encoders poisson",),
    "devices": ("onchip devices pulsed",),
    "hardware": ("onchip hardware loihi",),
    "audit": ("onchip audit bp dfa", "onchip audit --all --net R64 --data-like 1x12x1"),
    "cost": ("onchip cost bp fbp dfa --net vgg11 --data 3x32x32", "onchip cost --memory --net conv-wide"),
    "report": ("onchip report runs/mine runs/fashion --out report --format all",),
    "export": ("onchip export runs/mine --reader norse",),
    "import": ("onchip import network.nir",),
    "data list": ("onchip data list",),
    "data fetch": ("onchip data fetch mnist",),
    "data check": ("onchip data check mnist",),
    "chips check": ("onchip chips check loihi --net mlp",),
    "chips show": ("onchip chips show loihi",),
}
