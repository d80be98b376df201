from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from onchip.errors import DataError
from onchip.runs import checkpoint


def test_gives_back_what_it_was_given(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    state: dict[str, Any] = {
        "tensors": {"a": shared.view(2, 3), "same memory": shared, "transposed": torch.rand(2, 3).t()},
        "generator": torch.Generator().manual_seed(1).get_state(),
        "scalar": torch.tensor(7),
        "keys": {0: 0.1, 1: float("inf")},
        "nested": [1, (True, None), {"x": []}, "text"],
    }
    checkpoint.save(tmp_path / "c", state)
    got = checkpoint.load(tmp_path / "c")
    for name, tensor in state["tensors"].items():
        assert torch.equal(got["tensors"][name], tensor)
    assert got["generator"].dtype == torch.uint8
    assert torch.equal(got["generator"], state["generator"])
    assert got["scalar"].shape == ()
    assert int(got["scalar"]) == 7
    assert (got["keys"], got["nested"]) == (state["keys"], state["nested"])


@pytest.mark.parametrize("value", [object(), {(1, 2): 3}, {"x": {3.0}}])
def test_refuses_what_it_cannot_give_back(tmp_path: Path, value: object) -> None:
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path / "c", {"value": value})
    assert not list(tmp_path.iterdir())


def test_names_a_damaged_file(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"x": torch.zeros(100)})
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="checkpoint c cannot be read"):
        checkpoint.load(tmp_path / "c")


def test_weights_are_no_checkpoint(tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path / "w", {"0.weight": torch.ones(2)}, "{}")
    assert torch.equal(load_file(tmp_path / "w")["0.weight"], torch.ones(2))
    with pytest.raises(DataError, match="expected 'onchip checkpoint"):
        checkpoint.load(tmp_path / "w")
