"""The bill: what training with a rule moved and multiplied, as the engine reported it."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor

from onchip.credit import Observer, Product
from onchip.errors import RequestError

__all__ = ["Ledger"]

_KINDS: tuple[Product, ...] = ("forward", "pull", "project", "update")


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
        self.products: Counter[tuple[str, Product]] = Counter()
        self.transported: Counter[str] = Counter()
        self.transported_initial: Counter[str] = Counter()

    def product(self, stage: str, kind: Product, count: int) -> None:
        self.products[stage, kind] += count

    def transport(self, stage: str, scalars: int, *, initial: bool) -> None:
        (self.transported_initial if initial else self.transported)[stage] += scalars

    def stepped(self) -> None:
        self.steps += 1

    def summary(self) -> dict[str, int]:
        """Totals over all stages and steps.

        `products_error` counts both ways in which errors travel: `products_pull` down through a layer's
        feedback weights and `products_project` straight from the output.
        """
        of: Counter[Product] = Counter()
        for (_, kind), count in self.products.items():
            of[kind] += count
        return {
            "steps": self.steps,
            "weights_transported": self.transported.total(),
            "weights_transported_initial": self.transported_initial.total(),
            "products_forward": of["forward"],
            "products_error": of["pull"] + of["project"],
            "products_pull": of["pull"],
            "products_project": of["project"],
            "products_update": of["update"],
        }

    def state_dict(self) -> dict[str, Tensor]:
        """Every count as an integer tensor, for a checkpoint."""
        state = {"steps": self.steps}
        state |= {f"products/{kind}/{stage}": n for (stage, kind), n in self.products.items()}
        state |= {f"transported/{stage}": n for stage, n in self.transported.items()}
        state |= {f"initial/{stage}": n for stage, n in self.transported_initial.items()}
        return {key: torch.tensor(count, dtype=torch.int64) for key, count in state.items()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned, in place of every count so far.

        Raises:
            RequestError: a key that no ledger writes.
        """
        self.__init__()  # type: ignore[misc]
        for key, tensor in state.items():
            what, _, rest = key.partition("/")
            count = int(tensor)
            kind, _, stage = rest.partition("/")
            known = next((known for known in _KINDS if known == kind), None)
            if key == "steps":
                self.steps = count
            elif what == "products" and known is not None:
                self.products[stage, known] = count
            elif what == "transported":
                self.transported[rest] = count
            elif what == "initial":
                self.transported_initial[rest] = count
            else:
                raise RequestError(f"a ledger's state holds no {key!r}; expected what Ledger.state_dict() returned")
