"""What a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from onchip.cli import app
from onchip.cli.shared.completion import EXPORTS, names
from onchip.data import describe
from onchip.training import registry

KINDS = {"rule": "rule", "net": "network", "neuron": "neuron", "encoder": "encoder", "synapses": "device"}


def request(typed: str) -> dict[str, str]:
    """What bash sets when it wants the last word completed."""
    return {
        "_ONCHIP_COMPLETE": "complete_bash",
        "COMP_WORDS": f"onchip {typed}",
        "COMP_CWORD": str(typed.count(" ") + 1),
    }


@pytest.mark.parametrize("option", EXPORTS)
def test_every_name_completes(option: str) -> None:
    known = [info.name for info in describe()] if option == "data" else registry.known(KINDS[option])
    assert set(names(option)("")) == set(known)


@pytest.mark.parametrize(
    ("typed", "some"),
    [
        ("", {"compare", "networks", "encoders", "neurons"}),
        ("compare --rules bp,fb", {"bp,fbp"}),
        ("train --rule opz", {"opzo"}),
        ("train --data fash", {"fashion-mnist"}),
        ("train --net conv-s", {"conv-small"}),
        ("train --schedule c", {"cosine", "constant"}),
        ("compare --columns test,mem", {"test,memory"}),
        ("data check dig", {"digits"}),
        ("rules own", {"own-noise-mirror"}),
        ("networks vgg1", {"vgg11"}),
        ("audit bp df", {"dfa"}),
        ("cost --hardware se", {"seneca"}),
        ("report runs --hardware loihi,sp", {"loihi,spinnaker", "loihi,spinnaker2"}),
        ("hardware horo", {"horowitz-45nm", "horowitz-45nm-dram"}),
    ],
)
def test_names_complete_where_they_are_typed(
    typed: str, some: set[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in request(typed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        app(prog_name="onchip")
    assert some <= set(capsys.readouterr().out.split())


def test_bash_gets_them_without_waiting_for_torch() -> None:
    program = (
        "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); "
        "from onchip.cli import app; app(prog_name='onchip')"
    )
    words = request("train --rule weig")
    result = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **words}, capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == ["weight-mirror", "False"]
