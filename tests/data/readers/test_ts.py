"""The text format of the UEA archive: what a file says, and what is wrong with one that is damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onchip.data.readers.ts import read_ts
from onchip.errors import DataError

TEXT = """#A comment: with a colon
@problemName Small
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength false
@classLabel true a b

@data
1,2.5,-3e-1:4,5,6:b
0.25:-1:a
7,8:9,10:b
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_lines_are_sequences_of_channels_and_a_class(tmp_path: Path) -> None:
    series = read_ts(written(tmp_path / "a.ts", TEXT))
    assert series.classes == ("a", "b")
    assert series.labels == (1, 0, 1)
    expected: list[list[list[float]]] = [[[1, 4], [2.5, 5], [-0.3, 6]], [[0.25, -1]], [[7, 9], [8, 10]]]
    assert all(np.array_equal(got, wanted) for got, wanted in zip(series.values, expected, strict=True))


def test_one_channel_is_a_sequence_too(tmp_path: Path) -> None:
    text = TEXT.replace("@dimensions 2\n", "").split("@data")[0] + "@data\n1,2:a\n3:b\n"
    assert [value.shape for value in read_ts(written(tmp_path / "a.ts", text)).values] == [(2, 1), (1, 1)]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("4,5,6:b", "4,5:b", "line 11: got 2 time steps in channel 2; expected 3, as in channel 1"),
        ("4,5,6:b", "4,5,6", "line 11: got class '4,5,6'; expected one of a, b, after the last colon"),
        ("4,5,6:b", "4,5,6:c", "line 11: got class 'c'; expected one of a, b"),
        ("4,5,6:b", "4,,6:b", "line 11: got '4,,6' in channel 2; expected numbers"),
        ("4,5,6:b", "4,?,6:b", r"line 11: got '4,\?,6' in channel 2; expected numbers"),
        ("4,5,6:b", "4,nan,6:b", "line 11: got NaN or infinity in channel 2"),
        ("4,5,6:b", "4,1e999,6:b", "line 11: got NaN or infinity in channel 2"),
        ("0.25:-1:a", "0.25:a", "line 12: got 1 channels; expected 2, as in the lines above"),
        ("0.25:-1:a", "a", "line 12: got no channel; expected numbers before the class"),
        ("7,8:9,10:b\n", "7,8:9,1", "line 13: got class '9,1'; expected one of a, b"),
        ("@missing false", "@missing true", "line 4: got @missing true; expected no missing values"),
        (
            "@timeStamps false",
            "@timeStamps true",
            "line 3: got @timeStamps true; expected sequences without time stamps",
        ),
        ("@dimensions 2", "@dimensions 3", "has sequences of 2 channels; expected the 3 that it states"),
        ("@classLabel true a b", "@classLabel false", "names no classes"),
        ("@classLabel true a b", "@classLabel true a a", "names no classes"),
        ("@classLabel true a b", "", "names no classes"),
        ("@problemName Small", "PK\3\4", "line 2: got .*; expected a line that begins with # or @"),
        ("@data", "", "line 11: got '1,2.5,-3e-1:4,5,6:b'; expected a line that begins with # or @ before @data"),
        (TEXT[TEXT.index("@data") :], "", "has no line @data"),
        (TEXT[TEXT.index("1,2.5") :], "", "holds no sequence"),
        (TEXT, "", "has no line @data"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, before: str, after: str, said: str) -> None:
    assert TEXT.count(before) == 1
    path = written(tmp_path / "a.ts", TEXT.replace(before, after))
    with pytest.raises(DataError, match=f"{path}.*{said}"):
        read_ts(path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_bytes(b"@data\n\xff\xfe")
    with pytest.raises(DataError, match="is no text in UTF-8"):
        read_ts(tmp_path / "a.ts")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_ts(tmp_path / "b.ts")
