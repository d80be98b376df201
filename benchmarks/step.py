"""How fast is a training step, and how much memory does it use, compared with the same network without neurons?

    python benchmarks/step.py [--net conv_wide] [--rules bp,dfa] [--rounds 15] [--threads 1] [--json FILE]

The floor is the network with ReLU in place of neurons, trained by plain torch on the same T·B images, in the default
memory layout of torch. Every contender takes one step in each round, in turn, so that noise on the machine affects all
alike; ratios are taken inside a round. On one thread the clock counts processor time, which other programs disturb less
than the time on the wall. Each contender has its own process. Peak memory is the highest rise of resident memory during
its first steps (Linux only).

There are two forms of input: `static`, one image that is constant for T steps, which the first layer multiplies once;
and `frames`, the same images repeated over time, as event data would arrive. Networks of neurons with spike times get
`times`, which have no time steps. `torch` means kernels in plain torch, as without a compiler; `in chunks` means a
batch in four parts. Other libraries are included where they are installed (peers.py). `--keep` makes all contenders
keep the memory that they free, as the command line of `onchip` does (onchip.allocator); without it all use the
allocator's defaults.

torch's profiler measures in separate steps where the time goes: the shares of products, of scans over time, and of
everything else, Python included.
"""

from __future__ import annotations

import multiprocessing
import statistics
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection

import torch
import torch.nn.functional as F
from torch import Tensor

from _measure import about, paired, parser, save, seconds
from onchip import Static, allocator, kernels, models, nn, rules
from onchip import encoding as encode
from onchip.errors import UnsupportedError
from onchip.models.layout import Layout
from onchip.nn.signals import SPIKE_TIMES, TIME_STEPS, Signal
from peers import Step, peers
from watched import page_faults, peak_growth, shares

STEPS = 6
CLASSES = 10
CHUNKS = 4
SHAPES: dict[str, tuple[int, int, int]] = {
    "conv_wide": (1, 28, 28),
    "mlp_wide": (1, 28, 28),
    "conv_rgb": (3, 32, 32),
    "conv5": (3, 32, 32),
    "vgg7": (3, 32, 32),
}
BATCH = {"conv_wide": 64, "mlp_wide": 128, "conv_rgb": 8, "conv5": 32, "vgg7": 8}
CONV_RGB = Layout("64C3-P2-128C3-P2-256C3-P2")
TIMES = ("vgg7",)
"""Networks of neurons with spike times, which have no time steps."""


def network(net: str) -> nn.Sequential:
    """The spiking network: one of `onchip.models`, or the layout of `conv_rgb`."""
    make = CONV_RGB if net == "conv_rgb" else getattr(models, net)
    return make(SHAPES[net], CLASSES, neuron=nn.TTFS if net in TIMES else nn.LIF)


def images(net: str) -> tuple[Tensor, Tensor]:
    """Images (B, C, H, W), and labels (T·B,), time step by time step."""
    torch.manual_seed(0)
    drawn, labels = torch.rand(BATCH[net], *SHAPES[net]), torch.randint(0, CLASSES, (BATCH[net],))
    return drawn, labels.repeat(steps_of(net))


def steps_of(net: str) -> int:
    return 1 if net in TIMES else STEPS


def signal_of(net: str, form: str) -> Signal:
    """The images as `static`, `frames` or `times`."""
    batch, _ = images(net)
    if form == "times":
        return encode.Latency()(batch)
    return Static(batch, STEPS) if form == "static" else Static(batch, STEPS).expand().contiguous()


def floor(net: str, memory_format: torch.memory_format) -> Step:
    """A training step of the network without neurons on T·B images, in plain torch."""
    batch, labels = images(net)
    frames = batch.repeat(steps_of(net), 1, 1, 1).contiguous(memory_format=memory_format)
    layers = [without_time(layer) for layer in network(net)]
    model = torch.nn.Sequential(*layers).to(memory_format=memory_format)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step() -> None:
        F.cross_entropy(model(frames), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def without_time(layer: torch.nn.Module) -> torch.nn.Module:
    """The layer of the floor that replaces one of ours."""
    if isinstance(layer, nn.EarliestPool2d):
        return torch.nn.MaxPool2d(layer.kernel_size)
    if isinstance(layer, nn.TTFSReadout):
        return torch.nn.Identity()
    return torch.nn.ReLU() if isinstance(layer, nn.Neuron) else layer


def ours(net: str, name: str, form: str, parts: int = 1) -> Step:
    """A training step of the spiking network under one rule, with the batch in `parts` parts."""
    kind = SPIKE_TIMES if form == "times" else TIME_STEPS
    size = BATCH[net] // parts
    labels = images(net)[1].view(steps_of(net), -1).split(size, 1)
    signals = list(kind.chunks(signal_of(net, form), size))
    rule = getattr(rules, name)(network(net))
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        for signal, label in zip(signals, labels, strict=True):
            rule.forward(signal)
            losses = [F.cross_entropy(out.reshape(-1, CLASSES), label.flatten()) for out in rule.outputs]
            targets = label if rule.by_target else None
            rule.backward(torch.stack(losses).sum() / parts, targets=targets, share=1 / parts)
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def without_compiler(net: str, name: str, form: str) -> Step:
    """As `ours`, with kernels in plain torch."""
    inner = ours(net, name, form)

    def step() -> None:
        with kernels.forced("torch"):
            inner()

    return step


def contenders(net: str, chosen: list[str]) -> dict[str, Callable[[], Step]]:
    """Every step that is measured, the floors first."""
    steps: dict[str, Callable[[], Step]] = {
        "floor": lambda: floor(net, torch.contiguous_format),
        "floor, channels_last": lambda: floor(net, torch.channels_last),
    }
    forms = ("times",) if net in TIMES else ("static", "frames")
    for name in chosen:
        for form in forms:
            steps[f"{name}, {form}"] = partial(ours, net, name, form)
    for form in forms:
        steps[f"{chosen[0]}, {form}, in chunks"] = partial(ours, net, chosen[0], form, CHUNKS)
        steps[f"{chosen[0]}, {form}, torch"] = partial(without_compiler, net, chosen[0], form)
    if net in TIMES:  # no other library has these neurons
        return steps
    frames = signal_of(net, "frames")
    assert isinstance(frames, Tensor)
    return steps | peers(network(net), frames, images(net)[1])


def contender(pipe: Connection, net: str, chosen: list[str], name: str, threads: int, keeps: bool) -> None:
    """Measures one contender in its own process: first its peak memory, then one step per message.

    In a shared process, the heap that one contender leaves behind would save the next one page faults.
    """
    torch.set_num_threads(threads)
    if keeps and not allocator.keep():
        raise SystemExit("--keep needs glibc, and an environment without settings of its own")
    try:
        step = contenders(net, chosen)[name]()
    except UnsupportedError as refusal:
        pipe.send(refusal)
        return
    pipe.send({"peak_growth_mib": peak_growth(step), "page_faults": page_faults(step)} | shares(step))
    while pipe.recv():
        pipe.send(seconds(step))


def measure(net: str, chosen: list[str], rounds: int, keeps: bool) -> dict[str, dict[str, float]]:
    fresh = multiprocessing.get_context("spawn")
    pipes, measured = {}, {}
    for name in contenders(net, chosen):
        pipe, far = fresh.Pipe()
        arguments = far, net, chosen, name, torch.get_num_threads(), keeps
        fresh.Process(target=contender, args=arguments, daemon=True).start()
        measured[name], pipes[name] = pipe.recv(), pipe
    for name in [name for name, answer in measured.items() if isinstance(answer, UnsupportedError)]:
        print(f"left out: {measured[name]}", file=sys.stderr)
        del pipes[name]
    times: dict[str, list[float]] = {name: [] for name in pipes}
    for _ in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            times[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(False)
    rows = {}
    for name, spent in times.items():
        low, middle, high = paired(times["floor"], spent)
        rows[name] = {
            "samples_per_second": BATCH[net] / statistics.median(spent),
            "ratio": middle,
            "ratio_quartile_low": low,
            "ratio_quartile_high": high,
        } | measured[name]
    return rows


def main() -> None:
    arguments = parser(__doc__, 15)
    arguments.add_argument("--net", choices=sorted(SHAPES), default="conv_wide")
    arguments.add_argument("--rules", default=",".join(rules.__all__), help="separated by commas; by default all")
    arguments.add_argument("--keep", action="store_true", help="let all contenders keep the memory that they free")
    options = arguments.parse_args()
    chosen = options.rules.split(",")
    unknown = set(chosen) - set(rules.__all__)
    if unknown:
        arguments.error(f"got --rules {options.rules}; expected rules out of {', '.join(rules.__all__)}")
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options.net, chosen, options.rounds, options.keep)
    result = about(net=options.net, steps=steps_of(options.net), batch=BATCH[options.net], rounds=options.rounds) | {
        "kernels": kernels.active(),
        "keeps": options.keep,
        "rows": rows,
    }
    head = {key: value for key, value in result.items() if key != "rows"}
    print(", ".join(f"{key} {value}" for key, value in head.items()))
    print(f"{'step':26} {'samples/s':>10} {'against the floor (quartiles)':>32} {'peak MiB':>9}  products, scans, rest")
    for name, row in rows.items():
        ratio = f"{row['ratio']:.2f} ({row['ratio_quartile_low']:.2f} to {row['ratio_quartile_high']:.2f})"
        parts = "  ".join(f"{row[part]:5.0%}" for part in ("products", "scans", "rest"))
        print(f"{name:26} {row['samples_per_second']:10.0f} {ratio:>32} {row['peak_growth_mib']:9.0f}  {parts}")
    save(options.json, result)


if __name__ == "__main__":
    main()
