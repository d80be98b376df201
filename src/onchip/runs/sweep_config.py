"""The settings of a comparison: those that its runs share, its rules and seeds, and the chip whose bits they use."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onchip._types import decoded
from onchip.errors import DataError, RequestError
from onchip.runs.config import RunConfig, check, from_mapping, typed
from onchip.runs.seal import sealed, unsealed
from onchip.runs.shards import parse_shard, share

SEEDS = 3
"""Number of seeds of a comparison that names none: 0, 1, 2."""

RULES = ("bp", "ottt", "fbp", "fa", "dfa")
"""Rules of a comparison that names none: one for each way to bring an error to a layer."""

STREAM_RULES = ("bp", "ssnn_bp", "own_noise_mirror", "fa")
"""The same for neurons that send random spike trains."""

CHIP_RULES = ("dfa", "drtp", "decolle", "eprop", "fa:temporal=online", "s-tllr:feedback=dfa")
"""The same for a comparison on a chip: rules that transport no weights and whose feedback does not learn."""

PLAIN_DESCENT: dict[str, Any] = {
    "optimizer": "sgd",
    "momentum": 0.0,
    "weight_decay": 0.0,
    "precision": "float32",
    "clip": None,
    "chunk": None,
    "synapses": None,
}
"""Settings of a comparison on a chip, where nothing but the rule's update reaches a weight."""

CHIP = "chip:"
"""What the text of synapses with the bits of a chip begins with, in a comparison on a chip."""

ON_CHIP = {**PLAIN_DESCENT, "batch_size": 1, "lr": 0.05}
"""Settings of such a comparison that are not given."""


@dataclass(frozen=True)
class SweepConfig:
    """A comparison: every rule under every seed, all else equal.

    Args:
        base: the settings that the runs share; its rule and seed are not used.
        rules: the rules, each with its options.
        seeds: the seeds.
        keep_weights: whether the final weights of each run are stored.
        chip: a chip, with whose bits each rule is trained, and in full precision beside it; None for full precision.
        chip_digest: SHA-256 of what the chip's profile says.
        references: rules that the chip cannot run, which are trained in full precision only.
        shard: (i, n) for part i, from 0, of n parts of the runs; None for all.

    Raises:
        RequestError: no rule, no seed, or one of them twice; or settings that a chip has not; or a part without a run.
    """

    base: RunConfig
    rules: tuple[str, ...]
    seeds: tuple[int, ...]
    keep_weights: bool = False
    chip: str | None = None
    chip_digest: str | None = None
    references: tuple[str, ...] = ()
    shard: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, value in PLAIN_DESCENT.items() if self.chip is not None else ():
            got = getattr(self.base, name)
            check(name, got, got == value, f"{'none' if value is None else value} with chip, which has plain descent")
        for what, values in (("rules", self.rules), ("seeds", self.seeds)):
            if not values:
                raise RequestError(f"a comparison got no {what}; expected at least one")
            twice = [value for value in values if list(values).count(value) > 1]
            if twice:
                raise RequestError(f"{what} names {twice[0]!r} twice; name it once")
        if self.shard is not None and not self.runs():
            raise RequestError(f"shard {self.shard[0]}/{self.shard[1]} has no run: there are {len(self.grid())} in all")

    def runs(self) -> list[RunConfig]:
        """The settings of every run, those of other shards apart, in the order of `grid`."""
        grid = self.grid()
        if self.shard is None:
            return grid
        return [grid[place] for place in share([(run.rule, run.synapses) for run in grid], self.shard)]

    def grid(self) -> list[RunConfig]:
        """The settings of every run, seed by seed, so that an interrupted comparison has results of each rule."""
        runs = [dataclasses.replace(self.base, rule=rule, seed=seed) for seed in self.seeds for rule in self.rules]
        return runs if self.chip is None else [each for run in runs for each in self._precisions(run, self.chip)]

    def _precisions(self, run: RunConfig, chip: str) -> list[RunConfig]:
        """A run in full precision, and before it the same with the bits of the chip."""
        on_chip = dataclasses.replace(run, synapses=f"{CHIP}{chip}")
        return [run] if run.rule in self.references else [on_chip, run]

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain values, as `run.json` stores it."""
        shared = dataclasses.asdict(self.base)
        del shared["rule"], shared["seed"]
        chip: dict[str, Any] = {}
        if self.chip is not None:
            chip = {"chip": self.chip, "chip_digest": self.chip_digest, "references": list(self.references)}
        shard: dict[str, Any] = {} if self.shard is None else {"shard": "{}/{}".format(*self.shard)}
        return {
            "rules": list(self.rules),
            "seeds": list(self.seeds),
            "keep_weights": self.keep_weights,
            **chip,
            **shard,
            **shared,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SweepConfig:
        """The comparison that `to_dict` wrote.

        Raises:
            RequestError: a setting is unknown, missing or of the wrong type.
        """
        rest = dict(values)
        rules = typed("rules", rest.pop("rules", None), tuple[str, ...])
        seeds = typed("seeds", rest.pop("seeds", None), tuple[int, ...])
        keep_weights = typed("keep_weights", rest.pop("keep_weights", False), bool)
        chip = typed("chip", rest.pop("chip", None), str | None)
        digest = typed("chip_digest", rest.pop("chip_digest", None), str | None)
        references = typed("references", rest.pop("references", []), tuple[str, ...])
        shard = rest.pop("shard", None)
        parsed = None if shard is None else parse_shard(shard)
        return cls(from_mapping(rest), rules, seeds, keep_weights, chip, digest, references, parsed)

    def to_json(self) -> str:
        """The content of `run.json`: the comparison and the digest of its values."""
        return json.dumps(sealed(self.to_dict()), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: bytes | str) -> SweepConfig:
        """The comparison that `to_json` wrote.

        Raises:
            DataError: The text is no JSON, was changed after it was written, or a setting is unknown, missing or of
                the wrong type.
        """
        try:
            return cls.from_dict(unsealed(decoded(text, dict[str, Any])))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{error!s:.400}") from error
