"""The bill: what training with a rule moved and multiplied, as the engine reported it."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields

import torch
from torch import Tensor

from onchip.credit import Observer, Product
from onchip.errors import RequestError
from onchip.transport import Transported

__all__ = ["Ledger"]


class Ledger(Observer):
    """Adds up weights transported and synaptic products (scalar multiplications) over a training run.

    Example:
        >>> from onchip import nn, rules
        >>> rule = rules.fbp(nn.Sequential(nn.Linear(4, 8), nn.LIF(), nn.Linear(8, 3)))
        >>> ledger = Ledger()
        >>> rule.observe(ledger)
        >>> ledger.summary()["weights_transported_initial"]
        24
    """

    def __init__(self) -> None:
        self.steps = 0
        self.products: Counter[tuple[str, str]] = Counter()
        self.transported: Counter[tuple[str, str]] = Counter()

    def product(self, stage: str, kind: Product, count: int) -> None:
        self.products[stage, kind] += count

    def transport(self, stage: str, moved: Transported, *, initial: bool) -> None:
        prefix = "initial_" if initial else ""
        for field in fields(moved):
            self.transported[stage, prefix + field.name] += getattr(moved, field.name)

    def stepped(self) -> None:
        self.steps += 1

    def summary(self) -> dict[str, int]:
        """Totals over all stages and steps.

        `products_error` counts both ways in which errors travel: `products_pull` down through a layer's
        feedback weights and `products_project` straight from the output. `transport_*` counts bits,
        compares and multiplications of the weights transported during training, without the initial copy.
        """
        products = _totals(self.products)
        moved = _totals(self.transported)
        return {
            "steps": self.steps,
            "weights_transported": moved["scalars"],
            "weights_transported_initial": moved["initial_scalars"],
            "transport_value_bits": moved["value_bits"],
            "transport_index_bits": moved["index_bits"],
            "transport_compares": moved["compares"],
            "transport_products": moved["products"],
            "products_forward": products["forward"],
            "products_error": products["pull"] + products["project"],
            "products_pull": products["pull"],
            "products_project": products["project"],
            "products_update": products["update"],
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Every count as an integer tensor, for a checkpoint."""
        counts = {"steps": self.steps}
        counts |= {f"products/{what}/{stage}": n for (stage, what), n in self.products.items()}
        counts |= {f"transported/{what}/{stage}": n for (stage, what), n in self.transported.items()}
        return {key: torch.tensor(count, dtype=torch.int64) for key, count in counts.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned, in place of every count so far.

        Raises:
            RequestError: a key that no ledger writes.
        """
        counters = {"products": self.products, "transported": self.transported}
        for counter in counters.values():
            counter.clear()
        for key, count in state.items():
            which, _, rest = key.partition("/")
            what, _, stage = rest.partition("/")
            if key == "steps":
                self.steps = int(count)
            elif which in counters and what:
                counters[which][stage, what] = int(count)
            else:
                raise RequestError(f"a ledger's state holds no {key!r}; expected what Ledger.state_dict() returned")


def _totals(counts: Counter[tuple[str, str]]) -> Counter[str]:
    """Counts by what was counted, over all stages."""
    totals: Counter[str] = Counter()
    for (_, what), count in counts.items():
        totals[what] += count
    return totals
