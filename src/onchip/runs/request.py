"""From options given in several places to one request."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from onchip.errors import RequestError
from onchip.runs.code import SETTINGS, pinned
from onchip.runs.config import RunConfig, from_mapping
from onchip.runs.grammar import grid
from onchip.runs.shards import parse_shard
from onchip.runs.sweep_config import ON_CHIP, SEEDS, SweepConfig


@dataclass(frozen=True)
class Request:
    """What is asked for before the data set is read.

    Args:
        base: The settings that the runs share.
        rules: The rules; None for all that can train.
        seeds: The seeds.
        keep_weights: Whether the final weights of each run are stored.
        chip: The chip on which the rules are compared; None for none.
        keep_unsupported: Whether rules that the chip cannot run are trained in full precision, not refused.
        shard: (i, n) for part i of n of the runs; None for all.
    """

    base: RunConfig
    rules: list[str] | None
    seeds: tuple[int, ...]
    keep_weights: bool
    chip: str | None = None
    keep_unsupported: bool = False
    shard: tuple[int, int] | None = None

    def sweep(self, rules: Iterable[str]) -> SweepConfig:
        """The comparison of these rules, without a chip, and of all its parts."""
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
    chip, references = settings.pop("chip", None), settings.pop("references", [])
    shard = settings.pop("shard", None)
    settings.pop("chip_digest", None)  # of an earlier run; today's is that of the file as it is
    keep_weights = _switch(settings, "keep_weights", default=False)
    keep_unsupported = _switch(settings, "keep_unsupported", default=bool(references))
    if chip is None and keep_unsupported:
        raise RequestError("keep-unsupported needs chip, on which rules are judged; leave it out")
    if chip is not None:
        if not isinstance(chip, str):
            raise RequestError(f"chip got {chip!r:.40}; expected a name, or a path that ends with .toml")
        settings = {**ON_CHIP, **settings}
    if isinstance(rules, str):
        rules = [rules]
    if rules is not None and not (isinstance(rules, list) and all(isinstance(rule, str) for rule in rules)):
        raise RequestError(f"rules got {rules!r}; expected text, or a list of texts")
    calls = rules and [call for text in rules for call in grid(text)]
    part = None if shard is None else parse_shard(shard)
    return Request(from_mapping(settings), calls, _seeds(seeds), keep_weights, chip, keep_unsupported, part)


def _switch(settings: dict[str, Any], name: str, *, default: bool) -> bool:
    value = settings.pop(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name.replace('_', '-')} got {value!r}; expected true or false")
    return value


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
