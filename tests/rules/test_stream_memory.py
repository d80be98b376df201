"""Memory of a stream through a recurrent network does not grow with the number of time steps; that of `bp` does."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.learning.centering import Causal
from onchip.learning.rule import Rule

INPUTS, HIDDEN, CLASSES, BATCH = 6, 12, 4, 3
Make = Callable[[nn.Sequential], Rule]
ONLINE: dict[str, Make] = {
    "ottt": rules.ottt,
    "sltt": rules.sltt,
    "eprop": rules.eprop,
    "ostl": rules.ostl,
    "osttp": rules.osttp,
    "drtp": rules.drtp,
    "etlp": rules.etlp,
    "decolle": rules.decolle,
    "s_tllr": rules.s_tllr,
    "dfa": rules.dfa,
    "dkp": rules.dkp,
    "opzo": partial(rules.opzo, centering=Causal()),
}


class Allocated(TorchDispatchMode):
    """Bytes of the tensors that were made inside the `with` block and are alive: now, and at their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and not func.is_view:  # type: ignore[attr-defined]
                self._made(tensor.untyped_storage())
        return result

    def _made(self, storage: torch.UntypedStorage) -> None:
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self._known or not size:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def network(readout: str) -> nn.Sequential:
    torch.manual_seed(0)
    recurrent = nn.Recurrent(nn.Linear(HIDDEN, HIDDEN, bias=False), nn.LIF(decay=0.8))
    first = nn.Linear(INPUTS, HIDDEN)
    with torch.no_grad():
        first.weight.mul_(4)  # so that neurons fire
    layers = [first, recurrent, nn.Linear(HIDDEN, CLASSES)]
    return nn.Sequential(*layers, *([nn.LI(decay=0.6)] if readout == "leaky" else []))


def peaks(
    make: Callable[[nn.Sequential], Rule], steps: int, *, stream: bool, readout: str = "plain"
) -> tuple[int, int]:
    """Most bytes of tensors during a training step on T steps, and the most scalars that the ledger saw stored."""
    rule, ledger = make(network(readout)), Ledger()
    rule.observe(ledger)
    frames = (torch.rand(steps, BATCH, INPUTS) < 0.5).float()
    labels = torch.randint(CLASSES, (BATCH,))

    def learn(output: Tensor) -> None:
        classes = labels.repeat(len(output))
        losses = [torch.nn.functional.cross_entropy(out.flatten(0, 1), classes) for out in rule.outputs]
        rule.backward(torch.stack(losses).sum() / steps, targets=labels if rule.by_target else None)

    if stream:
        for output in rule.stream(frames[:2]):  # what is made once
            learn(output)
    else:
        learn(rule.forward(frames[:2]))
    rule.step()
    with Allocated() as allocated:
        if stream:
            for output in rule.stream(frames):
                learn(output)
        else:
            learn(rule.forward(frames))
    return allocated.peak, int(ledger.summary()["stored_activity_peak"])


@pytest.mark.parametrize(
    ("name", "readout"), [*((name, "plain") for name in ONLINE), ("eprop", "leaky"), ("ostl", "leaky")]
)
def test_a_stream_needs_as_much_for_many_steps_as_for_few(name: str, readout: str) -> None:
    found = [peaks(ONLINE[name], steps, stream=True, readout=readout) for steps in (10, 40, 160)]
    bytes_of, stored = zip(*found, strict=True)
    assert bytes_of[0] > 0
    assert len(set(bytes_of)) == 1, bytes_of
    assert len(set(stored)) == 1, stored


@pytest.mark.parametrize("make", [rules.bp, rules.ottt], ids=["bp", "ottt"])
def test_whole_sequences_need_memory_for_every_step(make: Make) -> None:
    """So that what the test above measures can grow, and does under `bp`, which has no stream."""
    (short, few), (long, many) = (peaks(make, steps, stream=False) for steps in (10, 160))
    assert long > 10 * short
    assert many > 10 * few
