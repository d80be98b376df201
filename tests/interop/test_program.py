"""Exported programs compute what the network computes, in a process that has torch and not this package."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import onchip
from onchip import nn
from onchip.data import Split
from onchip.data.samples import RECORDINGS, SEQUENCES
from onchip.errors import RequestError, UnsupportedError
from onchip.interop import program
from onchip.interop.program import export_program

GENERATOR = torch.Generator().manual_seed(2)
LABELS = torch.arange(12) % 3
FLOATS = torch.rand(12, 1, 8, 8, generator=GENERATOR)
BYTES = (FLOATS * 255).to(torch.uint8)
FRAMES = (torch.rand(12, 6, 2, 8, 8, generator=GENERATOR) < 0.2).to(torch.uint8) * 3
LENGTHS = torch.randint(2, 10, (12,), generator=GENERATOR)
LENGTHS[0] = 9


def chain(*neurons: torch.nn.Module) -> nn.Sequential:
    layers = nn.Conv2d(1, 4, 3, padding=1), neurons[0], nn.AvgPool2d(2), nn.Conv2d(4, 4, 3, padding=1), neurons[1]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 3))


def residual() -> nn.Sequential:
    body = nn.Sequential(nn.WeightStandardizedConv2d(2, 2, 3, padding=1), nn.LIF(), nn.Dropout(0.5))
    return nn.Sequential(nn.Conv2d(2, 2, 1), nn.IF(), nn.Residual(body), nn.MaxPool2d(4), nn.Flatten(), nn.Linear(8, 3))


def recurrent() -> nn.Sequential:
    hidden = nn.Recurrent(nn.Linear(16, 16, bias=False), nn.ALIF(decay=torch.rand(16), reset="hard"))
    return nn.Sequential(nn.Linear(5, 16), hidden, nn.Linear(16, 3), nn.LI(learn_decay=True))


def timed() -> nn.Sequential:
    first = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.TTFS(), nn.EarliestPool2d(2), nn.Flatten()
    return nn.Sequential(*first, nn.Linear(64, 3, bias=False), nn.TTFSReadout())


def split(inputs: Tensor, kind: Any = None) -> Any:
    if kind is SEQUENCES:
        return Split(inputs, LABELS, kind, LENGTHS)
    return (inputs, LABELS) if kind is None else Split(inputs, LABELS, kind)


CASES: dict[str, tuple[Callable[[], nn.Sequential], Any, dict[str, Any]]] = {
    "bytes": (lambda: chain(nn.LIF(decay=0.75, threshold=0.3), nn.CubaLIF(threshold=0.3)), split(BYTES), {"steps": 5}),
    "floats": (lambda: chain(nn.LIF(learn_decay=True, threshold=0.3), nn.Rate()), split(FLOATS), {"steps": 3}),
    "spikes out": (
        lambda: nn.Sequential(*chain(nn.LIF(threshold=0.3), nn.LIF(threshold=0.3)), nn.LIF(threshold=0.05)),
        split(BYTES),
        {"steps": 6},
    ),
    "recordings": (residual, split(FRAMES, RECORDINGS), {"steps": 3}),
    "sequences": (recurrent, split(torch.randn(12, 9, 5, generator=GENERATOR), SEQUENCES), {}),
    "spike times": (timed, split(BYTES), {}),
}

SIGNALS: dict[str, Callable[[Tensor], Any]] = {
    "bytes": lambda samples: onchip.Static(samples.float() / 255, 5),
    "floats": lambda samples: onchip.Static(samples, 3),
    "spikes out": lambda samples: onchip.Static(samples.float() / 255, 6),
    "recordings": lambda samples: (samples.unflatten(1, (3, 2)).sum(2) > 0).float().transpose(0, 1),
    "sequences": lambda samples: samples.transpose(0, 1),
    "spike times": lambda samples: torch.where(samples > 0, 1 - samples.float() / 255, torch.inf),
}
"""What each network gets, written out."""

READER = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file

folder, found = Path(sys.argv[1]), {}
for file in sorted(folder.glob("*.pt2")):
    extra = {"model.json": ""}
    program = torch.export.load(file, extra_files=extra).module()
    assert '"classes"' in extra["model.json"]
    given = load_file(file.with_suffix(".in"))
    arguments = [given[name] for name in ("samples", "lengths") if name in given]
    for count in (1, 2, 12):
        scores, output = program(*(each[:count] for each in arguments))
        found[f"{file.stem} {count} scores"], found[f"{file.stem} {count} output"] = scores.clone(), output.contiguous()
save_file(found, folder / "found")
assert not any(name.startswith("onchip") for name in sys.modules)
"""


def test_programs_run_without_onchip_and_give_the_same(tmp_path: Path) -> None:
    expected: dict[str, tuple[Tensor, Tensor]] = {}
    for case, (make, data, settings) in CASES.items():
        torch.manual_seed(0)
        onchip.fit(make(), "bp", train=data, test=data, epochs=1, out=tmp_path / case, **settings)
        saved = onchip.load(tmp_path / case)
        compared = export_program(tmp_path / f"{case}.pt2", saved)
        assert compared.samples == 16
        assert compared.equal >= 14, "float32 may round a membrane to another side of its threshold"
        assert compared.error < 1e-13
        inputs: Tensor = data.samples if isinstance(data, Split) else data[0]
        given = {"samples": inputs} if case != "sequences" else {"samples": inputs, "lengths": LENGTHS}
        save_file(given, tmp_path / f"{case}.in")
        with torch.no_grad():
            output: Tensor = saved.model(SIGNALS[case](inputs))
        expected[case] = saved.predict(data if isinstance(data, Split) else inputs).scores, output
        assert output.count_nonzero() > 0
    subprocess.run([sys.executable, "-W", "ignore", "-c", READER, str(tmp_path)], check=True, cwd=tmp_path)
    found = load_file(tmp_path / "found")
    for case, (scores, output) in expected.items():
        for count in (1, 2, 12):
            theirs = found[f"{case} {count} output"]
            torch.testing.assert_close(theirs, output[..., :count, :], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(found[f"{case} {count} scores"], scores[:count], rtol=1e-4, atol=1e-5)
            if case == "spikes out":
                assert torch.equal(theirs, output[:, :count])
                assert set(theirs.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("network", "settings", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), {"encoder": "poisson"}, "the encoder 'poisson' draws random"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Stochastic(), nn.Linear(5, 3), nn.MeanReadout()),
            {},
            "Stochastic neurons after layer '1' draw random numbers",
        ),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Rate(trials=4), nn.Linear(5, 3)),
            {},
            "Rate neurons after layer '1' draw random numbers",
        ),
    ],
)  # fmt: skip
def test_what_draws_random_numbers_is_refused_by_name(
    network: nn.Sequential, settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    data = split(BYTES)
    onchip.fit(network, "bp", train=data, test=data, epochs=1, steps=2, out=tmp_path, **settings)
    with pytest.raises(UnsupportedError, match=said):
        export_program(tmp_path / "model.pt2", onchip.load(tmp_path))
    assert not (tmp_path / "model.pt2").exists()


def test_a_program_that_computes_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs differs from what is followed: as if a compiled kernel were wrong."""

    class Mine(nn.LIF):
        def unrolled(self, drive: Tensor, returned: Any) -> Tensor:
            return super().unrolled(drive * 0.9, returned)

    network, data = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), Mine(threshold=0.1), nn.Linear(5, 3)), split(BYTES)
    onchip.fit(network, "bp", train=data, test=data, epochs=1, steps=4, out=tmp_path)
    with pytest.raises(UnsupportedError, match="the exported program computes something else: in float64"):
        export_program(tmp_path / "model.pt2", onchip.load(tmp_path, net=network))


def test_a_model_that_says_nothing_of_its_input_is_refused(tmp_path: Path) -> None:
    data = split(BYTES)
    onchip.fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), train=data, test=data, epochs=1, steps=1, out=tmp_path)
    saved = onchip.load(tmp_path)
    object.__setattr__(saved.file, "input", None)
    with pytest.raises(RequestError, match="does not say how samples become"):
        export_program(tmp_path / "model.pt2", saved)


def test_a_reader_finds_what_the_network_is_in_the_file(tmp_path: Path) -> None:
    data = split(BYTES)
    onchip.fit(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), train=data, test=data, epochs=1, steps=1, out=tmp_path)
    export_program(tmp_path / "model.pt2", onchip.load(tmp_path))
    extra = {"model.json": ""}
    torch.export.load(str(tmp_path / "model.pt2"), extra_files=extra)
    assert json.loads(extra["model.json"]) == json.loads((tmp_path / "model.json").read_text())
    assert program.SAMPLES == 16
