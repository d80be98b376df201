from __future__ import annotations

import inspect
import itertools
import re
from pathlib import Path

import pytest

import onchip as package
from onchip import devices, rules
from onchip.cost import energy
from onchip.training import registry

from .conftest import Onchip


def test_lists_every_rule_with_its_options(onchip: Onchip) -> None:
    result = onchip("rules")
    assert result.code == 0
    for name in registry.known("rule"):
        assert any(line.split()[0] == name for line in result.out.splitlines())
    assert "decay=0.0001" in result.out


def test_explains_one_rule(onchip: Onchip) -> None:
    assert onchip("rules", "fbp").out.strip() == inspect.getdoc(rules.fbp)


def test_lists_and_explains_devices(onchip: Onchip) -> None:
    listed = onchip("devices").out
    assert {line.split()[0] for line in listed.splitlines()} == {*registry.known("device"), "options:"}
    assert "quantum=0.001, bound=0.6" in listed
    assert "lr_scaling=" not in listed, "which is a setting of its own"
    assert onchip("devices", "pulsed").out.strip() == inspect.getdoc(devices.pulsed)
    assert "did you mean 'pulsed'" in onchip("devices", "pulse").err


def test_lists_and_explains_networks(onchip: Onchip) -> None:
    listed = onchip("networks").out
    for name, network in registry.known("network").items():
        assert any(line.split() == [name, *str(network).split()] for line in listed.splitlines())
    assert "Goupy et al. 2025" in listed
    for name in ("vgg7", "16C3-P2-F128"):
        explained = onchip("networks", name).out
        assert explained.startswith(f"{registry.network(name)}\n")
        assert "a convolution to 16 maps" in explained
    assert "did you mean 'mlp'" in onchip("networks", "mpl").err


def test_lists_every_energy_table_with_its_numbers_and_their_publication(onchip: Onchip) -> None:
    listed = onchip("hardware").out
    for name in energy.known_tables():
        prices = energy.table(name)
        assert f"{prices.title}: {prices.scope}" in listed
        for cited in prices.sources().values():
            assert f" {cited.value:g} pJ" in listed
            assert cited.source.split(":")[0] in listed
    assert "Loihi 2: no energy of a synaptic operation is published" in listed


@pytest.mark.parametrize("name", energy.known_tables())
def test_explains_an_energy_table(onchip: Onchip, name: str) -> None:
    """Every source in full, and every count of work, as priced or as unpriced."""
    explained, prices = onchip("hardware", name).out, energy.table(name)
    assert all(cited.source in explained for cited in prices.sources().values())
    priced, unpriced = explained.split("Unpriced, and in no sum: ")
    for count in energy.WORK:
        line = rf"\b{count}\b"
        assert bool(re.search(rf"^  {line}  ", priced, re.MULTILINE)) == (count in prices.prices())
        assert bool(re.search(line, unpriced)) == (count not in prices.prices())
    assert onchip("hardware", name + "-x").code == 2


@pytest.mark.parametrize("kind", ["neuron", "encoder"])
def test_lists_and_explains_neurons_and_encoders(kind: str, onchip: Onchip) -> None:
    lines = onchip(f"{kind}s").out.splitlines()
    for name, part in registry.known(kind).items():
        assert any(line.split()[0] == name for line in lines)
        assert onchip(f"{kind}s", name).out.strip() == inspect.getdoc(part)
    assert onchip(f"{kind}s", "odd").code == 2


def test_refuses_an_unknown_rule(onchip: Onchip) -> None:
    result = onchip("rules", "fpb")
    assert result.code == 2
    assert "did you mean 'fbp'" in result.err


def test_lists_the_data_sets(onchip: Onchip) -> None:
    lines = onchip("data", "list").out.splitlines()
    assert any(line.startswith("digits") and "embedded" in line for line in lines)
    assert any(line.startswith("mnist") and "not fetched" in line for line in lines)


def test_lists_the_options_of_data_sets(onchip: Onchip) -> None:
    lines = onchip("data", "list").out.splitlines()
    after = {line.split()[0]: below for line, below in itertools.pairwise(lines) if line and line[0] != " "}
    assert after["dvs-gesture"].strip() == "options: frames=40, size=32"
    assert after["shd"].strip() == "options: frames=100, channels=700"
    assert not after["cifar10"].startswith(" ")


def test_a_size_may_be_that_of_a_data_set_with_options(onchip: Onchip) -> None:
    result = onchip("cost", "bp", "--net", "mlp", "--data", "shd:channels=140", "--json")
    other = onchip("cost", "bp", "--net", "mlp", "--data", "shd", "--json")
    assert result.code == other.code == 0, result.err
    assert result.out != other.out
    assert "shd got channels=0; expected 1 to 700 channels" in onchip("cost", "bp", "--data", "shd:channels=0").err


def test_says_how_much_of_a_data_set_is_at_hand(onchip: Onchip) -> None:
    for place in (f"{split}/{digit}" for split in ("Train", "Test") for digit in range(10)):
        folder = Path("data/NMNIST") / place
        folder.mkdir(parents=True)
        (folder / "1.bin").touch()
    Path("data/NMNIST/Train/3/2.bin").touch()
    (line,) = [line for line in onchip("data", "list").out.splitlines() if line.startswith("n-mnist")]
    assert "in part" in line
    assert ": 11 + 10 of 60,000 + 10,000 recordings of 2x34x34 over 12 frames, 10 classes" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "list", "--data-root", ""], "got empty text for --data-root"),
        (["data", "check", ""], "got empty text for names"),
        (["report", ""], "got empty text for runs"),
        (["cost", "bp", "--steps", "2", "--steps", "2"], "got --steps 2 times"),
        (["cost", "bp", "fa", "bp"], "rules names 'bp' twice"),
        (["cost", "--train-steps", "1000000000000"], "train-steps got 1000000000000; expected 1 to 2,147,483,647"),
        (["audit", "bp", "--all"], "got --all and the rules bp; expected one of both"),
        (["audit"], "got no rules; name some, as `onchip rules` lists them, or use --all"),
    ],
)
def test_what_the_parser_would_accept_is_refused(arguments: list[str], message: str, onchip: Onchip) -> None:
    result = onchip(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert result.err.count("\n") == 1


def test_checks_a_data_set(onchip: Onchip) -> None:
    result = onchip("data", "check", "digits", "japanese-vowels")
    assert (result.code, result.out.splitlines()) == (
        0,
        [
            "digits: sound; 1,438 training and 359 test images of 1x8x8, 10 classes",
            "japanese-vowels: sound; 270 training and 370 test sequences of 12 over up to 26 steps, 9 classes",
        ],
    )
    assert set(result.out.splitlines()) <= set(onchip("data", "check").out.splitlines()), "of all that are at hand"


@pytest.mark.parametrize(("name", "message"), [("mnist", "mnist: no file"), ("minst", "did you mean 'mnist'")])
def test_a_data_set_that_is_not_sound_is_wrong(name: str, message: str, onchip: Onchip) -> None:
    result = onchip("data", "check", name)
    assert result.code == 2
    assert message in result.err


def test_fetching_what_is_embedded_does_nothing(onchip: Onchip) -> None:
    result = onchip("data", "fetch", "digits")
    assert (result.code, result.out) == (0, "digits: embedded, nothing to fetch\n")


def test_prints_the_version(onchip: Onchip) -> None:
    result = onchip("--version")
    assert (result.code, result.out.strip()) == (0, package.__version__)


def test_help_names_the_commands(onchip: Onchip) -> None:
    result = onchip("--help")
    assert result.code == 0
    for command in ("compare", "train", "rules", "data"):
        assert command in result.out
