"""Recomputation: equal gradients, bit for bit; less stored, more computed, and nothing learned or sent twice."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from onchip import nn, rules
from onchip.cost.ledger import Ledger
from onchip.errors import UnsupportedError
from onchip.learning.observers import Observer
from onchip.learning.recomputation import pack
from onchip.learning.rule import Rule
from onchip.nn.signals import Static
from onchip.rules import __all__ as every_rule
from tests.cases import CASES, Case, learn, scaled, spikes

IDS = [case.name for case in CASES]


def attached(name: str, case: Case, **options: Any) -> Rule | None:
    torch.manual_seed(0)
    try:
        return getattr(rules, name)(case.build(), **options)
    except UnsupportedError:
        return None


def trained(rule: Rule, signal: Tensor | Static, steps: int = 2) -> tuple[list[Tensor], dict[str, Tensor], Tensor]:
    """Gradients of all parameters, the state of the feedback, and the next random number, after some steps."""
    torch.manual_seed(1)
    for _ in range(steps):
        rule.forward(signal)
        learn(rule)
        rule.step()
    found = [parameter.grad.clone() for parameter in rule.parameters() if parameter.grad is not None]
    return found, {name: value.clone() for name, value in rule.state_dict().items()}, torch.rand(3)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradients_feedback_and_draws_are_equal_bit_for_bit(case: Case) -> None:
    torch.manual_seed(2)
    signal, compared = case.signal(), 0
    for name in every_rule:
        whole, again = attached(name, case), attached(name, case)
        if whole is None or again is None:
            continue
        torch.testing.assert_close(trained(again.recompute(), signal), trained(whole, signal), rtol=0, atol=0)
        compared += 1
    assert compared >= 5


def residual() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.LIF())
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.LIF(), nn.Residual(body), nn.Conv2d(4, 5, 3, padding=1), nn.LIF()]
    return scaled(nn.Sequential(*layers, nn.AvgPool2d(3), nn.Flatten(), nn.Linear(20, 3)), 3.0)


@pytest.mark.parametrize("name", ["bp", "ottt", "dfa", "opzo", "fa"])
@pytest.mark.parametrize("static", [False, True], ids=["sequence", "static"])
def test_skips_ragged_pools_and_static_images(name: str, static: bool) -> None:
    torch.manual_seed(2)
    signal = Static(2 * torch.rand(3, 2, 6, 6), 9) if static else spikes(9, 3, 2, 6, 6)
    whole, again = (getattr(rules, name)(residual()) for _ in range(2))
    torch.testing.assert_close(trained(again.recompute(), signal), trained(whole, signal), rtol=0, atol=0)


class Fired(Observer):
    """Counts what neurons sent, and updates that were made again."""

    def __init__(self) -> None:
        self.sent = self.again = 0

    def fired(self, layer: str, updates: int, spikes: Any, states: int = 1) -> None:
        self.sent += spikes()

    def recomputed(self, layer: str, updates: int, states: int = 1) -> None:
        self.again += updates


def test_the_bill_has_more_products_less_memory_and_the_same_spikes() -> None:
    bills, fired = [], []
    for recompute in (False, True):
        rule = attached("bp", CASES[1])
        assert rule is not None
        rule.observe(ledger := Ledger(every=1))
        rule.observe(seen := Fired())
        torch.manual_seed(2)
        trained(rule.recompute() if recompute else rule, CASES[1].signal(), steps=1)
        bills.append(ledger.summary())
        fired.append((seen.sent, seen.again))
    whole, again = bills
    for doubled in ("products_forward", "operations_forward", "neuron_updates", "state_updates"):
        assert again[doubled] == 2 * whole[doubled], doubled
    for same in ("products_backward", "products_update", "spikes", "phases_per_step", "update_locking_phases"):
        assert again[same] == whole[same], same
    assert again["stored_activity_peak"] < whole["stored_activity_peak"]
    assert fired == [(whole["spikes"], 0), (whole["spikes"], whole["neuron_updates"])]


@pytest.mark.parametrize("recompute", [False, True], ids=["stored", "recomputed"])
def test_stored_scalars_by_hand(recompute: bool) -> None:
    model = nn.Sequential(nn.Linear(6, 50), nn.LIF(), nn.Linear(50, 60), nn.LIF(), nn.Linear(60, 3))
    rule = rules.bp(model)
    if recompute:
        rule.recompute()
    rule.observe(ledger := Ledger(every=1))
    rule.forward(spikes(4, 2, 6))
    learn(rule)
    inputs, potentials = 4 * 2 * (6 + 50 + 60), 4 * 2 * (50 + 60)
    # The potentials of a layer are computed again when its output, the input of the next one, is released.
    assert ledger.summary()["stored_activity_peak"] == inputs + (0 if recompute else potentials)


def test_noise_at_the_drive_is_refused() -> None:
    rule = rules.opzo(CASES[0].build(), place="before")
    with pytest.raises(
        UnsupportedError, match=r"^opzo adds noise to the drive of its neurons, .* leave recompute out$"
    ):
        rule.recompute()


def test_a_stream_stays_as_it_is() -> None:
    signal = CASES[0].signal()
    found = []
    for recompute in (False, True):
        rule = attached("ottt", CASES[0])
        assert rule is not None
        for _ in (rule.recompute() if recompute else rule).stream(signal):
            learn(rule)
        found.append([parameter.grad for parameter in rule.parameters()])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


@pytest.mark.parametrize("steps", [1, 7, 8, 20])
@pytest.mark.parametrize("layout", ["contiguous", "channels last"])
def test_packed_tensors_are_the_same(steps: int, layout: str) -> None:
    torch.manual_seed(0)
    bits = (torch.rand(steps, 3, 4, 6, 6) < 0.4).float()
    if layout == "channels last":
        bits = bits.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (steps, 3))
    quarters, numbers = torch.randint(0, 9, bits.shape) / 4, torch.randn_like(bits)
    bytes_per_value = {"_Bits": -(-steps // 8) / steps, "_Bytes": 1}
    for tensor, form in ((bits, "_Bits"), (bits.double(), "_Bits"), (quarters, "_Bytes"), (3 * bits, "_Bytes")):
        unpack: Any = pack(tensor)
        assert type(unpack).__name__ == form
        assert sum(part.nbytes for part in unpack.parts) == bytes_per_value[form] * tensor.numel()
        assert torch.equal(unpack(), tensor)
        assert (unpack().stride(), unpack().dtype) == (tensor.stride(), tensor.dtype)
    for tensor in (numbers, torch.full_like(bits, torch.inf), bits * 300, -bits):
        assert pack(tensor)() is tensor
