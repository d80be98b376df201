"""How much time does a transport of weights take, compared with a training step?

    python benchmarks/transport.py [--net vgg7] [--batch 32] [--rounds 5] [--threads N] [--json FILE]

Spike times on random images of 3x32x32. BP and frozen BP take one step each in every round, in turn, without a
transport; then every scheme makes one transport of the same weights, which some steps of Adam have changed since they
were copied. Results are medians over the rounds; a share is relative to a step of frozen BP in the same round, so that
noise on the machine affects both alike.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from _measure import about, parser, save, seconds
from onchip import encoding as encode
from onchip import models, rules
from onchip.learning.rule import Rule
from onchip.nn.graph_builder import build_graph
from onchip.nn.neurons import TTFS
from onchip.transport import Cyclic, Full, LowRank, Random, Sign, Threshold, Top, Transport

SHAPE, CLASSES = (3, 32, 32), 10
NEVER = 10**9
"""A period that no run reaches, so that steps contain no transport."""
SCHEMES: tuple[Transport, ...] = (
    Full(),
    Top(0.1),
    Top(0.01),
    Threshold(2.0, relative=True),
    Random(0.1),
    Cyclic(0.1),
    Sign(),
    LowRank(),
    LowRank(8),  # what the default budget of fbp selects on VGG-7
)


def step_of(rule: Rule, batch: int) -> Callable[[], None]:
    """A training step on fixed images."""
    torch.manual_seed(0)
    signal, labels = encode.Latency()(torch.rand(batch, *SHAPE)), torch.randint(0, CLASSES, (batch,))
    optimizer = torch.optim.Adam(rule.parameters(), lr=1e-4)

    def step() -> None:
        rule.backward(F.cross_entropy(rule.forward(signal), labels))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def measure(net: str, batch: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds, and median share of a step, of training steps and of one transport by each scheme."""
    steps, networks = {}, {}
    options_of: dict[str, dict[str, int]] = {"bp": {}, "fbp": {"period": NEVER}}
    for name, options in options_of.items():
        torch.manual_seed(0)
        networks[name] = getattr(models, net)(SHAPE, CLASSES, neuron=TTFS)
        steps[name] = step_of(getattr(rules, name)(networks[name], **options), batch)
    weights = [layer.weight.detach() for layer in build_graph(networks["fbp"]).layers[1:]]
    before = [weight.clone() for weight in weights]
    for step in steps.values():
        step()  # the first step is slower
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, step in steps.items():
            times.setdefault(f"step, {name}", []).append(seconds(step))
        for scheme in SCHEMES:
            feedback = [copy.clone() for copy in before]
            spent = seconds(partial(scheme, feedback, weights, 0))
            times.setdefault(repr(scheme), []).append(spent)
    steps_of_fbp = times["step, fbp"]
    return {
        name: (statistics.median(values), statistics.median(v / s for v, s in zip(values, steps_of_fbp, strict=True)))
        for name, values in times.items()
    }


def main() -> None:
    arguments = parser(__doc__, 5)
    arguments.add_argument("--net", choices=[name for name in models.__all__ if name != "mlp_wide"], default="vgg7")
    arguments.add_argument("--batch", type=int, default=32, help="samples per step")
    options = arguments.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = measure(options.net, options.batch, options.rounds)
    result = about(net=options.net, batch=options.batch, rounds=options.rounds)
    result["rows"] = {name: {"seconds": spent, "share": share} for name, (spent, share) in rows.items()}
    print(", ".join(f"{key} {value}" for key, value in result.items() if key != "rows"))
    for name, (spent, share) in rows.items():
        print(f"{name:45} {spent:8.4f} s {100 * share:7.2f} %")
    save(options.json, result)


if __name__ == "__main__":
    main()
