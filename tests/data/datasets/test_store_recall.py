"""Store and recall: what tells the class, and what does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from onchip.data import SEQUENCES, Split, load
from onchip.errors import RequestError
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train


@pytest.fixture(scope="module")
def split() -> Split:
    return load("store-recall", validation=0).train


def by_period(split: Split) -> Tensor:
    """Spikes (N, periods, groups) of value 0, value 1, store and recall."""
    return split.samples.float().unflatten(1, (-1, 5)).unflatten(3, (4, 5)).sum((2, 4))


def test_only_the_recall_has_a_target(split: Split) -> None:
    assert (split.kind, split.shape, split.steps, len(split)) == (SEQUENCES, (20,), 45, 4000)
    assert bool((split.labels[:, :40] == -1).all())
    assert bool((split.labels[:, 40:] == split.sample_labels[:, None]).all())
    assert abs(split.sample_labels.double().mean().item() - 0.5) < 0.03  # 4 standard deviations


def test_the_class_is_the_value_at_the_store_cue(split: Split) -> None:
    spikes = by_period(split)
    cue = spikes[:, :, 2].argmax(1)
    assert set(cue.tolist()) == {0, 1, 2, 3}, "at least 20 steps before the recall"
    value = spikes[torch.arange(len(split)), cue, :2].argmax(1)
    assert (value == split.sample_labels).double().mean() > 0.999
    assert bool((spikes[:, :, 3].argmax(1) == 8).all())


def test_groups_spike_at_their_rates(split: Split) -> None:
    spikes = by_period(split) / 25
    cue = spikes[:, :, 2].argmax(1)
    on = spikes[torch.arange(len(split)), cue, 2]
    assert on.mean().item() == pytest.approx(0.5, abs=0.01)
    assert spikes[:, -1, 3].mean().item() == pytest.approx(0.5, abs=0.01)
    assert spikes[:, :-1, :2].sum(2).mean().item() == pytest.approx(0.52, abs=0.005), "one of two values is on"
    assert spikes[:, :-1, 3].mean().item() == pytest.approx(0.02, abs=0.002)
    assert spikes[:, -1, :3].mean().item() == pytest.approx(0.02, abs=0.002)


@pytest.mark.parametrize("decay", [0.0, 0.8, 0.95, 1.0])
def test_no_leaky_sum_over_the_past_tells_the_class(split: Split, decay: float) -> None:
    weight = decay ** torch.arange(44, -1, -1.0)  # of each step, seen at the end
    features = torch.einsum("t,ntc->nc", weight, split.samples.float())
    inputs = torch.cat([features, torch.ones(len(split), 1)], 1).double()
    wanted = 2.0 * split.sample_labels.double() - 1.0
    found = torch.linalg.lstsq(inputs[:2000], wanted[:2000]).solution
    right = (inputs[2000:] @ found > 0) == (wanted[2000:] > 0)
    assert abs(right.double().mean().item() - 0.5) < 0.045  # 4 standard deviations


def test_train_and_test_are_drawn_apart_and_always_alike() -> None:
    data, again = load("store-recall"), load("store-recall", seed=5, train_size=10)
    assert torch.equal(data.test.samples, again.test.samples)
    assert not torch.equal(data.test.samples[:1000], load("store-recall", validation=0).train.samples[:1000])
    assert len(data.test) == 1000
    # Recorded when they were first made: a change here makes published numbers incomparable.
    assert (int(data.test.samples.sum()), data.test.sample_labels[:12].tolist()) == (
        137780,
        [0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1],
    )


def test_the_delay_is_an_option() -> None:
    longer = load("store-recall:delay=60", validation=0)
    assert (longer.steps, longer.name) == (85, "store-recall:delay=60")
    cue = by_period(longer.train)[:, :, 2].argmax(1)
    assert int(cue.max()) == 3


@pytest.mark.parametrize("delay", ["0", "15", "-10", "1010"])
def test_other_delays_are_refused(delay: str) -> None:
    with pytest.raises(RequestError, match=f"store-recall got delay={delay}; expected a multiple of 10 time steps"):
        load(f"store-recall:delay={delay}")


@pytest.mark.slow
def test_it_takes_credit_through_time() -> None:
    accuracies = {}
    for rule in ("bp", "sltt"):
        neuron = "alif:decay=0.8;adaptation=0.7;adaptation-decay=0.97"
        config = RunConfig(
            data="store-recall", net="R64", neuron=neuron, rule=rule, epochs=4, lr=2e-3, loss="steploss:0"
        )
        accuracies[rule] = train(config, load_data(config)).test_accuracy or 0.0
    assert accuracies["bp"] > 0.95
    assert abs(accuracies["sltt"] - 0.5) < 0.08, accuracies
