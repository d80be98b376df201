"""The bill: what training with a rule moved, multiplied, kept, drew and wrote, as the engine reported it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields

import torch
from torch import Tensor

from onchip.cost.bill import Bill, LedgerCounts, bill
from onchip.cost.phases import Phases
from onchip.errors import RequestError
from onchip.learning.observers import Observer, ProductKind
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported

__all__ = ["Ledger"]

MOVED = tuple(field.name for field in fields(Transported))
WHOLE = ("feedback_memory", "phases_per_step", "update_wait_phases")
"""What belongs to the network and to none of its layers."""


class Ledger(Observer):
    """Adds up what a training run pays; docs/costs.md says what each number means.

    Dense products, transports, draws, memory and phases are booked at every step. The operations of an
    event-driven chip must be counted from the values of activity and errors, which takes time: they are counted
    exactly in every `every`-th step, the first included, and scaled by the dense products of the others.

    Args:
        every: training steps from one exact count to the next, at least 1.

    Raises:
        RequestError: `every` below 1.

    Example:
        >>> from onchip import nn, rules
        >>> rule = rules.fbp(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)))
        >>> ledger = Ledger()
        >>> rule.observe(ledger)
        >>> ledger.summary()["weights_transported_initial"]
        24
    """

    def __init__(self, *, every: int = 50) -> None:
        if every < 1:
            raise RequestError(f"Ledger got every={every}; expected at least 1 training step between exact counts")
        self._every = every
        self.steps = 0
        self.products: Counter[tuple[str, str]] = Counter()
        self.transported: Counter[tuple[str, str]] = Counter()
        self.counted: Counter[tuple[str, str]] = Counter()
        """What exact counts found, and the dense products that they were counted in."""
        self.tallies: Counter[tuple[str, str]] = Counter()
        """Neuron updates, draws, writes, and scalars kept at most."""
        self._kept: Counter[str] = Counter()
        self._phases = Phases()

    def product(self, stage: str, kind: ProductKind, met: SynapticProduct) -> None:
        if self._phases.first(stage, kind) and kind in ("update", "learn"):
            self.tallies[stage, "writes" if kind == "update" else "feedback_writes"] += met.synapses
        self.products[stage, kind] += met.products
        if self._exact((stage, f"{kind}/products")):
            self.counted[stage, f"{kind}/products"] += met.products
            for what, count in asdict(met.count()).items():
                self.counted[stage, f"{kind}/{what}"] += count

    def fired(self, stage: str, updates: int, spikes: Callable[[], int]) -> None:
        self.tallies[stage, "neuron_updates"] += updates
        if self._exact((stage, "fired/updates")):
            self.counted[stage, "fired/updates"] += updates
            self.counted[stage, "fired/spikes"] += spikes()

    def stored(self, stage: str, scalars: int) -> None:
        for name in (stage, ""):
            now = self._kept[name] = self._kept[name] + scalars
            if now > self.tallies[name, "kept_peak"]:
                self.tallies[name, "kept_peak"] = now
        if scalars > 0:
            self.tallies[stage, "kept"] += scalars

    def drew(self, stage: str, count: int) -> None:
        self.tallies[stage, "draws"] += count

    def transport(self, stage: str, moved: Transported, *, initial: bool) -> None:
        prefix = "initial_" if initial else ""
        for name in MOVED:
            if count := getattr(moved, name):
                self.transported[stage, prefix + name] += count
        self.transported[stage, prefix + "events"] += 1
        if not initial:
            self.tallies[stage, "feedback_writes"] += moved.writes or moved.scalars

    def stepped(self, memory: Callable[[], int]) -> None:
        if self.steps % self._every == 0:
            self.tallies["", "feedback_memory"] = memory()
        self.steps += 1
        for what, count in self._phases.closed().items():
            self.tallies["", what] += count
        self._kept.clear()

    def summary(self) -> Bill:
        """Totals over all stages and steps, by the names that docs/costs.md explains."""
        return bill(self._counts())

    def layers(self) -> dict[str, Bill]:
        """The same for each stage alone, without what belongs to the whole network."""
        names = dict.fromkeys(stage for counter in self._counters().values() for stage, _ in counter if stage)
        return {name: {what: n for what, n in bill(self._counts(name)).items() if what not in WHOLE} for name in names}

    def state_dict(self) -> dict[str, Tensor]:
        """Every count as an integer tensor, for a checkpoint."""
        counts = {"steps": self.steps}
        for which, counter in self._counters().items():
            counts |= {f"{which}/{what}:{stage}": n for (stage, what), n in counter.items()}
        return {key: torch.tensor(count, dtype=torch.int64) for key, count in counts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned, in place of every count so far.

        Raises:
            RequestError: a key that no ledger writes.
        """
        counters = self._counters()
        for counter in counters.values():
            counter.clear()
        self._kept.clear()
        self._phases = Phases()
        for key, count in state.items():
            which, _, rest = key.partition("/")
            what, colon, stage = rest.partition(":")
            if key == "steps":
                self.steps = int(count)
            elif which in counters and colon:
                counters[which][stage, what] = int(count)
            else:
                raise RequestError(f"a ledger's state holds no {key!r}; expected what Ledger.state_dict() returned")

    def _exact(self, key: tuple[str, str]) -> bool:
        """Whether to count now: in the steps that are due, and whatever was never counted before."""
        return self.steps % self._every == 0 or key not in self.counted

    def _counters(self) -> dict[str, Counter[tuple[str, str]]]:
        return {
            "products": self.products,
            "transported": self.transported,
            "counted": self.counted,
            "tallies": self.tallies,
        }

    def _counts(self, stage: str = "") -> LedgerCounts:
        exact = -(-self.steps // self._every)
        return LedgerCounts(stage, self.steps, exact, *(_of(counter, stage) for counter in self._counters().values()))


def _of(counts: Counter[tuple[str, str]], stage: str) -> Counter[tuple[str, str]]:
    """The counts of one stage, or all of them."""
    return counts if not stage else Counter({key: n for key, n in counts.items() if key[0] == stage})
