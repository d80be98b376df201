"""The ledger: what training with a rule transported, computed, stored, drew and wrote, as the engine reported it."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

import torch
from torch import Tensor

from onchip.cost.bill import Bill, LedgerCounts, bill
from onchip.cost.phases import Phases
from onchip.errors import RequestError
from onchip.learning.observers import Observer, ProductKind
from onchip.nn.synapses.product import SynapticProduct
from onchip.transport import Transported

MOVED = tuple(field.name for field in fields(Transported))
WHOLE = ("feedback_memory", "phases_per_step", "update_locking_phases")
"""Counts of the whole network, which no single layer has."""


ONCE = ("writes", "feedback_writes", "feedback_memory", "phases", "locked", "locked_layers", "passes")
"""Tallies that are not of samples, and so the same in all processes that share each batch."""


class Ledger(Observer):
    """Adds up the costs of a training run; docs/costs.md says what each number means.

    Dense products, transports, draws, memory and phases are booked at every step. The operations of an
    event-driven chip must be counted from the values of activity and errors, which takes time: they are counted
    exactly in every `every`-th step, the first included, and scaled by the dense products of the others.

    Args:
        every: Number of training steps from one exact count to the next, at least 1.

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
        """Exact counts, and the dense products in which they were counted."""
        self.tallies: Counter[tuple[str, str]] = Counter()
        """Neuron updates, draws, writes, and stored scalars."""
        self._stored: Counter[str] = Counter()
        self._phases = Phases()

    def product(self, layer: str, kind: ProductKind, product: SynapticProduct) -> None:
        if self._phases.first(layer, kind) and kind in ("update", "feedback_update"):
            self.tallies[layer, "writes" if kind == "update" else "feedback_writes"] += product.synapses
        self.products[layer, kind] += product.products
        if self._exact((layer, f"{kind}/products")):
            self.counted[layer, f"{kind}/products"] += product.products
            for what, count in asdict(product.count()).items():
                self.counted[layer, f"{kind}/{what}"] += count

    def fired(self, layer: str, updates: int, spikes: Callable[[], int], states: int = 1) -> None:
        self.tallies[layer, "neuron_updates"] += updates
        self.tallies[layer, "state_updates"] += updates * states
        if self._exact((layer, "fired/updates")):
            self.counted[layer, "fired/updates"] += updates
            self.counted[layer, "fired/spikes"] += spikes()

    def recomputed(self, layer: str, updates: int, states: int = 1) -> None:
        self.fired(layer, updates, lambda: 0, states)

    def stored(self, layer: str, scalars: int) -> None:
        for name in (layer, ""):
            now = self._stored[name] = self._stored[name] + scalars
            if now > self.tallies[name, "stored_peak"]:
                self.tallies[name, "stored_peak"] = now
        if scalars > 0:
            self.tallies[layer, "stored"] += scalars

    def drew(self, layer: str, count: int) -> None:
        self.tallies[layer, "draws"] += count

    def transport(self, layer: str, moved: Transported, *, initial: bool) -> None:
        prefix = "initial_" if initial else ""
        for name in MOVED:
            if count := getattr(moved, name):
                self.transported[layer, prefix + name] += count
        self.transported[layer, prefix + "events"] += 1
        if not initial:
            self.tallies[layer, "feedback_writes"] += moved.writes or moved.scalars

    def stepped(self, memory: Callable[[], int]) -> None:
        if self.steps % self._every == 0:
            self.tallies["", "feedback_memory"] = memory()
        self.steps += 1
        for what, count in self._phases.closed().items():
            self.tallies["", what] += count
        self._stored.clear()

    def summary(self) -> Bill:
        """Totals over all layers and steps, by the names in docs/costs.md."""
        return bill(self._counts())

    def layers(self) -> dict[str, Bill]:
        """The same for each layer, without the counts of the whole network."""
        names = dict.fromkeys(layer for counter in self._counters().values() for layer, _ in counter if layer)
        return {name: {what: n for what, n in bill(self._counts(name)).items() if what not in WHOLE} for name in names}

    def state_dict(self) -> dict[str, Tensor]:
        """Every count as an integer tensor, for a checkpoint."""
        counts = {"steps": self.steps}
        for which, counter in self._counters().items():
            counts |= {f"{which}/{what}:{layer}": n for (layer, what), n in counter.items()}
        return {key: torch.tensor(count, dtype=torch.int64) for key, count in counts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned, instead of every count so far.

        Raises:
            RequestError: a key that no ledger writes.
        """
        counters = self._counters()
        for counter in counters.values():
            counter.clear()
        self._stored.clear()
        self._phases = Phases()
        for key, count in state.items():
            which, _, rest = key.partition("/")
            what, colon, layer = rest.partition(":")
            if key == "steps":
                self.steps = int(count)
            elif which in counters and colon:
                counters[which][layer, what] = int(count)
            else:
                raise RequestError(f"the state of a ledger has no {key!r}; expected what Ledger.state_dict() returned")

    def begin_at(self, state: dict[str, Tensor]) -> None:
        """Counts from zero, at the training step of a state, whatever is counted there already."""
        self.load_state_dict(
            {key: count if key == "steps" else torch.zeros_like(count) for key, count in state.items()}
        )

    def _exact(self, key: tuple[str, str]) -> bool:
        """Whether to count now: in every `every`-th step, and whatever was never counted before."""
        return self.steps % self._every == 0 or key not in self.counted

    def _counters(self) -> dict[str, Counter[tuple[str, str]]]:
        return {
            "products": self.products,
            "transported": self.transported,
            "counted": self.counted,
            "tallies": self.tallies,
        }

    def _counts(self, layer: str = "") -> LedgerCounts:
        exact = -(-self.steps // self._every)
        return LedgerCounts(layer, self.steps, exact, *(_of(counter, layer) for counter in self._counters().values()))


def merged(states: Sequence[dict[str, Tensor]], before: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The state of a single ledger, of those of processes that share each batch.

    What is done per sample adds up; transports, writes, phases and memory are those of the first process.

    Args:
        states: States of the processes' ledgers, in the order of their ranks.
        before: What had been counted before, from where these ledgers began.
    """
    earlier = before or {}
    sums = {key: count.clone() for key, count in states[0].items()}
    for state in states[1:]:
        for key, count in state.items():
            if key != "steps" and not key.startswith("transported/") and _what(key) not in ONCE:
                sums[key] = sums.get(key, torch.zeros_like(count)) + count
    latest = {key for key in sums if key == "steps" or (_what(key) == "feedback_memory" and sums[key])}
    for key in earlier.keys() & sums.keys() - latest:
        peak = _what(key) == "stored_peak"
        sums[key] = torch.maximum(sums[key], earlier[key]) if peak else sums[key] + earlier[key]
    return {key: sums[key] if key in sums else earlier[key] for key in dict.fromkeys([*earlier, *sums])}


def _what(key: str) -> str:
    """What a count in a ledger's state is of."""
    return key.partition("/")[2].partition(":")[0]


def _of(counts: Counter[tuple[str, str]], layer: str) -> Counter[tuple[str, str]]:
    """The counts of one layer, or all of them."""
    return counts if not layer else Counter({key: n for key, n in counts.items() if key[0] == layer})
