"""`onchip.save`: networks that a program has built, and rules that it has attached."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import onchip
from onchip import nn, rules
from onchip.errors import RequestError, UnsupportedError
from onchip.runs.model_file import InputFacts
from onchip.transport import Top

IMAGES = InputFacts("images", (1, 4, 4), 1, "constant", 3)


def build() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.LIF(), nn.Linear(12, 3))


def step(rule: Any, samples: Tensor) -> list[Tensor]:
    optimizer = torch.optim.SGD(rule.parameters(), lr=0.5)
    rule.step_after(optimizer)
    rule.backward(
        torch.nn.functional.cross_entropy(rule.forward(onchip.Static(samples, 3)).mean(0), torch.tensor([0, 2]))
    )
    optimizer.step()
    state = [value.clone() for value in rule.state_dict().values()]
    return [*(value.clone() for value in rule.detach().state_dict().values()), *state]


def test_network_and_rule_go_on_as_they_were(tmp_path: Path) -> None:
    model, samples = build(), torch.rand(2, 1, 4, 4)
    rule = rules.fbp(model, period=1, transport=Top(0.5))
    onchip.save(tmp_path / "new" / "folder", model, rule, made="fbp:period=1;transport=top:0.5", input=IMAGES)
    saved = onchip.load(tmp_path / "new" / "folder")
    with torch.no_grad():
        out = model.eval()(onchip.Static(samples, 3))
    assert torch.equal(saved.predict(samples).scores, out.sum(0))
    assert saved.classes == ("0", "1", "2")
    assert saved.record is None
    model.train()
    assert all(map(torch.equal, step(rule, samples), step(saved.rule, samples)))


def test_how_a_rule_was_made_is_checked(tmp_path: Path) -> None:
    model = build()
    rule = rules.fbp(model, period=7)
    with pytest.raises(RequestError, match=r"that does something else than 'fbp'; say how it was made"):
        onchip.save(tmp_path, model, rule)
    with pytest.raises(RequestError, match="that trains another network"):
        onchip.save(tmp_path, build(), rule, made="fbp:period=7")
    with pytest.raises(RequestError, match="unknown rule 'x'"):
        onchip.save(tmp_path, model, rule, made="x")
    with pytest.raises(RequestError, match="without a rule"):
        onchip.save(tmp_path, model, made="bp")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    class Mine(nn.LIF):
        pass

    with pytest.raises(UnsupportedError, match="Mine '1' is no layer that a file can describe"):
        onchip.save(tmp_path, nn.Sequential(nn.Linear(4, 5), Mine(), nn.Linear(5, 3)))
    with pytest.raises(RequestError, match="got 2 classes for a network of 3 outputs"):
        onchip.save(tmp_path, build(), classes=["a", "b"])
    with pytest.raises(RequestError, match=r"save got input=.*steps"):
        onchip.save(tmp_path, build(), input=InputFacts("images", (1, 4, 4), 1, "constant", 0))
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="is a file; expected a folder"):
        onchip.save(tmp_path / "file", build())


def test_without_facts_of_the_input_a_network_does_not_predict(tmp_path: Path) -> None:
    model = build()
    onchip.save(tmp_path, model)
    saved = onchip.load(tmp_path)
    with pytest.raises(RequestError, match="does not say how samples become the network's input"):
        saved.predict(torch.rand(2, 1, 4, 4))
    with pytest.raises(RequestError, match="holds a network without a rule"):
        _ = saved.rule
    signal = torch.rand(5, 2, 1, 4, 4)
    assert torch.equal(saved.model(signal), model(signal))
    assert json.loads((tmp_path / "model.json").read_text())["input"] is None
