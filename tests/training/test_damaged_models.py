"""Files of a trained model that are wrong, damaged or of another run are refused."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

import onchip
from onchip.errors import DataError, RequestError
from onchip.runs.model_file import NAME, WEIGHTS, ModelFile
from onchip.runs.seal import sealed
from tests.training.leaving import trained


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("digits")
    trained(folder)
    return onchip.load(folder)


Change = Callable[[dict[str, Any]], Any]
CHANGES: dict[str, tuple[Change, str]] = {
    "format": (lambda facts: facts.update(format="onchip model 9"), "this version reads 'onchip model 1'"),
    "unknown": (lambda facts: facts.update(code="x"), "it has 'code', which this version does not read"),
    "lost": (lambda facts: facts.pop("output"), "output"),
    "type": (lambda facts: facts["input"].update(steps="4"), "steps"),
    "divisor": (lambda facts: facts["input"].update(divisor=2), "divisor"),
    "frames": (lambda facts: facts["input"].update(frames=3), "frames of recordings"),
    "scale": (
        lambda facts: facts["input"].update(standardization={"mean": [0.0], "deviation": [1.0]}),
        "channels of sequences",
    ),
    "kind": (lambda facts: facts["input"].update(samples="sequences"), "divisor=255"),
    "digest": (lambda facts: facts.update(weights_sha256="f" * 64), r"keep the two files of one run together"),
    "file": (lambda facts: facts.update(weights="../../x"), "weights"),
    "record": (lambda facts: facts["record"].update(seed=9), "record"),
    "layer": (lambda facts: facts["network"]["layers"][1].update(type="os.system"), "of type 'os.system'"),
    "option": (lambda facts: facts["network"]["layers"][2]["options"].update(decay=7), "decay"),
    "surrogate": (lambda facts: facts["network"]["layers"][2]["options"].update(surrogate="x"), "surrogate"),
    "width": (lambda facts: facts["network"]["layers"][1]["options"].update(out_features=9), "size mismatch"),
    "huge": (lambda facts: facts["network"]["layers"][1]["options"].update(out_features=2**60), "Linear '1'|weights"),
}


def rewritten(folder: Path, change: Change, *, seal: bool = True) -> None:
    facts = json.loads((folder / NAME).read_text())
    change(facts)
    if seal:
        del facts["sha256"]
        facts = sealed(facts)
    (folder / NAME).write_text(json.dumps(facts))


@pytest.mark.parametrize("change", CHANGES)
def test_a_description_that_is_wrong_is_refused(change: str, digits: Any, tmp_path: Path) -> None:
    shutil.copytree(digits.path, tmp_path, dirs_exist_ok=True)
    rewritten(tmp_path, CHANGES[change][0])
    with pytest.raises(DataError, match=CHANGES[change][1]) as caught:
        onchip.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_description_that_was_changed_is_refused(digits: Any, tmp_path: Path) -> None:
    shutil.copytree(digits.path, tmp_path, dirs_exist_ok=True)
    rewritten(tmp_path, lambda facts: facts["input"].update(seed=1), seal=False)
    with pytest.raises(DataError, match="its values were changed after it was written"):
        onchip.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda facts: facts["rule"].update(text="import os", name="import os"), DataError, "unknown rule 'import os'"),
        (lambda facts: facts["rule"].update(text="dfa", name="dfa"), DataError, "has no feedback of dfa"),
        (lambda facts: facts.update(rule=None), RequestError, "holds a network without a rule"),
    ],
)
def test_a_rule_that_is_wrong_is_refused(change: Change, error: type[Exception], said: str, tmp_path: Path) -> None:
    trained(tmp_path, rule="fa")
    rewritten(tmp_path, change)
    saved = onchip.load(tmp_path)
    with pytest.raises(error, match=said):
        _ = saved.rule


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "cannot be used"),
        (lambda path: path.write_bytes(b"PK" + path.read_bytes()), "cannot be used"),
        (lambda path: save_file(load_file(path), path), "it has no digest of its content"),
    ],
)
def test_weights_that_are_damaged_are_refused(
    change: Callable[[Path], object], said: str, digits: Any, tmp_path: Path
) -> None:
    shutil.copytree(digits.path, tmp_path, dirs_exist_ok=True)
    change(tmp_path / WEIGHTS)
    with pytest.raises(DataError, match=said) as caught:
        onchip.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_run_are_refused(digits: Any, tmp_path: Path) -> None:
    trained(tmp_path, seed=1)
    shutil.copy(digits.path / WEIGHTS, tmp_path)
    with pytest.raises(DataError, match="keep the two files of one run together"):
        onchip.load(tmp_path)


@pytest.mark.parametrize("path", ["absent", "a\0b"])
def test_a_folder_without_a_model_is_refused(path: str, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no trained model"):
        onchip.load(tmp_path / path)


def test_what_is_written_is_what_is_read(digits: Any) -> None:
    text = (digits.path / NAME).read_text()
    file = ModelFile.from_json(text)
    assert file.to_json() == text
    assert dataclasses.replace(file, rule=None).to_json() != text
