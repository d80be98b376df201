"""Synapses with the bits of a chip: their grids, and the limit in which they are those of gradient descent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onchip import devices, rules
from onchip.chips.bits import Bits
from onchip.devices.chip import ChipCell
from onchip.errors import RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.learning.temporal.online import Online
from onchip.nn import LIF, Recurrent, Static
from onchip.nn import Sequential as Network
from onchip.nn.synapses import LinearSynapse
from onchip.runs.config import RunConfig
from onchip.training.builder import load_data
from onchip.training.loop import train
from onchip.training.progress import ProgressListener

LOIHI = files("onchip.chips").joinpath("profiles").joinpath("loihi.toml").read_text(encoding="utf-8")
BITS = Bits(trace=7, signed_trace=False, weight=8, tag=8, rounding="stochastic")


def chip_file(folder: Path, name: str = "fine.toml", **facts: str) -> str:
    """A chip file: Loihi with other values of some facts."""
    lines = []
    section = ""
    for line in LOIHI.splitlines():
        section = line.strip("[]") if line.startswith("[") else section
        key = line.partition(" =")[0]
        value = facts.get(f"{section}_{key}")
        lines.append(line if value is None else f'{key} = {{ value = {value}, source = "a test" }}')
    path = folder / name
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def fine(folder: Path) -> str:
    return chip_file(folder, traces_bits='"40 bits"', synapses_weight_bits='"40 bits"')


def network() -> nn.Module:
    torch.manual_seed(0)
    first = [nn.Linear(6, 8), Recurrent(nn.Linear(8, 8, bias=False), LIF())]
    model = Network(*first, nn.Linear(8, 7), LIF(), nn.Linear(7, 3)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


def losses(rule: Rule, spikes: Tensor, labels: Tensor) -> None:
    rule.forward(spikes)
    loss = torch.stack([torch.nn.functional.cross_entropy(o.flatten(0, 1), labels.repeat(5)) for o in rule.outputs])
    rule.backward(loss.sum(), targets=labels)


RULES: dict[str, Callable[[nn.Module], Rule]] = {
    "dfa": rules.dfa,
    "eprop": rules.eprop,
    "s_tllr": rules.s_tllr,
    "local_learning": rules.local_learning,
    "dkp": lambda model: rules.dkp(model, decay=0.1),
    "kolen_pollack": lambda model: rules.kolen_pollack(model, decay=0.01, temporal=Online()),
}


@pytest.mark.parametrize("name", RULES)
def test_with_many_bits_it_is_gradient_descent(name: str, tmp_path: Path) -> None:
    steps, spikes = 4, [(torch.rand(5, 3, 6) < 0.5).double() for _ in range(4)]
    results = []
    for fine_chip in (True, False):
        model = network()
        torch.manual_seed(1)
        rule = RULES[name](model)
        made: torch.optim.Optimizer
        labels = torch.tensor([0, 1, 2])
        made = (
            devices.chip(rule, fine(tmp_path), lr=0.5, bound=16.0)
            if fine_chip
            else torch.optim.SGD(rule.parameters(), lr=0.5)
        )
        for step in range(steps):
            losses(rule, spikes[step], labels)
            made.step()
            made.zero_grad()
            rule.step()
        results.append([parameter.detach().clone() for parameter in rule.parameters()])
    start = [parameter.detach() for parameter in network().parameters()]
    assert all(float((got - first).abs().max()) > 1e-3 for got, first in zip(results[0], start, strict=False))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-8)


def test_weights_and_learned_feedback_stay_on_the_grid() -> None:
    model = network().float()
    rule = rules.local_learning(model)
    device, labels = devices.chip(rule, lr=0.5, bound=2.0), torch.tensor([0, 1, 2])
    for _ in range(3):
        losses(rule, (torch.rand(5, 3, 6) < 0.5).float(), labels)
        device.step()
        device.zero_grad()
        rule.step()
        for parameter in rule.parameters():
            steps = parameter.detach() * 2.0**7
            assert torch.equal(steps, steps.round())
            assert float(steps.abs().max()) <= 255
    assert device.summary()["cells"] == sum(parameter.numel() for parameter in rule.parameters())


@pytest.mark.parametrize("largest", [1.0, 0.013, 5.0])
def test_factors_have_the_bits_of_a_trace_in_steps_of_a_power_of_two(largest: float) -> None:
    torch.manual_seed(0)
    cell, synapse = ChipCell(BITS), LinearSynapse(1, 1)
    cells = cell.draw(torch.ones(1, 1))
    delta = torch.linspace(-largest, largest, 4_001).unsqueeze(1)
    updates = torch.cat([cell.weight_update(synapse, cells, torch.ones(1, 1), row.unsqueeze(0), None) for row in delta])
    values = updates.unique()
    assert 64 < len(values) <= 255
    quantum = float(values.diff().min())
    assert torch.equal(values / quantum, (values / quantum).round())
    assert torch.frexp(torch.tensor(quantum))[0] == 0.5
    assert float((updates - delta).abs().max()) <= quantum
    # The range is that of the largest error so far, so that it does not shrink.
    small = cell.weight_update(synapse, cells, torch.ones(1, 1), torch.full((1, 1), quantum / 3), None)
    assert float(small) in (0.0, quantum)


def test_bounds_leave_room_for_weights_to_grow() -> None:
    for scale in (0.1, 0.125, 3.0):
        bound = float(ChipCell(BITS).draw(torch.tensor([[scale, -scale / 2]]))["bound"])
        assert 4 * scale <= bound < 8 * scale
    assert float(ChipCell(BITS, bound=0.5).draw(torch.ones(2, 2))["bound"]) == 0.5


def test_what_a_profile_does_not_know_is_exact(tmp_path: Path) -> None:
    unknown = chip_file(tmp_path, traces_bits='"unknown"', synapses_weight_bits='"unknown"')
    models = [network(), network()]
    for model, coarse in zip(models, (True, False), strict=True):
        torch.manual_seed(1)
        rule = rules.dfa(model)
        made = devices.chip(rule, unknown, lr=0.5) if coarse else torch.optim.SGD(rule.parameters(), lr=0.5)
        losses(rule, torch.ones(5, 3, 6).double(), torch.tensor([0, 1, 2]))
        made.step()
    torch.testing.assert_close(models[0].state_dict(), models[1].state_dict())


def test_rounding_down_and_to_the_nearest_need_no_chance(tmp_path: Path) -> None:
    for rounding in ("nearest", "down"):
        path = chip_file(tmp_path, synapses_rounding=f'"{rounding}"')
        results = []
        for seed in (1, 2):
            model = network().float()
            torch.manual_seed(0)
            rule = rules.dfa(model)
            device = devices.chip(rule, path, lr=0.5)
            losses(rule, torch.ones(5, 3, 6), torch.tensor([0, 1, 2]))
            torch.manual_seed(seed)
            device.step()
            results.append([parameter.detach().clone() for parameter in model.parameters()])
        assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


@pytest.mark.parametrize(
    ("facts", "error", "said"),
    [
        ({"synapses_rounding": '"analog"'}, UnsupportedError, "analog synapses.*--synapses pulsed"),
        ({"synapses_rounding": '"unknown"'}, UnsupportedError, "does not say how updates are rounded"),
    ],
)
def test_refuses_chips_without_bits(facts: dict[str, str], error: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=said):
        devices.chip(rules.dfa(network()), chip_file(tmp_path, **facts), lr=0.1)


SPEC = RunConfig(
    rule="dfa", net="F20", synapses="chip:loihi", encoder="poisson", train_size=60, epochs=2, lr=0.5, batch_size=4
)


class Stopping(ProgressListener):
    """Ends a run after its first epoch."""

    def epoch_ended(self, epoch: Any) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("rule", ["dfa", "local-learning", "kolen-pollack:temporal=online"])
def test_a_run_tells_of_its_writes_and_resumes_bit_for_bit(rule: str, tmp_path: Path) -> None:
    config = dataclasses.replace(SPEC, rule=rule)
    data = load_data(config)
    whole = train(config, data)
    assert 0 < whole.ledger["cell_writes_mean"] <= whole.ledger["cell_writes_max"]
    assert whole.ledger["cells"] >= whole.parameters
    with pytest.raises(KeyboardInterrupt):
        train(config, data, save_to=tmp_path / "state", watch=Stopping())
    resumed = train(config, data, save_to=tmp_path / "state", resume=True)
    assert resumed.ledger == whole.ledger
    assert [epoch.train_loss for epoch in resumed.history] == [epoch.train_loss for epoch in whole.history]


def test_a_chip_file_and_options_in_one_text(tmp_path: Path) -> None:
    config = dataclasses.replace(SPEC, synapses=f"chip:{fine(tmp_path)};bound=4", epochs=1)
    assert train(config, load_data(config)).status == "ok"


@pytest.mark.parametrize(
    ("synapses", "said"),
    [
        ("chip:lohi", "unknown chip 'lohi'; did you mean 'loihi'"),
        ("chip:bound=3", r"bound=3.0; expected a power of two"),
        ("chip:loihi;bound=-1", r"bound=-1.0; expected a power of two"),
        ("chip:none.toml", r"none.toml cannot be read"),
        ("chip:loihi;profile=loihi", "sets 'profile' twice"),
        ("chip:bits=3", "unknown option of device 'chip': 'bits'"),
        ("quantized:121", "expected key=value"),
    ],
)
def test_refuses_what_cannot_be(synapses: str, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        train(dataclasses.replace(SPEC, synapses=synapses), load_data(SPEC))


def test_a_static_image_is_taken_at_each_time_step() -> None:
    updates = []
    for spikes in (Static(torch.full((2, 6), 0.5), steps=5), torch.full((5, 2, 6), 0.5)):
        rule = rules.dfa(network().float())
        device = devices.chip(rule, lr=0.5)
        torch.manual_seed(1)
        rule.backward(rule.forward(spikes).square().mean())
        device.step()
        updates.append([parameter.detach().clone() for parameter in rule.parameters()])
    torch.testing.assert_close(updates[0], updates[1])


def test_a_checkpoint_of_other_bits_is_refused(tmp_path: Path) -> None:
    states = []
    for bits in ("8", "9"):
        path = chip_file(tmp_path, synapses_weight_bits=f'"{bits} bits"')
        states.append(devices.chip(rules.dfa(network()), path, lr=0.1))
    with pytest.raises(RequestError, match=r"of the profile \{'name': 'loihi', 'digest': .*Restore the file"):
        states[1].load_state_dict(states[0].state_dict())
