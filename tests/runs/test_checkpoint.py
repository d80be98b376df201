from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from onchip._sealed import write_sealed
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
    with pytest.raises(DataError, match="cannot be read"):
        checkpoint.load(tmp_path / "c")


def test_weights_are_no_checkpoint(tmp_path: Path) -> None:
    checkpoint.save_weights(tmp_path / "w", {"0.weight": torch.ones(2)}, "{}")
    assert torch.equal(load_file(tmp_path / "w")["0.weight"], torch.ones(2))
    with pytest.raises(DataError, match="expected 'onchip checkpoint"):
        checkpoint.load(tmp_path / "w")


def test_a_changed_number_is_noticed(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "c", {"x": torch.zeros(100), "step": 3})
    whole = (tmp_path / "c").read_bytes()
    (tmp_path / "c").write_bytes(whole[:-5] + b"\x3f" + whole[-4:])
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load(tmp_path / "c")
    (tmp_path / "c").write_bytes(whole.replace(b'\\"step\\", 3', b'\\"step\\", 4'))
    with pytest.raises(DataError, match="damaged"):
        checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"format": "onchip checkpoint 1"},
        {"format": checkpoint.FORMAT},
        *({"format": checkpoint.FORMAT, "state": text} for text in ("", "{", "[" * 100_000, '{"tensor": "x"}', "{}")),
        *({"format": checkpoint.FORMAT, "state": text} for text in ('{"dict": 3}', '{"dict": [[[], 1]]}', "3", "null")),
        *({"format": checkpoint.FORMAT, "state": text} for text in ('{"a": 1, "b": 2}', '{"set": []}', '{"list": []}')),
    ],
)
def test_a_sealed_file_of_another_structure_is_refused(tmp_path: Path, metadata: dict[str, str]) -> None:
    write_sealed(tmp_path / "c", {"y": torch.zeros(2)}, metadata)
    with pytest.raises(DataError, match=r"^its? "):
        checkpoint.load(tmp_path / "c")


def test_equal_states_have_one_digest() -> None:
    state: dict[str, Any] = {"a": torch.arange(3.0), "b": [1, (2.5, None)]}
    assert checkpoint.digest(state) == checkpoint.digest({**state, "a": state["a"].clone()})
    others: list[dict[str, Any]] = [{"a": state["a"].double()}, {"a": state["a"].view(1, 3)}, {"b": [1, [2.5, None]]}]
    for other in others:
        assert checkpoint.digest({**state, **other}) != checkpoint.digest(state)
