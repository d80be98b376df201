"""Prices: what one counted step says of a run is what the run's ledger says."""

from __future__ import annotations

import pytest
import torch

from onchip import nn, rules
from onchip.cost.estimate import Price, Pricing
from onchip.cost.ledger import Ledger
from onchip.errors import UnsupportedError
from onchip.losses import StepLoss
from onchip.nn.signals import TIME_STEPS, Signal, SignalKind, Static
from onchip.training import registry
from tests.cases import scaled

SAMPLES = 4


def dense() -> nn.Sequential:
    torch.manual_seed(0)
    return scaled(nn.Sequential(nn.Linear(6, 50), nn.LIF(), nn.Linear(50, 40), nn.LIF(), nn.Linear(40, 3)), 3.0)


def image() -> Static:
    return Static(torch.rand(SAMPLES, 6, generator=torch.Generator().manual_seed(0)), 3)


def pricing(
    model: nn.Sequential | None = None,
    *,
    signal: Signal | None = None,
    kind: SignalKind = TIME_STEPS,
    batch_size: int = SAMPLES,
    train_steps: int = 1000,
    bits: int = 32,
) -> Pricing:
    labels = torch.arange(SAMPLES) % 3
    return Pricing(
        dense() if model is None else model,
        kind,
        image() if signal is None else signal,
        labels,
        StepLoss(),
        batch_size,
        train_steps,
        bits,
        "horowitz-45nm",
    )


def price(text: str, **options: int) -> Price:
    return pricing(**options).price(registry.part("rule", text), text)  # type: ignore[arg-type]


TRAINABLE = [name for name in rules.__all__ if name not in ("ssnn_bp", "own_noise_mirror")]


@pytest.mark.parametrize("name", TRAINABLE)
def test_a_price_is_what_the_ledger_of_a_real_step_says(name: str) -> None:
    """With weights that stay as they are, and with updates that are really made."""
    found = price(name.replace("_", "-"), train_steps=1).step
    model, ledger = dense(), Ledger()
    torch.manual_seed(0)  # as Pricing seeds a rule's draws
    rule = getattr(rules, name)(model)
    rule.observe(ledger)
    torch.manual_seed(1)
    out, loss, labels = rule.forward(image()), StepLoss(), torch.arange(SAMPLES) % 3
    whole = torch.stack([loss(output, labels) for output in rule.outputs]).sum()
    rule.backward(whole, loss.each(out.detach(), labels), labels)
    rule.step()
    expected = ledger.summary()
    for what, count in found.items():
        if what != "stored_activity_peak":
            assert count == pytest.approx(expected[what]), what


def test_fbp_moves_a_thousandth_of_bp_and_says_what_else_it_takes() -> None:
    """Every hundredth step the tenth that has changed most: 1,000 times fewer scalars, but not bits."""
    later = 50 * 40 + 40 * 3
    bp, fbp = price("bp").step, price("fbp:period=100;transport=top:0.1").step
    assert bp["weights_transported"] == later
    assert bp["weights_transported"] / fbp["weights_transported"] == pytest.approx(1000)
    assert fbp["transport_index_bits"] == pytest.approx((200 * 10 + 12 * 7) / 1000 * 10)
    assert fbp["transport_compares"] == fbp["transport_sorts"] == pytest.approx(later / 100)
    assert bp["transport_value_bits"] / fbp["transport_value_bits"] == pytest.approx(1000)
    assert bp["feedback_memory"] == 0
    assert fbp["feedback_memory"] == later


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("fbp:period=1", 1000),
        ("fbp:period=300;transport=cyclic:0.5", 3),
        ("fbp:period=5000", 0),
        ("fbp:period=doubling:100", 15),
        ("weight-mirror:period=7", 0),
    ],
)
def test_events_are_those_of_the_schedule(text: str, events: int) -> None:
    assert price(text).step["transport_events"] * 1000 == pytest.approx(2 * events)


def test_noise_phases_are_those_of_the_schedule() -> None:
    often, seldom, phases = price("weight-mirror").step, price("weight-mirror:period=7").step, 1000 // 7
    assert seldom["products_feedback_update"] / often["products_feedback_update"] == pytest.approx(phases / 1000)
    assert seldom["random_draws"] / often["random_draws"] == pytest.approx(phases / 1000)


def test_a_batch_costs_its_samples_and_one_transport() -> None:
    one, many = (price("opzo", batch_size=size).step for size in (SAMPLES, 10 * SAMPLES))
    for what in ("operations_forward", "operations_error", "random_draws", "stored_activity_peak", "spikes"):
        assert many[what] == pytest.approx(10 * one[what]), what
    for what in ("writes_weights", "writes_feedback", "feedback_memory", "phases_per_step", "error_sparsity"):
        assert many[what] == pytest.approx(one[what]), what
    one, many = (price("bp", batch_size=size).step for size in (SAMPLES, 10 * SAMPLES))
    assert many["weights_transported"] == one["weights_transported"] > 0


def test_bits_change_what_is_sent_at_the_weights_own_precision() -> None:
    later, half = 50 * 40 + 40 * 3, 16
    assert price("bp", bits=half).step["transport_value_bits"] == half * later
    assert price("usf", bits=half).step["transport_value_bits"] == later, "one bit each"
    sign = price("fbp:period=1;transport=sign", bits=half).step
    assert sign["transport_value_bits"] == pytest.approx(later + 2 * half)
    assert price("bp", bits=half).energy.total_pj < price("bp").energy.total_pj


def test_a_stream_keeps_one_step() -> None:
    whole, stream = price("bp"), price("ottt")
    assert stream.streams
    assert not whole.streams
    units = 6 + 50 + 40 + 50 + 40  # images or traces, and potentials; the read-out has none
    carried = 50 + 40 + 50  # membranes, and the trace of what reaches the second layer; the read-out has no trace
    assert stream.step["stored_activity_peak"] == SAMPLES * (units + carried)
    assert whole.step["stored_activity_peak"] == SAMPLES * (6 + 3 * (50 + 40 + 50 + 40))


def test_the_network_stays_as_it_was_and_free() -> None:
    model = dense()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    offer = pricing(model)
    for name in ("opzo", "kolen-pollack", "bp"):
        offer.price(registry.part("rule", name), name)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items() if name)
    rules.bp(model)


def test_forward_products_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from onchip.nn.synapses import LinearSynapse

    made, apply = list[torch.Size](), LinearSynapse.apply

    def counted(self: LinearSynapse, x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        made.append(x.shape)
        return apply(self, x, *rest)

    monkeypatch.setattr(LinearSynapse, "apply", counted)
    offer = pricing()
    first = offer.price(registry.part("rule", "bp"), "bp")
    assert len(made) == 3
    again = offer.price(registry.part("rule", "bp"), "bp")
    assert len(made) == 3
    assert again == first


def test_what_only_training_shows_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"threshold:0\.1 moves as many weights as have changed enough"):
        price("fbp:period=10;transport=threshold:0.1")
    with pytest.raises(UnsupportedError, match="ssnn_bp cannot train LIF"):
        price("ssnn-bp")
