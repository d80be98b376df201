"""Profiles of chips from TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import onchip
from onchip.chips import Fact, chip, known_chips, read_chip
from onchip.errors import RequestError

LOIHI = Path(onchip.__file__).parent / "chips" / "profiles" / "loihi.toml"
HEAD = 'name = "mine"\ntitle = "My chip"\n'


def read(text: str) -> object:
    return read_chip((HEAD + text).encode(), "mine.toml")


def test_what_a_file_leaves_out_is_unknown() -> None:
    mine = read_chip(HEAD.encode(), "mine.toml")
    assert (mine.name, mine.title) == ("mine", "My chip")
    for section, facts in mine.facts().items():
        for fact, _ in facts.values():
            assert not fact.known
            assert str(fact) == ("unpriced" if section == "prices" else "unknown")


def test_units() -> None:
    mine = read_chip(
        (
            HEAD + '[traces]\nbits = { value = "7 bits", source = "s", of = "two" }\n'
            '[memory]\nper_core = { value = "1.5 KiB", source = "s" }\n'
            '[engine]\nepoch = { value = "unknown" }\n'
            '[prices]\nupdate = { value = "0.12 nJ", source = "s" }\nspike = { value = "unpriced" }\n'
        ).encode(),
        "mine.toml",
    )
    assert mine.traces.bits == Fact(7, "7 bits", "s", "two")
    assert str(mine.traces.bits) == "7 bits (two)"
    assert mine.memory.per_core.value == 1.5 * 1024 * 8
    assert not mine.engine.epoch.known
    assert mine.prices.update.value == pytest.approx(120.0)
    assert not mine.prices.spike.known


@pytest.mark.parametrize(
    ("text", "got", "expected"),
    [
        ("speed = 3", "key in chip file mine.toml: 'speed'", "There are: "),
        ("[synapse]", "'synapse'", "did you mean 'synapses'?"),
        ("[traces]\nbit = 7", "traces: 'bit'", "did you mean 'bits'?"),
        ("[traces]\nbits = 7", "traces.bits got 7", "{ value = ..., source"),
        ("[traces]\nbits = { value = 7, source = 's' }", "traces.bits got 7", "in bits or bit, such as '7 bits'"),
        ("[traces]\nbits = { value = '7 bytes', source = 's' }", "'7 bytes'", "such as '7 bits'"),
        ("[traces]\nbits = { value = '7.5 bits', source = 's' }", "'7.5 bits'", "such as '7 bits'"),
        ("[traces]\nbits = { value = '-7 bits', source = 's' }", "'-7 bits'", "such as '7 bits'"),
        ("[traces]\nbits = { value = '7 bits' }", "has no source", "was published"),
        ("[traces]\nbits = { source = 's' }", "has no value", "'unknown'"),
        ("[traces]\nbits = { value = '7 bits', sources = 's' }", "'sources'", "did you mean 'source'?"),
        ("[traces]\nbits = { value = '7 bits', source = 7 }", "source got 7", "expected text"),
        ("[traces]\npre = { value = '2', source = 's' }", "traces.pre got '2'", "a whole number"),
        ("[traces]\npre = { value = true, source = 's' }", "traces.pre got True", "a whole number"),
        ("[traces]\nsigned = { value = 1, source = 's' }", "traces.signed got 1", "true or false"),
        ("[memory]\nper_core = { value = '128 kB', source = 's' }", "'128 kB'", "KiB"),
        ("[prices]\nspike = { value = '3 mW', source = 's' }", "'3 mW'", "pJ or fJ or nJ or uJ"),
        ("[prices]\nspike = { value = 'unknown', source = 's' }", "'unknown'", "or 'unpriced'"),
        ("[engine]\ngrammar = { value = 'sums', source = 's' }", "'sums'", "'sum of products'"),
        ("[engine]\nrule = { value = ' ', source = 's' }", "engine.rule got ' '", "a sentence"),
        ("[neurons]\nwritten = { value = ['x1'], source = 's' }", "['x1']", "'y1', 'y2', 'y3'"),
        ("[neurons]\nwritten = { value = [[]], source = 's' }", "[[]]", "'y1', 'y2', 'y3'"),
        ("engine = 3", "engine got 3", "a table of facts"),
        ("about = 3", "about got 3", "expected text"),
        ("a = ", "is no TOML", ""),
        ("a = " + "[" * 100_000, "is no TOML", ""),
        ("title = 'twice'", "is no TOML", ""),
    ],
)
def test_bad_files(text: str, got: str, expected: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(text)
    assert got in str(refused.value)
    assert expected in str(refused.value)
    assert "mine.toml" in str(refused.value)


def test_files_without_a_name() -> None:
    with pytest.raises(RequestError, match=r"x\.toml has no name"):
        read_chip(b"title = 'a'", "x.toml")
    with pytest.raises(RequestError, match=r"x\.toml has no title"):
        read_chip(b"name = 'a'", "x.toml")
    with pytest.raises(RequestError, match="is no TOML"):
        read_chip(b"\xff", "x.toml")


@given(st.data())
def test_a_damaged_file_is_read_or_refused(data: st.DataObject) -> None:
    content = LOIHI.read_bytes()
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 40, len(content))))
    inserted = data.draw(st.binary(max_size=6) | st.sampled_from([b"", b'"', b"{", b"= 3"]))
    message = "loihi.toml"
    try:
        read_chip(content[:start] + inserted + content[end:], "loihi.toml")
    except RequestError as error:
        message = str(error)
    assert "loihi.toml" in message
    assert len(message) < 800


def test_names_and_paths(tmp_path: Path) -> None:
    assert "loihi" in known_chips()
    with pytest.raises(RequestError, match="unknown chip 'lohi'; did you mean 'loihi'"):
        chip("lohi")
    with pytest.raises(RequestError, match=r"none\.toml cannot be read: No such file"):
        chip(str(tmp_path / "none.toml"))
    with pytest.raises(RequestError, match="cannot be read"):
        chip("\0.toml")
    path = tmp_path / "mine.toml"
    path.write_text(HEAD)
    assert chip(str(path)).name == "mine"


@pytest.mark.parametrize("name", known_chips())
def test_the_chips_of_the_package(name: str) -> None:
    found = chip(name)
    assert found.name == name
    assert found.engine.grammar.known
    known = [fact for facts in found.facts().values() for fact, _ in facts.values() if fact.known]
    assert len(known) >= 5
    for fact in known:
        assert len(fact.source) > 15, fact


def test_facts_of_loihi() -> None:
    loihi = chip("loihi")
    assert (loihi.traces.pre.value, loihi.traces.post.value, loihi.traces.bits.value) == (2, 3, 7)
    assert loihi.synapses.weight_bits.value == 8
    assert loihi.memory.synapses_per_core.value == 2**20
    assert loihi.prices.update.value == 120.0
    assert loihi.prices.update.of == "Loihi"
