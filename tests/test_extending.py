"""Every example of docs/extending.md works with nothing but its file and its one export line."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from typer.testing import CliRunner

from onchip import nn, rules, transport
from onchip.cli import app
from onchip.cost import energy
from onchip.cost.ledger import Ledger
from onchip.data import datasets, load
from onchip.nn import neurons, synapses
from onchip.runs.record import Record, read
from onchip.transport import Transport
from onchip.transport.base import planned_bits
from tests.cases import agree, gradients
from tests.cost.energy import test_contract as contract_of_tables
from tests.nn.neurons import test_contract as contract_of_neurons
from tests.nn.synapses import test_contract as contract_of_synapses

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text(encoding="utf-8")


def source(example: str) -> str:
    """The code block of an example."""
    block = re.search(rf"<!-- example: {example} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    assert block, example
    return block[1]


def add(monkeypatch: pytest.MonkeyPatch, example: str, package: types.ModuleType, file: str, name: str) -> Any:
    """Adds an example as a file of a package, and exports one name from it."""
    module = types.ModuleType(f"{package.__name__}.{file}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source(example), module.__dict__)
    monkeypatch.setattr(package, name, module.__dict__[name], raising=False)
    monkeypatch.setattr(package, "__all__", [*package.__all__, name])
    return module.__dict__[name]


def compared(folder: Path, words: str) -> list[Record]:
    """The records of a comparison on a few digits."""
    small = "--net mlp --train-size 50 --epochs 1 --seeds 1 --steps 2"
    result = CliRunner().invoke(app, ["compare", *words.split(), *small.split(), "--out", str(folder / "out")])
    assert result.exit_code == 0, result.output
    records = read(folder / "out" / "records.jsonl")
    assert all(record.status == "ok" for record in records)
    return records


def test_a_rule(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add(monkeypatch, "rule", rules, "ternary", "ternary")
    assert len(source("rule").splitlines()) <= 30
    records = compared(tmp_path, "--rules bp,ternary:threshold=0.5")
    assert [record.label for record in records] == ["bp", "ternary:threshold=0.5"]
    assert "ternary:threshold=0.5" in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    listed = CliRunner().invoke(app, ["rules", "ternary"])
    assert "threshold" in listed.output
    assert "-1, 0 or 1" in listed.output
    audited = CliRunner().invoke(app, ["audit", "ternary"])
    assert audited.exit_code == 0, audited.output
    assert "ternary errors" in audited.output


def test_a_transport(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scheme: Transport = add(monkeypatch, "transport", transport, "row", "Row")()
    weights, feedback = [torch.randn(3, 4), torch.randn(2, 3, 2, 2)], [torch.zeros(3, 4), torch.zeros(2, 3, 2, 2)]
    for event in range(3):
        moved = scheme(feedback, weights, event)
        assert [layer.value_bits + layer.index_bits for layer in moved] == planned_bits(scheme, weights)
    assert all(torch.equal(b, w) for b, w in zip(feedback, weights, strict=True))
    (record,) = compared(tmp_path, "--rules fbp:period=1;transport=row")
    assert record.ledger["weights_transported"] > 0


def test_a_synapse(monkeypatch: pytest.MonkeyPatch) -> None:
    made = add(monkeypatch, "synapse", synapses, "grouped_linear", "GroupedLinearSynapse")
    layer = made.modules[0]
    synapses.register(made)
    try:
        check_the_synapse(monkeypatch, layer)
        model = nn.Sequential(layer(6, 8, 2), nn.LIF(), layer(8, 4, 4)).double()
        signal = torch.rand(3, 5, 6, dtype=torch.float64)
        model(signal).square().mean().backward()
        expected = gradients(model)
        model.zero_grad()
        rule = rules.bp(model)
        rule.backward(rule.forward(signal).square().mean())
        agree(gradients(model), expected)
    finally:
        synapses.lookup._registered.pop(layer)


def check_the_synapse(monkeypatch: pytest.MonkeyPatch, layer: type[torch.nn.Module]) -> None:
    """The contract of synapses, on geometries of this layer."""

    def geometry(data: st.DataObject) -> tuple[dict[str, int], tuple[int, ...]]:
        groups, inputs, outputs = (data.draw(st.integers(1, 3)) for _ in range(3))
        return {"inputs": groups * inputs, "outputs": groups * outputs, "groups": groups}, (groups * inputs,)

    monkeypatch.setitem(contract_of_synapses.GEOMETRIES, layer, geometry)
    for test in (
        contract_of_synapses.test_the_products_are_torchs,
        contract_of_synapses.test_the_three_products_are_one_trilinear_form,
        contract_of_synapses.test_products_are_half_of_torchs_flops,
        contract_of_synapses.test_operations_are_those_counted_one_by_one,
        contract_of_synapses.test_smaller_maps_of_the_same_weights,
        contract_of_synapses.test_shapes_that_do_not_fit_are_refused_by_name,
    ):
        test(layer)


def test_a_neuron(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add(monkeypatch, "neuron", neurons, "leaky", "Leaky")
    contract_of_neurons.test_activity_has_the_drives_shape_and_type("Leaky", (7,), torch.float32)
    contract_of_neurons.test_fire_is_forward("Leaky")
    contract_of_neurons.test_a_static_drive_equals_the_same_drive_at_every_step("Leaky", (7,))
    contract_of_neurons.test_two_chunks_with_the_state_carried_are_one_run("Leaky", 3)
    contract_of_neurons.test_plain_autograd_agrees_with_backpropagation("Leaky")
    for way in ("backward_through_time", "backward_local"):
        contract_of_neurons.test_a_tape_is_spent_once("Leaky", way)
    records = compared(tmp_path, "--neuron leaky:decay=0.8 --rules bp,ottt")
    assert {record.neuron for record in records} == {"leaky:decay=0.8"}


def test_an_energy_table(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("onchip.cost.energy.hypothetical")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source("energy table"), module.__dict__)
    monkeypatch.setattr(energy, "TABLES", [*energy.TABLES, module.__dict__["hypothetical"]])
    bill = {**dict.fromkeys(Ledger().summary(), 0.0), "acs_error": 10, "neuron_updates": 3, "random_draws": 1}
    priced = energy.table("hypothetical").energy(bill)
    assert (priced.table, priced.total_pj, priced.unpriced) == ("hypothetical", 35.0, ("random_draws",))
    words = "cost bp --net mlp --data 1x8x8 --batch-size 2 --steps 2 --hardware hypothetical --json"
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 0, result.output
    assert "hypothetical" in result.output
    contract_of_tables.test_priced_and_unpriced_are_all_work_of_a_bill("hypothetical")
    contract_of_tables.test_every_price_is_positive_and_has_a_source("hypothetical")


def test_a_data_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    add(monkeypatch, "data set", datasets, "stripes", "stripes")
    data = load("stripes")
    assert (len(data.train), len(data.validation), len(data.test)) == (360, 40, 100)
    assert (data.shape, data.n_classes) == ((1, 8, 8), 2)
    (record,) = compared(tmp_path, "--data stripes --rules bp")
    assert (record.data, record.classes) == ("stripes", 2)
    assert "stripes" in CliRunner().invoke(app, ["data", "list"]).output
