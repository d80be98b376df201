"""How much faster is a training step with bfloat16 than in float32, on a processor with products in bfloat16?

    python benchmarks/bfloat16.py [--nets conv_wide,conv_rgb] [--rules bp,ottt] [--rounds 11] [--json FILE] [--page]

A step is the forward pass, the backward pass and the optimizer, of the networks of step.py; only `rule.in_bfloat16()`
differs. Both take one step in each round, in turn, on one thread. Ratios are taken inside a round; milliseconds are the
shortest. `static` is one image for T steps, `frames` the same images repeated over time, `times` are spike times:
`--nets vgg7` measures these, for a table of their own.

The row `products alone` has the synaptic products of the first rule's step and nothing else, with operands that are
bfloat16 already: no step can gain more than its products and its scans do.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from _measure import about, in_turns, parser, processor, save, show, speed
from onchip import allocator, rules
from onchip.learning.rule import Rule
from onchip.nn.synapses import Synapse
from onchip.nn.synapses.bfloat16 import has_bfloat16
from onchip.nn.synapses.wrapper import SynapseWrapper
from onchip.report.markdown import markdown_table
from step import BATCH, CLASSES, TIMES, images, network, signal_of, steps_of

Step = Callable[[], object]
NETS = {
    "conv_wide": "32C3-P2-64C3-P2-10 on 28x28",
    "conv_rgb": "64C3-P2-128C3-P2-256C3-P2-10 on 3x32x32",
    "mlp_wide": "F800-F800-10 on 784 pixels",
    "vgg7": "64C3-128C3-P2-256C3-256C3-P2-512C3-512C3-P2-10 on 3x32x32, of spike times",
}


class Recorded(SynapseWrapper):
    """Keeps each product that it computes, to be computed again."""

    def __init__(self, inner: Synapse, products: list[Step]) -> None:
        super().__init__(inner)
        self._products = products

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self._again(lambda: self.inner.apply(x, weight, bias))

    def backward_input(self, delta: Tensor, weight: Tensor, shape: torch.Size) -> Tensor:
        delta = delta.clone()  # which its owner may overwrite
        return self._again(lambda: self.inner.backward_input(delta, weight, shape))

    def weight_grad(self, pre: Tensor, delta: Tensor) -> Tensor:
        delta = delta.clone()
        return self._again(lambda: self.inner.weight_grad(pre, delta))

    def _again(self, product: Callable[[], Tensor]) -> Tensor:
        self._products.append(product)
        return product()


def rule_of(net: str, name: str, *, half: bool) -> Rule:
    torch.manual_seed(0)
    rule: Rule = getattr(rules, name)(network(net))
    return rule.in_bfloat16() if half else rule


def step_of(net: str, rule: Rule, form: str) -> Step:
    """A training step."""
    labels = images(net)[1]
    signal = signal_of(net, form)
    optimizer = torch.optim.SGD(rule.parameters(), lr=1e-3)

    def step() -> None:
        output = rule.forward(signal)
        rule.backward(F.cross_entropy(output.reshape(-1, CLASSES), labels))
        optimizer.step()
        optimizer.zero_grad()
        rule.step()

    return step


def products_of(net: str, name: str, form: str, *, half: bool) -> Step:
    """The synaptic products of one step."""
    products: list[Step] = []
    rule = rule_of(net, name, half=half).wrap(synapse=lambda layer: Recorded(layer.synapse, products))
    step_of(net, rule, form)()

    @torch.no_grad()
    def again() -> None:
        for product in products:
            product()

    return again


def measure(nets: list[str], chosen: list[str], rounds: int) -> list[dict[str, Any]]:
    """A row for each network, form of input and rule."""
    rows = []
    for net in nets:
        for form in ("times",) if net in TIMES else ("static", "frames"):
            for name in ("products alone", *chosen):
                works: dict[str, Step] = {}
                for precision in ("float32", "bfloat16"):
                    half = precision == "bfloat16"
                    works[precision] = (
                        products_of(net, chosen[0], form, half=half)
                        if name == "products alone"
                        else step_of(net, rule_of(net, name, half=half), form)
                    )
                times = in_turns(works, rounds, warm_up=2)
                spent = {precision: 1e3 * min(all_) for precision, all_ in times.items()}
                rows.append(
                    {"net": net, "form": form, "step": name, **spent, **speed(times["float32"], times["bfloat16"])}
                )
                print(row_of(rows[-1]), flush=True)
                del works
                gc.collect()
    return rows


def row_of(row: dict[str, Any]) -> tuple[str, ...]:
    gained = f"{row['times_as_fast']:.2f} ({row['quartile_low']:.2f} to {row['quartile_high']:.2f})"
    return row["net"], f"{row['step']}, {row['form']}", f"{row['float32']:.1f}", f"{row['bfloat16']:.1f}", gained


def table(result: dict[str, Any]) -> str:
    """The result as docs/gpu.md shows it."""
    header = "net", "step", "float32, ms", "bfloat16, ms", "times as fast"
    batches = ", ".join(f"`{net}` is {NETS[net]} with batch {batch}" for net, batch in result["batches"].items())
    steps = f"T = {result['steps']}; " if result["steps"] > 1 else ""
    settings = f"{steps}{batches}; {result['rounds']} rounds, {result['threads']} thread"
    described = f"{settings}, {result['processor']}, torch {result['torch']}, {result['date']}."
    return markdown_table(header, [row_of(row) for row in result["rows"]]) + f"\n\n{described}"


def main() -> None:
    arguments = parser(__doc__, 11, threads=1)
    arguments.add_argument("--page", action="store_true", help="also write the table in docs/gpu.md")
    arguments.add_argument("--nets", default="conv_wide,conv_rgb,mlp_wide", help=f"of {', '.join(NETS)}")
    arguments.add_argument("--rules", help="rules with one output; bp,dfa for spike times, else bp,ottt,dfa,opzo")
    options = arguments.parse_args()
    nets = options.nets.split(",")
    if unknown := [net for net in nets if net not in NETS]:
        arguments.error(f"got net {unknown[0]!r}; expected one of {', '.join(NETS)}")
    if len({steps_of(net) for net in nets}) > 1:
        arguments.error(f"got nets {options.nets}; expected none of spike times ({', '.join(TIMES)}), or these alone")
    times = nets[0] in TIMES
    chosen = (options.rules or ("bp,dfa" if times else "bp,ottt,dfa,opzo")).split(",")
    torch.set_num_threads(options.threads)
    allocator.keep()  # as the command line does
    result = about(steps=steps_of(nets[0]), batches={net: BATCH[net] for net in nets}, rounds=options.rounds)
    result["processor"] = processor()
    result["rows"] = measure(nets, chosen, options.rounds)
    print(table(result))
    save(options.json, result)
    if options.page:
        emulated = not has_bfloat16(torch.device("cpu"))
        show("gpu.md", f"bfloat16-speed{'-emulated' * emulated}{'-times' * times}", table(result))


if __name__ == "__main__":
    main()
