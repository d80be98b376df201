"""Makes the embedded file of the data set `japanese-vowels` from the two text files of the UEA archive.

    python experiments/embed_japanese_vowels.py FOLDER

FOLDER holds `JapaneseVowels_TRAIN.ts` and `JapaneseVowels_TEST.ts`. The docstring of
`onchip.data.datasets.japanese_vowels` says what is stored.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from onchip._files import write_whole
from onchip.data.datasets.japanese_vowels import FILE, UNIT
from onchip.data.readers.ts import read_ts


def made(folder: Path) -> bytes:
    """The content of the embedded file."""
    parts = [read_ts(folder / f"JapaneseVowels_{part}.ts") for part in ("TRAIN", "TEST")]
    values = [one for part in parts for one in part.values]
    numbers = np.concatenate(values) / UNIT
    whole = np.round(numbers).astype(np.int32)
    if np.abs(numbers - whole).max() > 1e-3:
        raise SystemExit("the text has more than six digits after the point; the file would not be exact")
    content = io.BytesIO()
    np.savez_compressed(
        content,
        values=whole,
        lengths=np.array([len(one) for one in values], dtype=np.uint8),
        labels=np.array([label for part in parts for label in part.labels], dtype=np.uint8),
    )
    return content.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write_whole(FILE, made(Path(sys.argv[1])))
    print(f"{FILE}: {FILE.stat().st_size:,} bytes")
