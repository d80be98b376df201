from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from onchip.errors import RequestError
from onchip.runs.code import CodeName, code_name, is_same, pinned, refuse_unnamed, short
from onchip.runs.user_function import UserFunction, user_function


def named(text: str) -> CodeName:
    name = code_name(text)
    assert name is not None
    return name


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_net.py"
    path.write_text("def build():\n    return 3\n")
    return path


@pytest.mark.parametrize("text", ["mlp", "16C3-P2", "folder:a", "folder:/a.b/my.py", "folder:my.py:x", "lif:decay=0.9"])
def test_other_names_are_no_code(text: str) -> None:
    assert code_name(text) is None
    assert (pinned(text), short(text)) == (text, text)


@pytest.mark.parametrize("text", ["a.py:b", "/x y/a.py:b", "C:\\x\\a.py:b", "a:b.py:c", "pack.age:b"])
def test_code_has_a_place_and_a_function(text: str) -> None:
    name = named(text)
    assert (name.place, name.function) == (text.rpartition(":")[0], text.rpartition(":")[2])
    assert str(name) == name.short == text
    assert named(f"{text}#{'0' * 64}").digest == "0" * 64


@pytest.mark.parametrize("text", ["a.py", "a.py:", "a.py:b c", "a.py:2", "a.py:b#12"])
def test_a_file_without_a_function_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match=r"expected a file and a function in it"):
        code_name(text)


def test_the_digest_is_that_of_the_text(file: Path) -> None:
    text = pinned(f"{file}:build")
    assert text == f"{file}:build#{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert pinned(text) == text
    assert user_function(named(text))() == 3
    file.write_text("def build():\n    return 4\n")
    with pytest.raises(RequestError, match="has changed"):
        user_function(named(text))
    with pytest.raises(RequestError, match="has changed"):
        pinned(text)


def test_the_same_code_elsewhere_is_the_same(file: Path, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_bytes(file.read_bytes())
    one, two = (pinned(f"{tmp_path / name}:build") for name in ("my_net.py", "other.py"))
    assert is_same(one, two)
    assert not is_same(one, two.replace("build", "other"))
    assert not is_same(one, f"{file}:build")
    assert not is_same(f"{file}:build", f"{file}:build"), "without digests nothing is known"
    assert not is_same(one, "mlp")
    assert is_same("mlp", "mlp")


def test_code_from_a_file_runs_only_when_it_is_named() -> None:
    settings = {"net": f"a.py:b#{'0' * 64}", "data": "digits"}
    with pytest.raises(RequestError, match=r"net in run names code, a\.py:b, .* add --net a\.py:b"):
        refuse_unnamed(settings, {"data": "digits"}, "run")
    refuse_unnamed(settings, {"net": "a.py:b"}, "run")
    with pytest.raises(RequestError, match="data in run names code"):
        refuse_unnamed({"net": None, "data": "c.d:e"}, {"net": "a.py:b"}, "run")


def test_a_module_is_named_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownpack").mkdir()
    (tmp_path / "ownpack" / "__init__.py").touch()
    (tmp_path / "ownpack" / "sizes.py").write_text("WIDTH = 7\n")
    (tmp_path / "ownpack" / "nets.py").write_text("from .sizes import WIDTH\n\ndef build():\n    return WIDTH\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert user_function(named(pinned("ownpack.nets:build")))() == 7
    for text in ("ownpack.absent:build", "absent.nets:build", "xml.parsers.expat:ParserCreate_"):
        with pytest.raises(RequestError, match=r"expected a module|no function|unknown function"):
            user_function(named(text))


def test_modules_beside_the_file_can_be_imported(file: Path, tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text("VALUE = 5\n")
    file.write_text("def build():\n    from beside_it import VALUE\n    return VALUE\n")
    before = list(sys.path)
    assert user_function(named(f"{file}:build"))() == 5
    assert sys.path == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = (", r"my_net\.py failed in .*my_net\.py, line 1: SyntaxError"),
        ("\n1 / 0", r"my_net\.py failed in .*my_net\.py, line 2: ZeroDivisionError: division by zero"),
        ("import nothing_of_this_name", r"line 1: ModuleNotFoundError"),
        ("import sys\n\nsys.exit('bye')", r"line 3: SystemExit: bye"),
        ("def built(): pass", r"unknown function of .*: 'build'; did you mean 'built'\? There are: built"),
        ("from math import sqrt", r"has no function 'build', nor any other"),
        ("build = 3", r"is a int; expected a function"),
        ("def build():\n    raise ValueError('two\\nlines')", r"build failed in .*, line 2: ValueError: two lines$"),
        ("import json\ndef build():\n    return json.loads('{')", r"my_net\.py, line 3: JSONDecodeError"),
        ("def build():\n    raise SystemExit", r"build failed in .*, line 2: SystemExit$"),
        ("\0", r"my_net\.py failed.*: (ValueError|SyntaxError)"),
    ],
)
def test_what_fails_in_it_is_one_error_with_its_line(text: str, message: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(RequestError, match=message) as caught:
        user_function(named(f"{file}:build"))()
    assert "\n" not in str(caught.value)


def test_ctrl_c_in_it_is_not_its_failure(file: Path) -> None:
    file.write_text("def build():\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        user_function(named(f"{file}:build"))()


@pytest.mark.parametrize("place", ["absent.py", "folder.py"])
def test_a_file_that_cannot_be_read_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(RequestError, match="cannot be read"):
        pinned(f"{tmp_path / place}:build")


def test_arguments_are_supplied_by_name() -> None:
    def two(classes: int, shape: int = 1, *rest: int, other: int = 2, **more: int) -> None: ...

    def strange(shape: int, width: int) -> None: ...

    assert UserFunction("f", None, two).supplied(shape=5, classes=6, neuron=7) == {"classes": 6, "shape": 5}
    assert UserFunction("f", None, lambda: 0).supplied(shape=5) == {}
    with pytest.raises(RequestError, match=r"f has the parameter 'width'; expected no parameters, or any of shape"):
        UserFunction("f", None, strange).supplied(shape=5)
    with pytest.raises(RequestError, match=r"expected no parameters$"):
        UserFunction("f", None, strange).supplied()
