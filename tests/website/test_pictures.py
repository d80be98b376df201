"""The pictures of docs/concepts are those that the code draws, and say what the engine does."""

from __future__ import annotations

import pytest
import torch

from formulas import step
from onchip import nn
from pictures import DECAY, FOLDER, INPUT, PICTURES, PLANS, THRESHOLD, WEIGHT, membrane


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_up_to_date(name: str) -> None:
    drawn = PICTURES[name]().svg() + "\n"
    assert (FOLDER / f"{name}.svg").read_text(encoding="utf-8") == drawn, "run `python website/pictures.py`"


def test_every_picture_is_on_a_page() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md"))
    assert [name for name in PICTURES if f"({name}.svg)" not in pages] == []


def test_the_neuron_that_is_drawn_is_ours() -> None:
    drive = WEIGHT * torch.tensor(INPUT, dtype=torch.float32)[:, None, None]
    assert nn.LIF(decay=DECAY, threshold=THRESHOLD)(drive).flatten().tolist() == membrane()[1]


@pytest.mark.parametrize("rule", PLANS)
def test_layers_wait_as_long_as_the_ledger_says(rule: str) -> None:
    waits = [max(phases) - min(phases) - 1 for phases in PLANS[rule]]
    counted = step(rule, (5, 4, 3, 2), 2)["update_locking_phases"]
    assert sum(waits) / len(waits) == pytest.approx(counted)
