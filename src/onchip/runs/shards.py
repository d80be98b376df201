"""Parts of a sweep, for arrays of jobs that know nothing of each other."""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

from onchip.errors import RequestError

MOST = 100_000


def parse_shard(text: Any) -> tuple[int, int]:
    """Part i of n, from text such as `0/4`.

    Raises:
        RequestError: It is no such text.

    Example:
        >>> parse_shard("0/4")
        (0, 4)
    """
    numbers = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(\d{1,6})\s*", text, re.ASCII) if isinstance(text, str) else None
    part, parts = (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)
    if not part < parts <= MOST:
        raise RequestError(
            f"shard got {text!r:.40}; expected i/n with i from 0 to n-1, such as 0/4, 1/4, 2/4 and 3/4 for four parts"
        )
    return part, parts


def share(kinds: Sequence[Hashable], shard: tuple[int, int]) -> list[int]:
    """Places of the runs of a part: every n-th from the i-th, counted kind by kind, so that each part has about as many
    of each kind.

    Args:
        kinds: The kind of each run.
        shard: Part i, from 0, of n.

    Example:
        >>> share(["bp", "dfa", "bp", "dfa"], (0, 2))
        [0, 1]
    """
    part, parts = shard
    order = list(dict.fromkeys(kinds))
    by_kind = sorted(range(len(kinds)), key=lambda place: order.index(kinds[place]))
    return sorted(by_kind[part::parts])


def shard_folder(parent: Path, shard: tuple[int, int]) -> Path:
    """The folder of a part, in the folder that all parts share."""
    return parent / "shard-{}-of-{}".format(*shard)
