"""`onchip.load`: networks and rules as training left them, from two files that any program can read."""

from __future__ import annotations

import copy
import functools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import onchip
from onchip import nn, rules
from onchip.data import Split, load
from onchip.data.datasets import japanese_vowels
from onchip.data.samples import RECORDINGS, SEQUENCES
from onchip.errors import RequestError
from onchip.learning import Rule
from onchip.runs.code import pinned
from onchip.runs.config import RunConfig
from onchip.runs.model_file import NAME, WEIGHTS
from onchip.runs.sweep_config import SweepConfig
from onchip.training import sweep
from onchip.training.builder import load_data
from tests.training.leaving import trained

GENERATOR = torch.Generator().manual_seed(3)
INPUTS = torch.rand(60, 1, 4, 4, generator=GENERATOR)
LABELS = (INPUTS[:, 0, 0].mean(1) * 3).long()
PAIR = INPUTS, LABELS
SHORT: dict[str, Any] = {"train": PAIR, "test": PAIR, "epochs": 2, "steps": 3}


def build() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.LIF(), nn.Linear(12, 3))


CASES: dict[str, dict[str, Any]] = {
    "pictures": {"net": "conv-small", "rule": "fbp:period=2"},
    "random spikes": {"encoder": "poisson", "seed": 3, "batch_size": 7},
    "spike times": {"neuron": "ttfs", "net": "4C3-P2-F16"},
    "learned decays": {"neuron": "alif:learn_decay=true", "rule": "eprop"},
    "a recurrent layer on sequences": {"data": "japanese-vowels", "net": "R16", "rule": "eprop", "validation": 0.2},
    "labels per step": {"data": "store-recall", "net": "R16", "rule": "ottt"},
    "best weights": {"select": "best", "epochs": 3, "lr": 0.3},
}


def test_samples_can_be_presented_for_another_number_of_steps(tmp_path: Path) -> None:
    onchip.fit(build(), **SHORT, out=tmp_path)
    saved = onchip.load(tmp_path)
    expected = saved.model(onchip.Static(INPUTS, steps=7)).sum(0)
    torch.testing.assert_close(saved.predict(INPUTS, steps=7).scores, expected.detach())
    assert torch.equal(saved.predict(INPUTS, steps=3).scores, saved.predict(INPUTS).scores)


def test_longer_spike_trains_come_nearer_to_their_mean(tmp_path: Path) -> None:
    trained(tmp_path, net="mlp", neuron="stochastic", rule="ssnn_bp", optimizer="sgd", lr=0.1)
    saved, samples = onchip.load(tmp_path), load("digits").test.samples
    limit = samples.flatten(1).double() / 255
    layers = [module for module in saved.model.modules() if isinstance(module, torch.nn.Linear)]
    for layer in layers[:-1]:
        limit = (limit @ layer.weight.double().T + layer.bias.double()).clamp(0, 1)
    limit = limit @ layers[-1].weight.double().T + layers[-1].bias.double()
    errors = [(saved.predict(samples, steps=steps).scores - limit).square().mean() for steps in (3, 30, 300)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        pytest.param({}, 0, "predict got steps=0; expected a number of time steps, at least 1", id="none"),
        pytest.param({}, 2.5, "predict got steps=2.5; expected a number of time steps", id="no whole number"),
        pytest.param({"neuron": "ttfs", "net": "4C3-P2-F16"}, 4, "neurons spike once.*leave steps out", id="times"),
        pytest.param({"data": "store-recall", "net": "R16", "rule": "ottt"}, 4, "time steps of their own", id="own"),
    ],
)
def test_another_number_of_steps_is_refused_where_there_is_none(
    settings: dict[str, Any], steps: Any, expected: str, tmp_path: Path
) -> None:
    record = trained(tmp_path, **settings)
    with pytest.raises(RequestError, match=expected):
        onchip.load(tmp_path).predict(load(record.settings["data"]).test, steps=steps)


@pytest.mark.parametrize("case", CASES)
def test_it_predicts_as_the_run_was_tested(case: str, tmp_path: Path) -> None:
    record = trained(tmp_path, **CASES[case])
    saved = onchip.load(tmp_path)
    assert saved.record == record
    data = load(record.settings["data"])
    predicted = saved.predict(data.test)
    correct = predicted.classes == data.test.sample_labels
    assert correct.double().mean().item() == pytest.approx(record.test_accuracy, abs=1e-12)
    assert saved.classes == data.classes
    assert predicted.labels == [data.classes[index] for index in predicted.classes.tolist()]
    assert torch.equal(predicted.scores.argmax(1), predicted.classes)
    assert not saved.model.training
    ours = onchip.load_run(tmp_path).model().state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in saved.model.state_dict().items())


def test_raw_samples_are_scaled_as_those_to_train_on(tmp_path: Path) -> None:
    trained(tmp_path / "bytes")
    pictures = load("digits").test
    saved = onchip.load(tmp_path / "bytes")
    expected = saved.predict(pictures)
    for raw in (
        pictures.samples,
        pictures.samples.numpy(),
        pictures.samples / 255.0,
        (pictures.samples / 255.0).double(),
    ):
        assert torch.equal(saved.predict(raw).scores, expected.scores)

    trained(tmp_path / "sequences", data="japanese-vowels", net="F16", rule="bp")
    saved, split = onchip.load(tmp_path / "sequences"), load("japanese-vowels").test
    with np.load(japanese_vowels.__globals__["FILE"]) as arrays:
        frames, lengths = arrays["values"] * 1e-6, arrays["lengths"].astype(np.int64)
    mean, deviation = frames[: lengths[:270].sum()].mean(0), frames[: lengths[:270].sum()].std(0)
    assert saved.input is not None
    assert saved.input.standardization is not None
    np.testing.assert_allclose(saved.input.standardization.mean, mean)
    np.testing.assert_allclose(saved.input.standardization.deviation, deviation)
    raw = np.zeros((370, lengths[270:].max(), 12))
    for place, one in enumerate(np.split(frames, np.cumsum(lengths)[:-1])[270:]):
        raw[place, : len(one)] = one
    scores = saved.predict(raw, lengths=torch.from_numpy(lengths[270:])).scores
    torch.testing.assert_close(scores, saved.predict(split).scores)


def test_recordings_are_taken_as_bytes(tmp_path: Path) -> None:
    frames = (torch.rand(20, 4, 2, 6, 6, generator=GENERATOR) < 0.2).to(torch.uint8) * 3
    split = Split(frames, torch.arange(20) % 2, RECORDINGS)
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.LIF(), nn.Flatten(), nn.Linear(48, 2))
    result = onchip.fit(net, "bp", train=split, test=split, epochs=1, steps=2, out=tmp_path)
    saved = onchip.load(tmp_path)
    assert torch.equal(saved.predict(frames).classes, saved.predict(split).classes)
    assert (saved.predict(frames).classes == split.labels).double().mean().item() == pytest.approx(result.accuracy)
    with pytest.raises(RequestError, match=r"got samples of float32; expected recordings \(N, 4, 2, 6, 6\) as bytes"):
        saved.predict(frames.float())
    with pytest.raises(RequestError, match="Divide each recording into 4 frames"):
        saved.predict(frames[:, :2])


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (torch.zeros(3, 1, 9, 8), r"of shape \(3, 1, 9, 8\); expected images \(N, 1, 8, 8\). Resize them first"),
        (torch.zeros(1, 8, 8), r"Give a single one an axis of its own, samples\[None\]"),
        (torch.zeros(3, 3, 8, 8), "Resize"),
        (torch.zeros(0, 1, 8, 8), "got no samples"),
        (torch.zeros(3, 1, 8, 8, dtype=torch.int64), r"of int64; expected images \(N, 1, 8, 8\) as bytes \(uint8\)"),
        (torch.full((3, 1, 8, 8), 200.0), r"in \[200, 200\]; expected values in \[0, 1\]"),
        (torch.full((3, 1, 8, 8), torch.nan), "NaN"),
        (np.array(["a"]), "of type ndarray; expected a tensor or a NumPy array of numbers"),
        (np.zeros((2, 1, 8, 8), complex), "NumPy array of numbers"),
        ([[1.0]], "of type list"),
        (Split(torch.zeros(2, 5, 3), torch.zeros(2, dtype=torch.int64), SEQUENCES), "got a split of sequences"),
    ],
)
def test_samples_that_do_not_fit_are_refused(
    samples: Any, said: str, digits: onchip.training.trained.TrainedModel
) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        digits.predict(samples)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("digits")
    trained(folder)
    return onchip.load(folder)


PAGE = Path(__file__).parents[2] / "docs" / "leaving.md"


def test_a_program_without_onchip_computes_the_same(tmp_path: Path) -> None:
    trained(tmp_path / "run", neuron="lif:decay=0.75;reset=hard", steps=5, rule="dfa")
    split = load("digits").test
    save_file({"samples": split.samples}, tmp_path / "samples")
    arguments = [str(tmp_path / name) for name in ("run", "samples", "out")]
    block = re.search(r"<!-- example: reader -->\n```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block
    reader = block[1] + "assert not any(name.startswith('onchip') for name in sys.modules)\n"
    subprocess.run([sys.executable, "-c", reader, *arguments], check=True, cwd=tmp_path)
    names, scores = json.loads((tmp_path / "out").read_text())
    predicted = onchip.load(tmp_path / "run").predict(split)
    assert names == predicted.labels
    torch.testing.assert_close(torch.tensor(scores), predicted.scores, rtol=1e-4, atol=1e-4)


def step(rule: Rule) -> list[Tensor]:
    """The weights and the feedback after one more step of training."""
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.1)
    rule.step_after(optimizer)
    torch.manual_seed(5)
    rule.forward(onchip.Static(INPUTS, steps=3))
    parts = [torch.nn.functional.cross_entropy(out.mean(0), LABELS) for out in rule.outputs]
    each = torch.nn.functional.cross_entropy(rule.outputs[0].mean(0), LABELS, reduction="none")
    rule.backward(sum(parts), samples=each if rule.by_sample else None, targets=LABELS)  # type: ignore[arg-type]
    optimizer.step()
    state = [value for value in rule.state_dict().values() if isinstance(value, Tensor)]
    return [value.clone() for value in (*rule.detach().state_dict().values(), *state)]


RULES = (
    *("bp", "fa", "dfa", "ottt", "fbp:period=3;transport=top:0.5", "kolen-pollack", "weight-mirror", "dkp", "opzo"),
    *("drtp", "decolle", "eprop:feedback=adaptive", "zeroth-order", "usf"),
)


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_goes_on_as_it_was_left(rule: str, tmp_path: Path) -> None:
    kept: list[Rule] = []

    def attach(model: torch.nn.Module) -> Rule:
        from onchip.training import registry

        kept.append(registry.part("rule", rule)(model))
        return kept[-1]

    model = build()
    onchip.fit(model, attach, out=tmp_path, **SHORT)
    with pytest.raises(RequestError, match=r"has a rule of a program's own, 'attach'; pass the function"):
        _ = onchip.load(tmp_path).rule
    feedback = {name: copy.deepcopy(value) for name, value in kept[-1].state_dict().items()}
    saved = onchip.load(tmp_path, rule=rule)
    assert saved.rule is saved.rule
    from onchip.training import registry

    original = registry.part("rule", rule)(model.train())
    original.load_state_dict(feedback)
    before = [value.clone() for value in model.state_dict().values()]
    weights = list(saved.model.state_dict().values())
    assert all(map(torch.equal, weights, before))
    mine, its = step(original), step(saved.rule)
    assert len(mine) == len(its) > 0
    assert all(map(torch.equal, mine, its))
    assert not all(map(torch.equal, mine, before)), "the step changed the weights"
    assert all(map(torch.equal, saved.model.state_dict().values(), before)), "the model stays as it was trained"


def test_a_rule_that_was_attached_is_found_if_its_name_says_all(tmp_path: Path) -> None:
    options: dict[str, Any] = {}
    for found in (True, False):
        model = build()
        rule = rules.fbp(model, **options)
        options = {"period": 3}
        onchip.fit(model, rule, out=tmp_path, force=True, **SHORT)
        saved = onchip.load(tmp_path)
        assert saved.file.rule is not None
        assert saved.file.rule.own is not found
    assert onchip.load(tmp_path, rule="fbp:period=3").rule.name == "fbp"


@pytest.mark.parametrize("given", ["fbp:period=2", functools.partial(rules.fbp, period=2)])
def test_a_rule_of_the_package_is_found_again(given: Any, tmp_path: Path) -> None:
    onchip.fit(build(), given, out=tmp_path, precision="bfloat16", **SHORT)
    saved = onchip.load(tmp_path)
    assert saved.rule.name == "fbp"
    assert saved.file.rule is not None
    assert saved.file.rule.options["period"] == 2
    stored, found = onchip.load_run(tmp_path, net=build()).rule().state_dict(), saved.rule.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in stored.items())


def test_a_network_of_the_users_own_layers_needs_no_code(tmp_path: Path) -> None:
    file = tmp_path / "my_net.py"
    file.write_text(
        "from onchip import nn\ndef build(classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    trained(tmp_path / "run", net=pinned(f"{file}:build"))
    file.write_text("raise SystemExit('this must not run')")
    assert len(onchip.load(tmp_path / "run").predict(load("digits").test)) == 359


def test_a_network_that_needs_code_is_built_by_what_the_user_names(tmp_path: Path) -> None:
    file, text = tmp_path / "my_net.py", (
        "from onchip import nn\n"
        "class Mine(nn.LIF): pass\n"
        "def build(shape, classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), Mine(), nn.Linear(8, classes))\n"
    )  # fmt: skip
    file.write_text(text)
    record = trained(tmp_path / "run", net=pinned(f"{file}:build"))
    with pytest.raises(RequestError, match=rf"names code, {file}:build, which only runs when you name it"):
        onchip.load(tmp_path / "run")
    data = load("digits")
    correct = onchip.load(tmp_path / "run", net=f"{file}:build").predict(data.test).classes == data.test.labels
    assert correct.double().mean().item() == pytest.approx(record.test_accuracy)
    file.write_text(text + "# changed\n")
    with pytest.raises(RequestError, match=r"expected .*my_net.py:build, as it was when the model was made"):
        onchip.load(tmp_path / "run", net=f"{file}:build")


def test_an_object_that_needs_code_is_passed_again(tmp_path: Path) -> None:
    class Mine(nn.LIF):
        pass

    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 12), Mine(), nn.Linear(12, 3))
    twin = copy.deepcopy(model)
    result = onchip.fit(model, "fa", out=tmp_path, **SHORT)
    with pytest.raises(RequestError, match=r"net in .* was an object of a program, Sequential; pass it again"):
        onchip.load(tmp_path)
    saved = onchip.load(tmp_path, net=twin)
    correct = saved.predict(INPUTS).classes == LABELS
    assert correct.double().mean().item() == pytest.approx(result.accuracy)
    assert {id(value) for value in saved.rule.parameters()}.isdisjoint({id(value) for value in twin.parameters()})


def test_several_runs_leave_no_model(tmp_path: Path) -> None:
    onchip.compare(["bp", "fa"], seeds=1, net="mlp", train_size=30, epochs=1, steps=1, out=tmp_path, keep_weights=True)
    with pytest.raises(RequestError, match=r"holds no trained model.*It holds runs, which onchip.load_run reads"):
        onchip.load(tmp_path)


def test_force_replaces_the_model(tmp_path: Path) -> None:
    trained(tmp_path)
    config = RunConfig(net="mlp", train_size=30, epochs=1, steps=1)
    list(sweep.compare(SweepConfig(config, ("bp", "fa"), (0,)), load_data(config), tmp_path, force=True))
    assert not {NAME, WEIGHTS} & {file.name for file in tmp_path.iterdir()}
