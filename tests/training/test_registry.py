from __future__ import annotations

import pytest
import torch

from onchip import encoding as encode
from onchip import models, rules
from onchip.errors import RequestError
from onchip.nn import neurons
from onchip.nn.signals import SPIKE_TIMES, TIME_STEPS, SignalKind
from onchip.runs.grammar import command_name
from onchip.training import registry


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("known", "exported"),
    [
        (registry.known("rule"), rules.__all__),
        (registry.known("network"), models.__all__),
        (registry.known("neuron"), neurons.__all__),
        (registry.known("encoder"), encode.__all__),
    ],
)
def test_everything_that_is_exported_can_be_named(known: dict[str, object], exported: list[str]) -> None:
    assert list(known) == sorted(map(command_name, exported))


def test_a_rule_keeps_its_options() -> None:
    made = registry.part("rule", "fbp:period=7;transport=top:0.25")
    assert made.label == "fbp:period=7;transport=top:0.25"
    assert made.options["period"] == 7
    assert str(made.options["transport"]).startswith("top:fraction=0.25")
    model = registry.network("mlp")((1, 2, 2), 3, neuron=registry.neuron("lif")[0])
    assert made(model).name == "fbp"


def test_a_neuron_takes_options() -> None:
    make, kind = registry.neuron("lif:decay=0.9")
    assert kind is TIME_STEPS
    assert isinstance(make(), neurons.LIF)
    assert make() is not make()


@pytest.mark.parametrize(("kind", "name"), [(TIME_STEPS, "constant"), (SPIKE_TIMES, "latency")])
def test_the_encoder_follows_the_neurons(kind: SignalKind, name: str) -> None:
    assert registry.encoder(None, kind, steps=3, generator=generator())[1] == name


def test_an_encoder_gets_steps_and_randomness() -> None:
    images = torch.full((2, 1, 3, 3), 0.5)
    built, _ = registry.encoder("poisson", TIME_STEPS, steps=3, generator=generator())
    again, _ = registry.encoder("poisson", TIME_STEPS, steps=3, generator=generator())
    first, second = built(images), again(images)
    assert isinstance(first, torch.Tensor)
    assert isinstance(second, torch.Tensor)
    assert first.shape == (3, 2, 1, 3, 3)
    assert torch.equal(first, second)


def test_augmentation_is_composed() -> None:
    made = registry.augmentation("crop:1,flip")
    assert made is not None
    assert made(torch.rand(2, 1, 4, 4), generator()).shape == (2, 1, 4, 4)
    assert registry.augmentation(None) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: registry.part("rule", "fpb"), "did you mean 'fbp'"),
        (lambda: registry.part("rule", "fbp:model=1"), "unknown option"),
        (lambda: registry.network("mpl"), "did you mean 'mlp'"),
        (lambda: registry.neuron("lfi"), "unknown neuron"),
        (lambda: registry.neuron("lif:decay=2")[0](), "decay"),
        (lambda: registry.encoder("pixels", TIME_STEPS, steps=1, generator=generator()), "unknown encoder"),
        (
            lambda: registry.encoder("latency", TIME_STEPS, steps=1, generator=generator()),
            "makes spike times, .* take time steps",
        ),
        (lambda: registry.encoder("poisson:steps=3", TIME_STEPS, steps=1, generator=generator()), "'steps'"),
        (lambda: registry.augmentation("compose"), "There are: "),
        (lambda: registry.augmentation("crop:0"), "Crop"),
        (lambda: registry.device("tpu9"), "this machine has: cpu"),
        (lambda: registry.device("meta"), "this machine has: cpu"),
        (lambda: registry.device("cuda:99"), "this machine has: cpu"),
    ],
)
def test_refuses_by_name(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(RequestError, match=message):
        call()
