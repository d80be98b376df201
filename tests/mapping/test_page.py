"""The table of docs/chips.md of all rules on all chips."""

from __future__ import annotations

from pathlib import Path

import torch

from onchip import nn
from onchip.chips import chip, known_chips
from onchip.errors import UnsupportedError
from onchip.mapping import check, inputs_of
from onchip.report.markdown import markdown_table
from onchip.training import registry
from onchip.training.networks import example_network

PAGE = Path(__file__).parents[2] / "docs" / "chips.md"


def matrix() -> str:
    """Verdicts of all chips on all rules that can train the network `mlp` of LIF neurons, on static images."""
    network = example_network("mlp", "lif", (1, 8, 8), 10)
    rows = []
    for part in registry.distinct(registry.known("rule")):
        torch.manual_seed(0)
        model = network.make()
        try:
            rule = part(model)
        except UnsupportedError:
            continue
        inputs = inputs_of(model, rule, nn.Static(torch.rand(1, 1, 8, 8), steps=4))
        words = [check(rule, chip(name), inputs=inputs).word for name in known_chips()]
        rows.append([part.label, *words])
    return markdown_table(["rule", *known_chips()], rows, left=len(known_chips()) + 1, padded=True)


def test_the_page_shows_the_verdicts() -> None:
    assert matrix() in PAGE.read_text(encoding="utf-8")
