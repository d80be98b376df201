"""One of two processes that share batches: `python -m tests.training.ranks_worker FOLDER`, started by test_ranks.py.

Each check leaves a list of the differences between one process and two: nothing where they are equal.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from onchip import devices, nn, rules
from onchip.cost.ledger import Ledger, merged
from onchip.data.sample_source import share
from onchip.errors import OnchipError, UnsupportedError
from onchip.learning.centering import Causal
from onchip.learning.feedback.direct import MatrixFeedback
from onchip.learning.feedback.perturbation import PerturbationFeedback
from onchip.learning.ranks import ALONE, Ranks
from onchip.learning.rule import Rule
from onchip.nn.graph_builder import build_graph
from onchip.rules.own_noise_mirror import OwnNoiseFeedback
from onchip.training import registry
from onchip.training.gradients import gradients
from onchip.transport import Random
from tests.cases import scaled, spikes, times
from tests.training import ranks_runs
from tests.training.ranks_draws import SameDraws, draw_by_shape

STEPS, BATCH, CLASSES = 4, 13, 3
SIZES = [13, 13, 1, 13, 13, 13, 1, 13, 13, 13]
"""Samples in each training step: the second process has none of a single one."""

Made = tuple[nn.Sequential, Callable[[int], Tensor]]


def dense(neuron: Callable[[], Any] = nn.LIF) -> Made:
    layers = [nn.Linear(9, 10), neuron(), nn.Linear(10, 8), neuron(), nn.Linear(8, CLASSES)]
    return scaled(nn.Sequential(*layers), 3.0), lambda batch: spikes(STEPS, batch, 9)


def conv() -> Made:
    first = [nn.Conv2d(2, 9, 3, padding=1), nn.LIF(), nn.AvgPool2d(2)]
    second = [nn.Conv2d(9, 5, 3), nn.LIF(), nn.Flatten(), nn.Linear(20, CLASSES)]
    return scaled(nn.Sequential(*first, *second), 3.0), lambda batch: spikes(STEPS, batch, 2, 8, 8)


def recurrent() -> Made:
    layers = [nn.Linear(9, 8), nn.Recurrent(nn.Linear(8, 8, bias=False), nn.LIF()), nn.Linear(8, CLASSES)]
    return scaled(nn.Sequential(*layers), 2.0), lambda batch: spikes(STEPS, batch, 9)


def stochastic() -> Made:
    layers = [nn.Linear(9, 10), nn.Stochastic(), nn.Linear(10, 8), nn.Stochastic(), nn.Linear(8, CLASSES)]
    return scaled(nn.Sequential(*layers, nn.MeanReadout()), 2.0), lambda batch: spikes(STEPS, batch, 9)


def ttfs() -> Made:
    layers = [nn.Linear(9, 10, bias=False), nn.TTFS(), nn.Linear(10, CLASSES, bias=False), nn.TTFSReadout()]
    return scaled(nn.Sequential(*layers), 2.0), lambda batch: times(batch, 9)


NETS: dict[str, Callable[[], Made]] = {f.__name__: f for f in (dense, stochastic, conv, recurrent, ttfs)}


SOME = {"conv": ("bp", "dkp", "opzo", "decolle"), "recurrent": ("bp", "eprop", "opzo"), "ttfs": ("bp", "dfa")}
"""Rules for which other networks are tried, too: those whose feedback sees maps, recurrence or spike times."""

NOISY = ("anchored_dkp", "etlp", "noisy_bp", "opzo", "zeroth_order")
"""Rules that draw for each sample; what the others draw is the same in one process and in two by itself."""

LOOSE = ("usf",)
"""Rules whose errors are sums of equal sizes, which cancel to 0 or to rounding, so that counts by value differ."""


def pairs() -> Iterator[tuple[str, str]]:
    """Every rule with one network that it can train, and some with others."""
    for name in rules.__all__:
        with contextlib.suppress(UnsupportedError):
            getattr(rules, name)(dense()[0]).detach()
            yield name, "dense"
            continue
        yield name, "stochastic"
    for net, names in SOME.items():
        yield from ((name, net) for name in names)


def batch_of(step: int, make: Callable[[int], Tensor]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(step)
    return make(BATCH).double(), torch.arange(BATCH) % CLASSES


def trained(
    ranks: Ranks,
    make: Callable[[], Made],
    attach: Callable[[Any], Rule],
    sizes: list[int],
    *,
    optimizer: Callable[[Rule], Any] | None = None,
    loss: str | None = None,
    noisy: bool = True,
) -> dict[str, Any]:
    """What training steps leave: losses, the first gradients, weights, feedback and bill."""
    torch.manual_seed(0)
    model, signal_of = make()
    kind = build_graph(model).kind
    rule = attach(model.double())
    if ranks.size > 1:
        rule.divide(ranks)
    rule.observe(ledger := Ledger(every=3))
    first, losses = dict[str, Tensor](), list[float]()
    with SameDraws(STEPS, BATCH, slice(0, BATCH), 99) if noisy else contextlib.nullcontext():
        stepper = torch.optim.Adam(rule.parameters(), lr=0.01) if optimizer is None else optimizer(rule)
    rule.step_after(stepper)
    loss_of = registry.loss(loss, kind)
    for step, size in enumerate(sizes):
        signal, labels = batch_of(step, signal_of)
        own = share(size, ranks.part)
        axis = 1 if kind.over_time else 0
        mine = signal.narrow(axis, own.start, own.stop - own.start)
        with SameDraws(STEPS, size, own, step) if noisy else contextlib.nullcontext():
            losses += gradients(rule, loss_of, mine, labels[own], kind)
            if not step:
                first = {str(n): p.grad.clone() for n, p in enumerate(rule.parameters()) if p.grad is not None}
            stepper.step()
        stepper.zero_grad()
    bill = Ledger()
    bill.load_state_dict(merged(ranks.gather(ledger.state_dict())))
    left = {
        **{f"gradient {name}": value for name, value in first.items()},
        **{f"weight {name}": value.detach().clone() for name, value in model.state_dict().items()},
        **{f"feedback {name}": value.detach().clone() for name, value in rule.state_dict().items()},
    }
    rule.detach()
    return {"tensors": left, "losses": losses, "bill": bill.summary()}


def differences(one: dict[str, Any], two: dict[str, Any], tolerance: float = 1e-6) -> list[str]:
    """What two processes left otherwise than one."""
    found = []
    if one["tensors"].keys() != two["tensors"].keys():
        return [f"{sorted(one['tensors'])} and {sorted(two['tensors'])}"]
    for name, value in one["tensors"].items():
        if not torch.allclose(value, two["tensors"][name], rtol=tolerance, atol=tolerance * 1e-3, equal_nan=True):
            found.append(f"{name}: {(value - two['tensors'][name]).abs().max():.3g} of {value.abs().max():.3g}")
    if not torch.allclose(torch.tensor(one["losses"]), torch.tensor(two["losses"]), rtol=tolerance):
        found.append(f"losses {one['losses']} and {two['losses']}")
    for name, count in one["bill"].items():
        if abs(count - two["bill"][name]) > 1e-9 * abs(count):
            found.append(f"bill {name}: {count} and {two['bill'][name]}")
    return found


def compared(ranks: Ranks, *arguments: Any, **options: Any) -> list[str]:
    """Differences between one process and all; known to the first one."""
    two = trained(ranks, *arguments, **options)
    return differences(trained(ALONE, *arguments, **options), two) if ranks.first else []


def equal(ranks: Ranks, name: str, net: str) -> list[str]:
    sizes = SIZES if net in ("dense", "stochastic") else SIZES[:3]
    found = compared(ranks, NETS[net], getattr(rules, name), sizes, noisy=name in NOISY or net == "stochastic")
    return [line for line in found if name not in LOOSE or "bill" not in line]


FORGETFUL: dict[str, tuple[type, str, str, str]] = {
    "gradients": (Rule, "reduce", "bp", "dense"),
    "estimate": (PerturbationFeedback, "outcome", "opzo", "dense"),
    "decay": (MatrixFeedback, "learn", "dkp", "dense"),
    "means": (OwnNoiseFeedback, "_learn_from", "own_noise_mirror", "stochastic"),
}
"""Methods that go over the samples of all processes, each with a rule that needs it."""


def mutant(ranks: Ranks, part: str) -> list[str]:
    """Nothing if the comparison notices that one method goes over the samples of its own process alone."""
    kind, method, name, net = FORGETFUL[part]
    whole = getattr(kind, method)

    def alone(self: Any, *arguments: Any) -> None:
        if kind is Rule:
            return
        before, self.ranks = self.ranks, ALONE
        whole(self, *arguments)
        self.ranks = before

    with mock.patch.object(kind, method, alone):
        two = trained(ranks, NETS[net], getattr(rules, name), SIZES[:2])
    if not ranks.first:
        return []
    return [] if differences(trained(ALONE, NETS[net], getattr(rules, name), SIZES[:2]), two) else ["no difference"]


DEVICES: dict[str, tuple[str, str, Callable[[Rule], Any]]] = {
    "ideal": ("opzo", "dense", partial(devices.ideal, lr=0.1)),
    "feedback": ("kolen_pollack", "dense", partial(devices.chip, lr=0.1)),
    "quantized": ("dfa", "dense", partial(devices.quantized, lr=0.1)),
    "pulsed": ("ssnn_bp", "stochastic", partial(devices.pulsed, lr=0.1, cycle_spread=0.3)),
    "chip": ("dfa", "dense", partial(devices.chip, lr=0.1)),
}


def device(ranks: Ranks, name: str) -> list[str]:
    rule, net, attach = DEVICES[name]
    return compared(ranks, NETS[net], getattr(rules, rule), SIZES[:5], optimizer=attach)


def stream(ranks: Ranks, name: str) -> list[str]:
    """Weights after two sequences, with an optimizer's step after each time step."""

    def streamed(ranks: Ranks) -> dict[str, Any]:
        torch.manual_seed(0)
        model, signal_of = dense()
        options = {"centering": Causal(), "each_step": True} if name == "opzo" else {}
        rule = getattr(rules, name)(model.double(), **options)
        if ranks.size > 1:
            rule.divide(ranks)
        optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
        rule.step_after(optimizer)
        for number in range(2):
            signal, labels = batch_of(number, signal_of)
            own = share(BATCH, ranks.part)
            with SameDraws(1, BATCH, own, number):
                for out in rule.stream(signal[:, own]):
                    part = ranks.share(len(out[0]))
                    loss = sum(torch.nn.functional.cross_entropy(each[0], labels[own]) for each in rule.outputs) * part
                    rule.backward(loss, targets=labels[own], share=part)
                    rule.reduce()
                    optimizer.step()
                    optimizer.zero_grad()
        rule.require_equal()
        left = {**model.state_dict(), **rule.state_dict()}
        return {"tensors": {name: value.clone() for name, value in left.items()}, "losses": [0.0], "bill": {}}

    two = streamed(ranks)
    return differences(streamed(ALONE), two) if ranks.first else []


def variant(ranks: Ranks, name: str) -> list[str]:
    attach, net, loss = VARIANTS[name]
    found = compared(ranks, NETS[net], attach, SIZES[:4], loss=loss)
    # What is transformed to a grid is the update of one process, whose zeros are others.
    return [line for line in found if "grid" not in name or "bill" not in line or "products" in line]


VARIANTS: dict[str, tuple[Callable[[Any], Rule], str, str | None]] = {
    "local": (partial(rules.opzo, local=True), "dense", None),
    "readout_grid": (partial(rules.dkp, local=True, readout_grid=2), "conv", None),
    "intermediate": (partial(rules.opzo, intermediate=2), "dense", None),
    "each_step": (partial(rules.opzo, each_step=True, centering=Causal()), "dense", None),
    "before": (partial(rules.opzo, place="before"), "dense", None),
    "grid": (partial(rules.anchored_dkp, grid=2, local=True, readout_grid=1), "conv", None),
    "some_steps": (partial(rules.sltt, steps=2), "dense", None),
    "winner": (rules.ssnn_bp, "stochastic", "winner"),
    "recompute": (lambda model: rules.ottt(model).recompute(), "conv", None),
    "threshold": (partial(rules.fbp, period=2, transport=Random(0.3)), "dense", None),
}


def checks() -> Iterator[tuple[str, Callable[[Ranks], list[str]]]]:
    """Every check by its name."""
    for name, net in pairs():
        yield f"equal-{name}-{net}", partial(equal, name=name, net=net)
    yield from ((f"variant-{name}", partial(variant, name=name)) for name in VARIANTS)
    yield from ((f"without-{part}", partial(mutant, part=part)) for part in FORGETFUL)
    yield from ((f"device-{name}", partial(device, name=name)) for name in DEVICES)
    yield from ((f"stream-{name}", partial(stream, name=name)) for name in ("ottt", "opzo"))


def runs(folder: Path) -> Iterator[tuple[str, Callable[[Ranks], list[str]]]]:
    """Checks of whole runs."""
    data = ranks_runs.data()
    for check in ranks_runs.CHECKS:
        yield check.__name__, partial(check, data=data, folder=folder)


def main(folder: Path, chosen: str = "") -> None:
    draw_by_shape()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ranks = Ranks.join()
    found: dict[str, list[str]] = {}
    for name, check in (*checks(), *runs(folder)):
        if chosen not in name:
            continue
        try:
            found[name] = check(ranks)
        except OnchipError as error:
            found[name] = [f"{type(error).__name__}: {error}"]
    if ranks.first:
        (folder / "checks.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    ranks.leave()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
