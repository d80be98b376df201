"""From options given in several places to one request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from onchip.errors import RequestError
from onchip.runs.code import SETTINGS, pinned
from onchip.runs.config import SEEDS, RunConfig, SweepConfig, from_mapping
from onchip.runs.grammar import grid


@dataclass(frozen=True)
class Request:
    """What is asked for before the data set is read.

    Args:
        base: The settings that the runs share.
        rules: The rules; None for all that can train.
        seeds: The seeds.
        keep_weights: Whether the final weights of each run are stored.
    """

    base: RunConfig
    rules: list[str] | None
    seeds: tuple[int, ...]
    keep_weights: bool

    def sweep(self, rules: Iterable[str]) -> SweepConfig:
        """The comparison of these rules."""
        return SweepConfig(self.base, tuple(rules), self.seeds, self.keep_weights)


def combined(options: Mapping[str, Any]) -> Request:
    """Combine options, by their names in `SweepConfig.to_dict`. Names of code get the digest of their file.

    Raises:
        RequestError: An option of the wrong type, or out of range; or a file of code that cannot be read.
    """
    settings = dict(options)
    for name in SETTINGS:
        if isinstance(settings.get(name), str):
            settings[name] = pinned(settings[name])
    rules, seeds = settings.pop("rules", None), settings.pop("seeds", SEEDS)
    keep_weights = settings.pop("keep_weights", False)
    if not isinstance(keep_weights, bool):
        raise RequestError(f"keep-weights got {keep_weights!r}; expected true or false")
    if isinstance(rules, str):
        rules = [rules]
    if rules is not None and not (isinstance(rules, list) and all(isinstance(rule, str) for rule in rules)):
        raise RequestError(f"rules got {rules!r}; expected text, or a list of texts")
    calls = rules and [call for text in rules for call in grid(text)]
    return Request(from_mapping(settings), calls, _seeds(seeds), keep_weights)


def _seeds(seeds: Any) -> tuple[int, ...]:
    """Seeds from their number, from text (a number of them, or commas between), or from a list."""
    if isinstance(seeds, str):
        pieces = seeds.split(",")
        if not all(piece.strip().isdecimal() for piece in pieces):
            raise RequestError(f"seeds got {seeds!r}; expected how many, such as 3, or seeds such as 0,7")
        seeds = int(seeds) if len(pieces) == 1 else [int(piece) for piece in pieces]
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if not 1 <= seeds <= 1000:
            raise RequestError(f"seeds got {seeds}; expected 1 to 1000 of them")
        return tuple(range(seeds))
    if not (isinstance(seeds, list) and all(isinstance(seed, int) for seed in seeds)):
        raise RequestError(f"seeds got {seeds!r}; expected a whole number, or a list of them")
    return tuple(seeds)
