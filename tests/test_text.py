from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from onchip._text import one_line, printable


@given(st.text())
def test_nothing_unseen_is_left(text: str) -> None:
    for line in printable(text).split("\n"):
        assert all(character.isprintable() or character in "\u00a0\u3000" or character.isspace() for character in line)
        assert not {*line} & {*map(chr, [*range(32), *range(0x7F, 0xA0), 0x200E, 0x202E, 0x2028])}
    assert "\n" not in one_line(text)


@given(st.text())
def test_json_stays_the_same(text: str) -> None:
    line = json.dumps({"label": text}, ensure_ascii=False)
    assert json.loads(printable(line)) == {"label": text}


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_seen_stays(text: str) -> None:
    assert printable(text) == text
