"""`onchip.fit`, and `onchip.compare` with objects, as a program uses them."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

import onchip
from onchip import nn, rules
from onchip.errors import DataError, OnchipError, RequestError, UnsupportedError
from onchip.learning import Online, Rule, TransposedFeedback
from onchip.losses import predict
from onchip.runs.config import RunConfig
from onchip.runs.record import Record
from onchip.training.fit import FitResult
from tests.training.stopping import StopAfter

GENERATOR = torch.Generator().manual_seed(3)
INPUTS = torch.rand(60, 1, 4, 4, generator=GENERATOR)
LABELS = (INPUTS[:, 0, 0].mean(1) * 3).long()
PAIR = INPUTS, LABELS
SHORT: dict[str, Any] = {"train": PAIR, "test": PAIR, "epochs": 2, "steps": 3}


class Samples(Dataset[Any]):
    def __len__(self) -> int:
        return len(LABELS)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return INPUTS[index], LABELS[index]


def build() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.LIF(), nn.Linear(12, 3))


def weights(model: torch.nn.Module) -> list[Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_it_trains_in_place_by_the_loop_of_the_command_line(tmp_path: Path) -> None:
    """The first step of SGD, written out: the same batch, the same loss, plain autograd."""
    model, twin = build(), None
    twin = copy.deepcopy(model)
    options: dict[str, Any] = {**SHORT, "epochs": 1, "batch_size": 60, "optimizer": "sgd", "momentum": 0.0, "lr": 0.5}
    result = onchip.fit(model, "bp", schedule="constant", loss="steploss:0", **options)
    out = twin(onchip.Static(INPUTS, steps=3))
    loss = torch.nn.functional.cross_entropy(out.flatten(0, 1), LABELS.repeat(3))
    loss.backward()
    for parameter, trained in zip(twin.parameters(), model.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(trained, parameter - 0.5 * parameter.grad, rtol=1e-4, atol=1e-6)
    assert result.history[0].train_loss == pytest.approx(loss.item(), rel=1e-5)
    assert result.model is model
    assert not model.training
    assert result.bill["steps"] == 1


def test_the_result_is_that_of_its_model_and_its_record(capsys: pytest.CaptureFixture[str]) -> None:
    result = onchip.fit(build(), "fbp:period=2", validation=0.25, **SHORT)
    with torch.no_grad():
        correct = predict(result.model(onchip.Static(INPUTS, steps=3))) == LABELS
    assert result.accuracy == pytest.approx(correct.double().mean().item())
    assert (result.history, result.bill) == (result.record.history, result.record.ledger)
    assert (result.record.train_size, result.record.validation_size, result.record.test_size) == (45, 15, 60)
    assert (result.record.data, result.record.network, result.record.neuron) == ("tensors", "Sequential", "lif")
    print(result)
    assert "| fbp:period=2 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        ("dfa", "dfa"),
        (rules.dfa, "dfa"),
        (functools.partial(rules.fbp, period=3), "fbp:period=3"),
        ("fbp:period=3", "fbp:period=3"),
        (lambda model: rules.fa(model), "lambda"),
    ],
)
def test_a_rule_may_be_a_name_or_a_function(rule: Any, label: str) -> None:
    result = onchip.fit(build, rule, **SHORT)
    assert result.record.label == label
    if not isinstance(rule, str):
        named = {"lambda": "fa"}.get(label, label)
        expected = onchip.fit(build, named, **SHORT).record
        assert (result.bill, result.accuracy) == (expected.ledger, expected.test_accuracy)
        if label != "lambda":
            assert result.record.options == expected.options


def test_a_rule_that_is_attached_is_used_as_it_is() -> None:
    model = build()
    rule = rules.fa(model)
    feedback = [value.clone() for value in rule.feedback_weights().values()]
    onchip.fit(model, rule, **SHORT)
    assert equal(feedback, list(rule.feedback_weights().values()))
    with pytest.raises(RequestError, match="detached"):
        rule.forward(onchip.Static(INPUTS, steps=2))
    with pytest.raises(RequestError, match="rule 'bp' is attached to another network"):
        onchip.fit(build(), rules.bp(build()), **SHORT)


@pytest.mark.parametrize("form", ["dataset", "loader", "shuffled loader"])
def test_all_forms_of_data_train_alike(form: str) -> None:
    data = {
        "dataset": Samples(),
        "loader": DataLoader(Samples(), batch_size=16),
        "shuffled loader": DataLoader(Samples(), batch_size=16, shuffle=True),
    }[form]
    result = onchip.fit(build, "bp", **{**SHORT, "train": data, "test": Samples()}, seed=4)
    same = onchip.fit(build, "bp", **{**SHORT, "train": PAIR, "batch_size": 16}, seed=4)
    assert result.record.settings["batch_size"] == (32 if form == "dataset" else 16)
    assert result.bill["weights_transported"] == same.bill["weights_transported"] * (0.5 if form == "dataset" else 1)
    again = onchip.fit(build, "bp", **{**SHORT, "train": data, "test": Samples()}, seed=4)
    assert equal(weights(result.model), weights(again.model)), "the order is that of the seed"
    other = onchip.fit(build, "bp", **{**SHORT, "train": data, "test": Samples()}, seed=5)
    assert not equal(weights(result.model), weights(other.model))


@pytest.mark.parametrize("data", [PAIR, Samples(), DataLoader(Samples(), batch_size=16, shuffle=True)])
@pytest.mark.parametrize("of_function", [True, False])
def test_an_interrupted_run_goes_on_where_it_was(data: Any, of_function: bool, tmp_path: Path) -> None:
    first = build()
    options: dict[str, Any] = {**SHORT, "train": data, "epochs": 3}

    def network() -> Any:
        return build if of_function else copy.deepcopy(first)

    whole = onchip.fit(network(), "kolen-pollack", out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        onchip.fit(network(), "kolen-pollack", out=tmp_path / "parts", progress=lambda: StopAfter(2), **options)
    torch.rand(5)
    parts = onchip.fit(network(), "kolen-pollack", out=tmp_path / "parts", resume=True, **options)
    assert equal(weights(whole.model), weights(parts.model))
    assert whole.bill == parts.bill
    again = network()
    finished = onchip.fit(again, "kolen-pollack", out=tmp_path / "parts", resume=True, **options)
    assert finished.record == parts.record, "it is not trained again"
    assert equal(weights(finished.model), weights(whole.model))
    assert {file.name for file in (tmp_path / "parts").iterdir()} >= {"records.jsonl", "run.json", "table.md"}
    assert onchip.load_run(tmp_path / "parts").records == (parts.record,)


def test_a_run_does_not_go_on_with_another_network_or_other_data(tmp_path: Path) -> None:
    onchip.fit(build(), "bp", out=tmp_path, **SHORT)
    for changed, message in (
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(16, 3))}, "net Sequential has changed since"),
        ({"train": (INPUTS.flip(0), LABELS)}, "data tensors has changed since"),
        ({"epochs": 5}, "epochs was 2, now 5"),
    ):
        options: dict[str, Any] = {"model": build(), "rule": "bp", "out": tmp_path, **SHORT, **changed}
        with pytest.raises(RequestError, match=message):
            onchip.fit(**options, resume=True)
    with pytest.raises(RequestError, match=r"net in .* was an object of a program, Sequential; pass it again"):
        onchip.compare(out=tmp_path, resume=True)


def test_a_saved_network_is_loaded_into_the_object_it_was_made_with(tmp_path: Path) -> None:
    networks: tuple[Any, ...] = build, build()
    for number, network in enumerate(networks):
        trained = onchip.fit(network, "fa", out=tmp_path / str(number), **SHORT)
        expected = weights(trained.model)
        with pytest.raises(RequestError, match=r"was an object of a program, (build|Sequential); pass it again"):
            onchip.load_run(tmp_path / str(number)).model()
        again = build if network is build else build()
        assert equal(weights(onchip.load_run(tmp_path / str(number), net=again).model()), expected)
        assert onchip.load_run(tmp_path / str(number), net=again).rule().name == "fa"
        for other in ("mlp", nn.Sequential(nn.Flatten(), nn.Linear(16, 3)), lambda: build()):
            with pytest.raises(RequestError, match="as it was when the runs were made"):
                onchip.load_run(tmp_path / str(number), net=other).model()


def test_its_records_progress_and_folder_are_those_of_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with onchip.bars(1) as progress:
        result = onchip.fit(build, "bp", out=tmp_path, progress=progress, **SHORT)
    assert "bp, seed 0: epoch 2 of 2, loss" in capsys.readouterr().err
    assert (tmp_path / "table.md").read_text(encoding="utf-8").strip() == str(result).strip()
    assert (tmp_path / "weights" / "bp-seed0.safetensors").exists()
    with pytest.raises(RequestError, match="already holds a run"):
        onchip.fit(build, "bp", out=tmp_path, **SHORT)
    assert onchip.fit(build, "dfa", out=tmp_path, force=True, **SHORT).record.label == "dfa"


def test_the_callers_randomness_is_left_alone() -> None:
    before = torch.get_rng_state()
    onchip.fit(build, "bp", **{**SHORT, "train": DataLoader(Samples(), 16, shuffle=True)})
    assert torch.equal(torch.get_rng_state(), before)


def test_sequences_are_learned_to_their_lengths() -> None:
    inputs, lengths = torch.rand(20, 7, 3), torch.arange(20) % 7 + 1
    labels = torch.arange(20) % 2
    model = nn.Sequential(nn.Linear(3, 8), nn.LIF(), nn.Linear(8, 2))
    padded = inputs.clone()
    padded[torch.arange(7) >= lengths[:, None]] = 9.0
    results = [
        onchip.fit(copy.deepcopy(model), "bp", train=(each, labels, lengths), test=(each, labels, lengths), epochs=2)
        for each in (inputs, padded)
    ]
    assert equal(*(weights(result.model) for result in results)), "nothing is learned from padding"
    assert results[0].record.steps == 7


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"model": 3}, RequestError, "got a network of type int; expected an nn.Module, a function"),
        ({"model": "mpl"}, RequestError, "did you mean 'mlp'"),
        ({"model": lambda: 3}, RequestError, "lambda returned int; expected an nn.Module"),
        ({"model": lambda width: 3}, RequestError, "lambda has the parameter 'width'"),
        ({"model": torch.nn.ReLU()}, RequestError, "ReLU returned a network that onchip cannot read"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(9, 3))}, RequestError, "Sequential cannot take the data"),
        ({"model": nn.Sequential(nn.Flatten(), nn.Linear(16, 4))}, RequestError, "has 4 outputs; expected 3.*classes="),
        ({"rule": 3}, RequestError, "got a rule of type int; expected a name"),
        ({"rule": "bpp"}, RequestError, "did you mean 'bp'"),
        ({"rule": lambda model: 3}, RequestError, "rule lambda returned int; expected an onchip.learning.Rule"),
        ({"rule": "ottt", "neuron": "ttfs", "model": "mlp"}, UnsupportedError, "ottt cannot train TTFS"),
        ({"train": None}, RequestError, "train: got None; expected a torch Dataset"),
        ({"test": INPUTS}, RequestError, "test: got a Tensor"),
        ({"validation": "x"}, RequestError, "validation: got a str"),
        ({"validation": 1.5}, RequestError, "validation got 1.5"),
        ({"test": (INPUTS[:, :, :2], LABELS)}, DataError, r"images of test are \(1, 2, 4\), those of train"),
        ({"classes": 2}, RequestError, "classes=2; expected at least 3"),
        ({"epoch": 3}, RequestError, "did you mean 'epochs'"),
        ({"net": "mlp"}, RequestError, "fit got the setting 'net', which its other arguments decide"),
        ({"resume": True}, RequestError, "resume, force and log need out"),
        ({"train": DataLoader(Samples(), 16), "batch_size": 8}, RequestError, "batch_size=8 for a DataLoader with"),
        ({"train": DataLoader(Samples(), 16), "validation": 0.1}, RequestError, "train cannot be divided"),
        ({"model": build, "neuron": "lif:decay=0.1"}, RequestError, "takes no parameter `neuron`"),
        ({"lr": 1e6, "optimizer": "sgd", "weight_decay": 1e6, "batch_size": 4}, OnchipError, "bp, seed 0: .*diverged"),
    ],
)
def test_a_wrong_request_is_refused(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    options: dict[str, Any] = {"model": build(), "rule": "bp", **SHORT, **changes}
    with pytest.raises(error, match=message) as caught:
        onchip.fit(**options)
    assert "\n" not in str(caught.value)


def test_more_classes_than_labels_have_to_be_said() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 9))
    assert onchip.fit(model, "bp", classes=9, **SHORT).record.classes == 9


def test_a_comparison_takes_a_function_and_data() -> None:
    def data() -> Any:
        return Samples(), PAIR

    for given in (data, (Samples(), PAIR), (DataLoader(Samples(), 32), PAIR, PAIR)):
        options: dict[str, Any] = {"data": given, "seeds": 2, "epochs": 1, "steps": 2, "validation": 0.1}
        records = onchip.compare(["bp", "dfa"], net=build, **options)
        assert [(r.label, r.seed, r.status) for r in records] == [(n, s, "ok") for s in (0, 1) for n in ("bp", "dfa")]
        assert {(r.network, r.parameters, r.classes) for r in records} == {("build", 16 * 12 + 12 + 12 * 3 + 3, 3)}
        losses = {r.seed: r.history[0].train_loss for r in records}
        assert losses[0] != losses[1]


def test_a_comparison_with_objects_goes_on_and_runs_in_processes(tmp_path: Path) -> None:
    options: dict[str, Any] = {"net": build, "data": (PAIR, PAIR), "seeds": 1, "epochs": 1, "steps": 2}
    records = onchip.compare(["bp", "dfa"], out=tmp_path, jobs=2, **options)
    resumed = onchip.compare(["bp", "dfa", "fa"], out=tmp_path, resume=True, **options)
    assert resumed[:2] == records
    with pytest.raises(RequestError, match=r"net in .* was an object of a program, build; pass it again"):
        onchip.compare(out=tmp_path, resume=True)
    with pytest.raises(RequestError, match=r"cannot be sent to other processes .*; define it at the top level"):
        onchip.compare(["bp", "dfa"], jobs=2, **{**options, "net": lambda: build()})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"net": build()}, "compare got a network, which can be trained once; expected a function"),
        ({"net": 3}, "got a network of type int"),
        ({"data": 3}, "data returned a int; expected an onchip.data.Dataset"),
        ({"data": lambda: 1 / 0}, "lambda failed in .*, line .*: ZeroDivisionError"),
        ({"data": "digits", "classes": 10}, "got classes=10 for the data 'digits'"),
    ],
)
def test_a_comparison_of_wrong_objects_is_refused(changes: dict[str, Any], message: str) -> None:
    options: dict[str, Any] = {"net": build, "data": (PAIR, PAIR), "seeds": 1, "epochs": 1, **changes}
    with pytest.raises(RequestError, match=message):
        onchip.compare("bp", **options)


def test_a_rule_of_ones_own_needs_no_file() -> None:
    def mine(model: torch.nn.Module, *, strength: float = 1.0) -> Rule:
        return Rule("mine", model, feedback=TransposedFeedback(), temporal=Online(), trains=(nn.TIME_STEPS,))

    result = onchip.fit(build, mine, **SHORT)
    assert (result.record.label, result.record.options) == ("mine", {"strength": 1.0})
    assert isinstance(result, FitResult)
    assert isinstance(result.record, Record)
    assert RunConfig(**result.record.settings).rule == "mine"
