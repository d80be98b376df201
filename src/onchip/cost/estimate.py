"""What a training step costs under a rule, found by one step of the engine, without training.

Everything is counted by the ledger from a real step on a few samples: forward, error and update meet the synapses
as they do in training. What is stretched afterwards is said where it is done: counts of samples to the batch
size, and what follows the optimizer's step to a whole run, by the rule's own schedule.
"""

import bisect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from onchip import nn
from onchip.cost.bill import Bill
from onchip.cost.energy import Energy, EnergyTable, table
from onchip.cost.ledger import Ledger
from onchip.errors import UnsupportedError
from onchip.learning.rule import Rule
from onchip.losses import Loss
from onchip.nn.signals import Signal, SignalKind
from onchip.nn.synapses.wrapper import CachedSynapse, ProductCache

FIXED = ("weights_transported", "transport_", "writes_", "feedback_memory", "phases_", "update_wait", "error_sparsity")
"""Beginnings of the names of counts that do not grow with the batch."""
OF_THE_STEP = ("feedback_memory", "phases_per_step", "update_locking_phases")
"""Counts that are known when the step is over."""
NO_SUMS = ("error_sparsity", "stored_activity_peak", "weights_transported_initial")
"""Counts that do not add up over steps."""


@dataclass(frozen=True)
class Price:
    """What a training step costs under a rule.

    Args:
        rule: the rule, with its options.
        step: counts for one training step of the whole batch, by the names of `Ledger.summary`.
        streams: whether it can learn while the input comes; `stored_activity_peak` is then that of a stream.
        energy: of one step, by a table.
    """

    rule: str
    step: Bill
    streams: bool
    energy: Energy


@dataclass(frozen=True)
class Pricing:
    """A network and an input, on which rules are priced one after another.

    Forward products that give the same for every rule are made once, and updates are counted but not made,
    since nothing in a step depends on them.

    Args:
        model: the network; its weights stay as they are.
        kind: of the signals that its neurons exchange.
        signal: a few samples.
        labels: their classes (B,).
        loss: what is minimised.
        batch_size: samples of the training step to price.
        train_steps: training steps over which what happens now and then is averaged.
        bits: of a weight.
        hardware: name of a table of prices.
        memory: of the products that were made.
    """

    model: nn.Sequential
    kind: SignalKind
    signal: Signal
    labels: Tensor
    loss: Loss
    batch_size: int
    train_steps: int
    bits: int
    hardware: str
    memory: ProductCache = field(default_factory=ProductCache, repr=False)

    @property
    def prices(self) -> EnergyTable:
        """The table of prices, at these bits.

        Raises:
            RequestError: no such table, or no prices at this precision.
        """
        return table(self.hardware, bits=self.bits)

    def price(self, make: Callable[[nn.Sequential], Rule], label: str) -> Price:
        """The price of one rule.

        Raises:
            UnsupportedError: a rule that cannot train the network, or whose transports depend on training.
            RequestError: no prices at this precision.
        """
        prices = self.prices
        before = [parameter.detach().clone() for parameter in self.model.parameters()]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            rule = make(self.model)
            try:
                step, streams = self._step(rule, label)
            finally:
                rule.detach()
                self.model.zero_grad(set_to_none=True)
                with torch.no_grad():
                    for parameter, value in zip(self.model.parameters(), before, strict=True):
                        parameter.copy_(value)  # some rules make weights decay
        # Bits of weights at their own precision, which was 32 here.
        step["transport_value_bits"] += (self.bits - 32) * (step["weights_transported"] - step["transport_coded"])
        return Price(label, step, streams, prices.energy(step))

    def _step(self, rule: Rule, label: str) -> tuple[Bill, bool]:
        """Counts of one step, and whether the rule can learn while the input comes."""
        rule.wrap(synapse=lambda layer: CachedSynapse(layer.synapse, layer.name, self.memory))
        ledger = Ledger(every=1)
        rule.observe(ledger)
        torch.manual_seed(1)  # neurons that draw then do the same under every rule
        self._learn(rule, rule.forward(self.signal))
        share = self.batch_size / len(self.labels)
        step = _stretched(ledger.summary(), share)
        for name, count in self._afterwards(rule, label).items():
            step[name] += count
        step |= {name: n for name, n in ledger.summary().items() if name in OF_THE_STEP}
        peak = self._streamed(rule)
        if peak is not None:
            step["stored_activity_peak"] = peak * share
        return step, peak is not None

    def _afterwards(self, rule: Rule, label: str) -> Bill:
        """What rule.step does, averaged over a run."""
        ledger = Ledger(every=1)
        rule.observe(ledger)
        refreshes = rule.refreshes(self.train_steps)
        calls = 1
        if refreshes is not None:
            due = {name for name, count in refreshes.items() if count}
            # The first step by which every layer that ever has a refresh has had one.
            calls = 1 + bisect.bisect_left(
                range(1, self.train_steps), True, key=lambda steps: due <= _nonzero(rule.refreshes(steps))
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a transport that moves nothing, which is refused below
            for _ in range(calls):
                rule.step()
        layers = ledger.layers()
        if any(bill["transport_events"] and not bill["weights_transported"] for bill in layers.values()):
            raise UnsupportedError(f"{label} moves as many weights as have changed enough, which only training shows")
        happened = rule.refreshes(calls)
        total: Bill = {}
        for name, bill in layers.items():
            often = 1.0
            if refreshes is not None and happened is not None:
                often = refreshes[name] / self.train_steps / happened[name] if refreshes[name] else 0.0
            for what, count in _counts(bill).items():
                if what not in NO_SUMS:
                    total[what] = total.get(what, 0) + count * often
        return total

    def _streamed(self, rule: Rule) -> int | None:
        """Scalars kept at most when the rule learns while the input comes; None if it cannot."""
        first = next(self.kind.steps(self.signal))
        ledger = Ledger(every=1)
        rule.observe(ledger)
        try:
            for output in rule.stream(first):
                self._learn(rule, output)
        except UnsupportedError:
            return None
        return int(ledger.summary()["stored_activity_peak"])

    def _learn(self, rule: Rule, output: Tensor) -> None:
        losses = [self.loss(out, self.labels) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum(), self.loss.each(output.detach(), self.labels), self.labels)


def _stretched(bill: Bill, share: float) -> Bill:
    """Counts of a few samples as those of a batch."""
    return {name: n if name.startswith(FIXED) else n * share for name, n in _counts(bill).items()}


def _counts(bill: Mapping[str, int | float]) -> Bill:
    """What was counted, without what it costs and in how many steps."""
    return {name: n for name, n in bill.items() if not name.startswith("energy") and not name.endswith("steps")}


def _nonzero(refreshes: dict[str, int] | None) -> set[str]:
    return {name for name, count in (refreshes or {}).items() if count}
