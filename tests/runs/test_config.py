from __future__ import annotations

import json
from typing import Any

import pytest

from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig, from_mapping
from onchip.runs.sweep_config import SweepConfig


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("train_size", 0),
        ("validation", 1.0),
        ("validation", -0.1),
        ("steps", 0),
        ("readout_scale", 0.0),
        ("readout_scale", float("nan")),
        ("epochs", 0),
        ("batch_size", 0),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", float("inf")),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("weight_decay", float("inf")),
        ("optimizer", "adm"),
        ("schedule", "linear"),
        ("lr_decay", 0.0),
        ("lr_decay", 1.1),
        ("lr_scaling", "slow"),
        ("clip", 0.0),
        ("clip", float("inf")),
        ("patience", 0),
        ("select", "first"),
        ("precision", "float16"),
        ("probe", -1),
        ("probe", 10**9),
    ],
)
def test_refuses_a_setting_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(RequestError, match=f"{name.replace('_', '-')} |unknown {name}"):
        from_mapping({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("epochs", 1.5), ("epochs", True), ("epochs", "3"), ("lr", "x"), ("net", 3), ("train_size", "all")],
)
def test_refuses_a_setting_of_another_type(name: str, value: Any) -> None:
    with pytest.raises(RequestError, match=f"{name} got"):
        from_mapping({name: value})


def test_names_the_nearest_setting() -> None:
    with pytest.raises(RequestError, match="did you mean 'epochs'"):
        from_mapping({"epoch": 3})


@pytest.mark.parametrize("changes", [{"select": "best"}, {"patience": 3}])
def test_watching_validation_needs_validation_samples(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="needs validation samples"):
        RunConfig(validation=0.0, **changes)


def test_what_is_written_to_devices_is_not_rounded() -> None:
    with pytest.raises(RequestError, match="precision got bfloat16; expected float32 with synapses"):
        RunConfig(precision="bfloat16", synapses="ideal")


def test_a_whole_number_may_stand_for_a_fraction() -> None:
    assert isinstance(from_mapping({"lr": 1}).lr, float)


def test_a_changed_setting_is_noticed() -> None:
    text = SweepConfig(RunConfig(), ("bp",), (0, 4)).to_json()
    assert SweepConfig.from_json(text.replace(" ", "")) == SweepConfig.from_json(text)
    with pytest.raises(DataError, match="changed after it was written"):
        SweepConfig.from_json(text.replace('"lr": 0.005', '"lr": 0.05'))


def test_a_request_survives_json() -> None:
    request = SweepConfig(RunConfig(epochs=3, train_size=50), ("bp", "fbp:period=2"), (0, 4))
    assert SweepConfig.from_dict(json.loads(json.dumps(request.to_dict()))) == request
    assert SweepConfig.from_json(request.to_json()) == request


def test_each_seed_meets_every_rule_before_the_next() -> None:
    runs = SweepConfig(RunConfig(), ("bp", "fa"), (0, 1)).runs()
    assert [(run.rule, run.seed) for run in runs] == [("bp", 0), ("fa", 0), ("bp", 1), ("fa", 1)]


@pytest.mark.parametrize(("rules", "seeds"), [((), (0,)), (("bp",), ()), (("bp", "bp"), (0,)), (("bp",), (1, 1))])
def test_refuses_an_empty_or_repeated_request(rules: tuple[str, ...], seeds: tuple[int, ...]) -> None:
    with pytest.raises(RequestError):
        SweepConfig(RunConfig(), rules, seeds)


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"[]",
        b"3",
        b"",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b'{"rules": ' + b"[" * 900 + b"]" * 900 + b', "seeds": [0]}',
        b'{"rules": ["bp"]}',
        b'{"rules": "bp", "seeds": [0]}',
        b'{"rules": [1], "seeds": [0]}',
        b'{"rules": ["bp"], "seeds": [0.5]}',
        b'{"rules": ["bp"], "seeds": [Infinity]}',
        b'{"rules": ["bp"], "seeds": [1e999]}',
        b'{"rules": ["bp"], "seeds": [true]}',
        b'{"rules": ["bp"], "seeds": ["0"]}',
        b'{"rules": ["bp"], "seeds": [0], "lr": NaN}',
        b'{"rules": ["bp"], "seeds": [0], "epoch": 1}',
        b'{"rules": ["bp"], "seeds": [0], "net": "\\ud800"}',
        b'{"rules": ["bp"], "seeds": [0], "probe": 1000000000}',
    ],
)
def test_a_damaged_file_is_one_error_in_one_line(text: bytes) -> None:
    with pytest.raises(DataError) as caught:
        SweepConfig.from_json(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350
