"""`model.json` and `model.safetensors`, damaged or made up: the same network, or an error in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

import onchip
from onchip import nn
from onchip.runs.model_file import NAME, WEIGHTS
from onchip.runs.seal import SEAL, sealed
from tests.fuzz.mutants import check_all, damaged, odd, outcome

Count = Callable[[str, object], None]

SAMPLES = torch.arange(24.0).reshape(4, 6) / 24


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = nn.Sequential(nn.Linear(6, 4), nn.LIF(decay=torch.rand(4)), nn.Linear(4, 2), nn.LI(learn_decay=True))
    pair = SAMPLES, torch.arange(4) % 2
    onchip.fit(model, "fa", train=pair, test=pair, epochs=1, steps=2, out=tmp_path)
    return tmp_path


def read(folder: Path) -> tuple[Tensor, list[Tensor]]:
    """What the network says, and the rule's feedback."""
    saved = onchip.load(folder)
    return saved.predict(SAMPLES).scores, list(saved.rule.state_dict().values())


def test_damaged_files_are_refused(record_property: Count, folder: Path) -> None:
    whole = {name: (folder / name).read_bytes() for name in (NAME, WEIGHTS)}
    expected, state = read(folder)

    def check(mutant: tuple[str, bytes]) -> None:
        name, content = mutant
        for each, original in whole.items():
            (folder / each).write_bytes(content if each == name else original)
        found = outcome(lambda: read(folder))
        if found is not None:  # spaces between values, for one, change nothing
            assert torch.equal(found[0], expected)
            assert all(map(torch.equal, found[1], state))

    mutants = st.one_of(*(st.tuples(st.just(name), damaged(content)) for name, content in whole.items()))
    check_all(mutants, check, 120, record_property)


def test_strange_facts_are_refused_or_give_a_network(record_property: Count, folder: Path) -> None:
    """A stranger can seal what he has written."""
    facts: dict[str, Any] = json.loads((folder / NAME).read_text())
    del facts[SEAL]

    def check(values: dict[str, Any]) -> None:
        try:
            text = json.dumps(sealed(values))
        except (ValueError, RecursionError):  # no JSON at all
            return
        (folder / NAME).write_bytes(text.encode(errors="surrogatepass"))
        found = outcome(lambda: read(folder))
        assert found is None or found[0].shape == (4, 2)

    check_all(odd(facts), check, 150, record_property)


def test_strange_layers_are_refused_or_give_a_network(record_property: Count, folder: Path) -> None:
    facts: dict[str, Any] = json.loads((folder / NAME).read_text())
    del facts[SEAL]
    layers = facts["network"]["layers"]

    def check(mutant: tuple[int, dict[str, Any]]) -> None:
        place, layer = mutant
        changed = {**facts, "network": {**facts["network"], "layers": [*layers[:place], layer, *layers[place + 1 :]]}}
        (folder / NAME).write_bytes(json.dumps(sealed(changed)).encode(errors="surrogatepass"))
        found = outcome(lambda: read(folder))
        assert found is None or found[0].shape == (4, 2)

    mutants = st.one_of(*(st.tuples(st.just(place), odd(layer)) for place, layer in enumerate(layers)))
    check_all(mutants, check, 200, record_property)
