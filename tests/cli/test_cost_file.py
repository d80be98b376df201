"""Networks from NIR files as arguments of `onchip cost` and `onchip chips check`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from onchip import interop, nn
from onchip.models import mlp
from tests.cli.conftest import Onchip

pytest.importorskip("nir")


def _hard() -> nn.Neuron:
    return nn.LIF(reset="hard")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        interop.export(tmp_path / "net.nir", mlp((1, 8, 8), 10, neuron=_hard), (1, 8, 8))
    return tmp_path / "net.nir"


def test_a_network_from_a_file_costs_what_the_same_network_costs_by_name(onchip: Onchip, exported: Path) -> None:
    of_file = onchip("cost", str(exported), "bp", "dfa", "fbp:period=10", "--json", "--steps", "3")
    assert of_file.code == 0, of_file.err
    by_name = onchip(
        *("cost", "bp", "dfa", "fbp:period=10", "--json", "--steps", "3", "--net", "mlp", "--neuron", "lif:reset=hard")
    )
    for one, other in zip(of_file.out.splitlines(), by_name.out.splitlines(), strict=True):
        found, expected = json.loads(one), json.loads(other)
        assert found.pop("about") != expected.pop("about")
        assert found == expected
    assert str(exported) in of_file.out


def test_a_chip_judges_a_network_from_a_file_as_the_same_network_by_name(onchip: Onchip, exported: Path) -> None:
    of_file = onchip("chips", "check", "loihi", "--net", str(exported), "--rules", "dfa,bp", "--json")
    assert of_file.code == 0, of_file.err
    by_name = onchip(
        *("chips", "check", "loihi", "--net", "mlp", "--neuron", "lif:reset=hard", "--rules", "dfa,bp", "--json")
    )
    found = of_file.out.replace(f"{exported} of lif neurons", "mlp of lif:reset=hard neurons")
    assert found == by_name.out


def test_every_rule_that_can_train_it_is_priced(onchip: Onchip, exported: Path) -> None:
    result = onchip("cost", str(exported))
    assert result.code == 0, result.err
    assert "| bp " in result.out
    assert "| opzo " in result.out
    assert "left out: ssnn_bp cannot train LIF" in result.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--net", "mlp"), "got net mlp and"),
        (("--neuron", "if"), "got neuron if and"),
        (("--data", "mnist"), "got data mnist and"),
        (("--classes", "3"), "got classes 3 and"),
        (("other.nir",), "expected one"),
    ],
)
def test_settings_that_the_file_has_are_refused(
    onchip: Onchip, exported: Path, words: tuple[str, ...], message: str
) -> None:
    result = onchip("cost", str(exported), *words)
    assert result.code == 2
    assert message in result.err


def test_files_that_hold_no_network_are_refused_in_one_line(onchip: Onchip, tmp_path: Path) -> None:
    (tmp_path / "text.nir").write_text("no HDF5")
    for name, message in (("none.nir", "No such file"), ("text.nir", "is no NIR file, or damaged")):
        result = onchip("cost", str(tmp_path / name))
        assert result.code == 2
        assert message in result.err
        assert len(result.err.splitlines()) == 1
