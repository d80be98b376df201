"""What every device owes to every rule it serves: one suite over the export list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from onchip import devices, rules
from onchip.devices.crossbar import Crossbar
from onchip.errors import OnchipError, RequestError, UnsupportedError
from onchip.learning.rule import Rule
from onchip.learning.temporal.coincidence import Coincidences
from onchip.nn import MeanReadout, Sequential, neurons
from onchip.nn.graph_builder import build_graph
from onchip.nn.spike_train import BernoulliTrain
from onchip.runs import checkpoint
from tests.cases import CASES, Case, scaled
from tests.devices.toolkit import ConstantStepDevice, install

NEEDED: dict[str, dict[str, Any]] = {"aihwkit": {"preset": "plain"}}
"""Options that have no default."""

STREAMS = [case for case in CASES if case.name.startswith("stream")]

every = pytest.mark.parametrize("name", devices.__all__)
everywhere = pytest.mark.parametrize(
    ("name", "case"), [pytest.param(n, c, id=f"{n}-{c.name}") for n in devices.__all__ for c in STREAMS]
)


@dataclass
class PlainPresetDevice(ConstantStepDevice):
    """A preset of our own, without a fault."""

    dw_min_dtod: float = 0.0
    dw_min_std: float = 0.0
    up_down_dtod: float = 0.0
    w_max_dtod: float = 0.0
    w_min_dtod: float = 0.0


@pytest.fixture(autouse=True)
def toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, PlainPresetDevice)


def device(name: str, rule: Rule, **options: Any) -> Crossbar:
    made: Crossbar = getattr(devices, name)(rule, **{"lr": 0.05, **NEEDED.get(name, {}), **options})
    return made


class Trainer:
    """A network of small weights under spike-based backpropagation, with a device; every draw is seeded."""

    def __init__(self, name: str, case: Case, *, seed: int = 0, **options: Any) -> None:
        torch.manual_seed(seed)
        self.model = case.build()
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.clamp_(-0.5, 0.5)
        self.rule = rules.ssnn_bp(self.model)
        self.device = device(name, self.rule, **options)
        self.signal = case.signal()

    def fill(self) -> None:
        out = self.rule.forward(self.signal)
        labels = torch.arange(out.shape[1]) % out.shape[2]
        chosen = out.softmax(-1).log()[:, torch.arange(len(labels)), labels]
        self.rule.backward(-chosen.mean())

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.fill()
            self.device.step()
            self.device.zero_grad()
            self.rule.step()

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@everywhere
def test_writes_every_layer_and_leaves_no_gradient(name: str, case: Case) -> None:
    trainer = Trainer(name, case)
    before = trainer.weights()
    trainer.train(5)
    assert not any(torch.equal(a, b) for a, b in zip(before, trainer.weights(), strict=True))
    assert all(parameter.grad is None for parameter in trainer.model.parameters())


@everywhere
def test_one_seed_gives_one_result(name: str, case: Case) -> None:
    results = []
    for seed in (3, 3, 4):
        trainer = Trainer(name, case, seed=seed)
        trainer.train(3)
        results.append(trainer.weights())
    assert same(results[0], results[1])
    assert not same(results[0], results[2])


@everywhere
def test_goes_on_from_a_checkpoint_bit_for_bit(name: str, case: Case, tmp_path: Path) -> None:
    trainer = Trainer(name, case)
    trainer.train(2)
    state = {
        "model": trainer.model.state_dict(),
        "rule": trainer.rule.state_dict(),
        "device": trainer.device.state_dict(),
        "random": torch.get_rng_state(),
    }
    checkpoint.save(tmp_path / "state", state)
    trainer.train(3)
    other = Trainer(name, case, seed=1)  # whose cells are others
    kept = checkpoint.load(tmp_path / "state")
    other.model.load_state_dict(kept["model"])
    other.rule.load_state_dict(kept["rule"])
    other.device.load_state_dict(kept["device"])
    other.signal = trainer.signal
    torch.set_rng_state(kept["random"])
    other.train(3)
    assert same(trainer.weights(), other.weights())
    assert trainer.device.summary() == other.device.summary()


@every
def test_refuses_the_state_of_another_network(name: str) -> None:
    one, other = (Trainer(name, case) for case in STREAMS[:2])
    with pytest.raises(RequestError, match="another device's or network's"):
        one.device.load_state_dict(other.device.state_dict())
    with pytest.raises(RequestError, match="another device's or network's"):
        one.device.load_state_dict(torch.optim.SGD(one.rule.parameters(), lr=0.1).state_dict())


@every
@pytest.mark.parametrize("lr", [0.3, 2.0])
def test_the_mean_change_is_the_rate_times_the_gradient(name: str, lr: float) -> None:
    trainer = Trainer(name, STREAMS[0], lr=lr)
    torch.manual_seed(7)
    layer, unit, repeats = trainer.rule.layers[0], 1e-3, 400
    pre, spikes = (torch.rand(12, 6) < 0.5).float(), torch.randint(-1, 2, (12, 8)).float()
    assert layer.bias is not None
    first = [parameter.detach().clone() for parameter in (layer.parameter, layer.bias)]
    changes: list[list[Tensor]] = [[], []]
    for _ in range(repeats):
        trainer.device.take(layer, pre, spikes * unit, unit)
        trainer.device.step()
        trainer.device.zero_grad()
        for index, parameter in enumerate((layer.parameter, layer.bias)):
            changes[index].append(parameter.detach() - first[index])
            with torch.no_grad():
                parameter.copy_(first[index])
    wanted = [-lr * unit * (spikes.t() @ pre), -lr * unit * spikes.sum(0)]
    for change, expected in zip(changes, wanted, strict=True):
        drawn = torch.stack(change)
        # Five standard errors; 1e-6 of rounding, where there is no chance in it.
        allowed = 5.0 * drawn.std(0) / repeats**0.5 + 1e-6
        assert bool(((drawn.mean(0) - expected).abs() < allowed).all())


@every
def test_no_spike_is_no_write(name: str) -> None:
    trainer = Trainer(name, STREAMS[0])
    layer, before = trainer.rule.layers[0], trainer.weights()
    trainer.device.take(layer, torch.ones(4, 6), torch.zeros(4, 8), 1e-3)
    trainer.device.step()
    for got, expected in zip(trainer.weights(), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)  # a grid's values are computed anew
    assert trainer.device.summary()["cell_writes"] == 0


@every
def test_what_is_forgotten_is_not_written(name: str) -> None:
    trainer = Trainer(name, STREAMS[0])
    trainer.fill()
    trainer.device.zero_grad()
    trainer.device.step()
    assert trainer.device.summary()["cell_writes"] == 0


@every
def test_writes_are_counted(name: str) -> None:
    trainer = Trainer(name, STREAMS[0])
    trainer.train(4)
    counted = trainer.device.summary()
    assert counted["cells"] == sum(p.numel() for p in trainer.model.parameters())
    assert 0 < counted["cell_writes_mean"] == counted["cell_writes"] / counted["cells"] <= counted["cell_writes_max"]


@every
def test_a_rate_of_zero_changes_nothing_and_schedulers_set_it(name: str) -> None:
    trainer = Trainer(name, STREAMS[0])
    scheduler = torch.optim.lr_scheduler.LambdaLR(trainer.device, lambda step: 0.0 if step else 1.0)
    trainer.train(1)
    scheduler.step()
    counted, before = trainer.device.summary(), trainer.weights()
    trainer.train(2)
    for got, expected in zip(trainer.weights(), before, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert name == "ideal" or trainer.device.summary() == counted


@every
def test_digital_biases_are_exact(name: str) -> None:
    trainer = Trainer(name, STREAMS[0], bias="digital", lr=0.1)
    layer = trainer.rule.layers[-1]
    assert layer.bias is not None
    before, delta = layer.bias.detach().clone(), torch.randint(-2, 3, (5, 3)).float()
    for _ in range(2):
        trainer.device.take(layer, torch.ones(5, 7), delta, 1.0)
    trainer.device.step()
    torch.testing.assert_close(layer.bias.detach(), before - 0.2 * delta.sum(0))
    assert trainer.device.summary()["cells"] == sum(layer.parameter.numel() for layer in trainer.rule.layers)


@every
def test_serves_a_rule_of_real_errors_or_refuses_it(name: str) -> None:
    case = next(case for case in CASES if case.name == "lif-linear")
    torch.manual_seed(0)
    model = case.build()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.clamp_(-0.5, 0.5)
    rule = rules.bp(model)
    if Trainer(name, STREAMS[0]).device.counts:
        with pytest.raises(UnsupportedError, match=r"errors that are real .* use a rule whose errors are spikes"):
            device(name, rule)
        return
    made, weight = device(name, rule), rule.layers[0].parameter
    decay = next(p for key, p in model.named_parameters() if "decay" in key)
    before = [decay.detach().clone(), weight.detach().clone()]
    rule.backward(rule.forward(case.signal()).square().mean())
    gradient = decay.grad
    assert gradient is not None
    made.step()
    torch.testing.assert_close(decay.detach(), before[0] - 0.05 * gradient)  # what is no synapse is digital
    assert not torch.equal(before[1], weight)


@every
def test_takes_feedback_that_needs_the_updates_or_refuses_it(name: str) -> None:
    torch.manual_seed(0)
    model = scaled(Sequential(nn.Linear(4, 3), neurons.LIF(), nn.Linear(3, 2)), 3.0)
    rule = rules.kolen_pollack(model, decay=0.0)
    if not Trainer(name, STREAMS[0]).device.takes_feedback:
        with pytest.raises(UnsupportedError):
            device(name, rule)
        return
    made, weights = device(name, rule), [rule.layers[1].parameter, *rule.feedback_weights().values()]
    before = [weight.detach().clone() for weight in weights]
    for _ in range(20):
        rule.backward(rule.forward(torch.ones(3, 1, 4)).square().mean())
        made.step()
        made.zero_grad()
    changes = [(weight - start).detach() for weight, start in zip(weights, before, strict=True)]
    largest = [change.abs().argmax() for change in changes]
    assert largest[0] == largest[1]  # one update, rounded twice
    assert all(float(change.abs().max()) > 0.3 for change in changes)
    assert made.summary()["cells"] == sum(p.numel() for p in rule.parameters())


@every
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lr": -0.1}, "got lr=-0.1; expected a learning rate of at least 0"),
        ({"lr": float("nan")}, "expected a learning rate"),
        ({"bias": "analog"}, "got bias='analog'; expected 'cells' or 'digital'"),
        ({"lr_scaling": "unequal"}, "got lr_scaling='unequal'; expected 'equal' or 'fan'"),
    ],
)
def test_refuses_bad_options(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        Trainer(name, STREAMS[0], **options)


@every
def test_writes_at_every_step_of_a_stream(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), neurons.Stochastic(), nn.Linear(8, 3), MeanReadout())
    rule = rules.ssnn_bp(model, train=BernoulliTrain(), temporal=Coincidences())
    made, before = device(name, rule), 0
    for out in rule.stream((torch.rand(4, 5, 6) < 0.7).float()):
        rule.backward(-out.softmax(-1)[..., 0].log().mean())
        made.step()
        made.zero_grad()
        after = int(made.summary()["cell_writes"])
        assert after > before
        before = after


@every
def test_one_rule_has_one_device(name: str) -> None:
    trainer = Trainer(name, STREAMS[0])
    with pytest.raises(OnchipError, match="updates go to Crossbar already"):
        device(name, trainer.rule)
    with pytest.raises(RequestError, match="got a closure"):
        trainer.device.step(lambda: 0.0)


def test_the_plans_of_the_cases_have_biases() -> None:
    graphs = [build_graph(case.build()) for case in STREAMS]
    # A recurrent connection needs none beside that of its layer.
    assert all(graph.layers[index].bias is not None for graph in graphs for index in graph.positions)
