"""What a launcher such as `torchrun` says of the processes that it started. Imports no torch."""

import os

NEEDED = "RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"
"""Environment variables that make a process one of several."""


def launched() -> tuple[int, int]:
    """(rank, size): the number of this process, and how many were started for the program; (0, 1) by no launcher."""
    if not all(name in os.environ for name in NEEDED):
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def command(words: list[str]) -> list[str]:
    """The words of a command of onchip, as they are given to the launcher where there is one."""
    if launched()[1] == 1 or words[:1] != ["onchip"]:
        return words
    here = os.environ.get("LOCAL_WORLD_SIZE", str(launched()[1]))
    return ["torchrun", "--nproc-per-node", here, "-m", *words]
