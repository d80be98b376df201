"""Comparisons on a chip: what a chip makes of each rule, before anything trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from onchip.chips.bits import bits_of, digest
from onchip.chips.reading import chip as chip_named
from onchip.data import Dataset, batches
from onchip.errors import RequestError, UnsupportedError
from onchip.mapping import Setting, Verdict, check, inputs_of
from onchip.mapping.verdict import UNSUPPORTED
from onchip.runs.config import RunConfig
from onchip.runs.grammar import Scalar
from onchip.runs.record import Record
from onchip.runs.request import Request
from onchip.runs.sweep_config import CHIP_RULES, SweepConfig
from onchip.training.builder import build
from onchip.training.randomness import own_randomness
from onchip.training.registry import distinct
from onchip.training.resolved import Given, resolve

__all__ = ["facts", "judged", "noted"]

SEEN = 8
"""Samples from which is seen what the layers receive."""


def judged(asked: Request, data: Dataset, given: Given = Given()) -> tuple[SweepConfig, list[str]]:
    """The comparison that was asked for, if the chip can run its rules; and why default rules are left out.

    Args:
        asked: The request, which names a chip.
        data: The data set.
        given: Objects in place of names.

    Raises:
        RequestError: There is no such chip, or a setting is wrong.
        UnsupportedError: The chip cannot run a rule; the message has the clause that forbids it. Or its synapses have
            no bits.
    """
    assert asked.chip is not None
    profile = chip_named(asked.chip)
    bits_of(profile)
    rules = [rule.label for rule in distinct(CHIP_RULES if asked.rules is None else asked.rules)]
    replace(asked.sweep(rules), chip=asked.chip)  # refuses settings that a chip has not
    fits, refused = [], {}
    for rule in rules:
        verdict = _verdict(replace(asked.base, rule=rule), asked.chip, data, given)
        if verdict.word == UNSUPPORTED:
            refused[rule] = f"{rule} is unsupported on {profile.name}: {_clauses(verdict)}"
        else:
            fits.append(rule)
    if not fits:
        raise UnsupportedError(f"{profile.name} can run none of the rules: {'; '.join(refused.values())}")
    if refused and asked.rules is not None and not asked.keep_unsupported:
        raise UnsupportedError(
            f"{'; '.join(refused.values())}. Leave {'it' if len(refused) == 1 else 'them'} out, or train "
            f"{'it' if len(refused) == 1 else 'them'} in full precision beside the others with --keep-unsupported"
        )
    kept = rules if asked.keep_unsupported else fits
    references = tuple(rule for rule in kept if rule in refused)
    sweep = replace(asked.sweep(kept), chip=asked.chip, chip_digest=digest(profile), references=references)
    return sweep, [] if asked.keep_unsupported else list(refused.values())


def facts(sweep: SweepConfig, data: Dataset, given: Given = Given()) -> dict[str, dict[str, Scalar]]:
    """For each rule of a comparison on a chip what its records say of the chip, but whether they have its bits.

    Raises:
        RequestError: The profile has changed.
    """
    if sweep.chip is None:
        return {}
    profile = chip_named(sweep.chip)
    if sweep.chip_digest != digest(profile):
        raise RequestError(f"the profile of {sweep.chip} has changed since; restore it, or begin a new comparison")
    found: dict[str, dict[str, Scalar]] = {}
    for rule in sweep.rules:
        verdict = _verdict(replace(sweep.base, rule=rule), sweep.chip, data, given)
        found[rule] = {
            "name": profile.name,
            "digest": digest(profile),
            "verdict": verdict.word,
            "clauses": _clauses(verdict),
        }
    return found


def noted(record: Record, config: RunConfig, found: Mapping[str, Mapping[str, Scalar]]) -> Record:
    """The record of a run with what `facts` found of its rule."""
    if config.rule not in found:
        return record
    return replace(record, chip={**found[config.rule], "bits": config.synapses is not None})


def _verdict(config: RunConfig, chip: str, data: Dataset, given: Given) -> Verdict:
    """What a chip makes of a rule on the network of a run."""
    with own_randomness(config):
        resolved = resolve(config, data, given)
        run = build(resolved)
        samples, _ = next(batches(resolved.data.train, SEEN, shuffle=False))
        encode, _ = resolved.encoder()
        inputs = inputs_of(run.model, run.rule, encode(samples.to(resolved.device)))
        setting = Setting(
            steps=resolved.steps or 1,
            lr=config.lr,
            optimizer=config.optimizer,
            momentum=config.momentum,
            batch_size=config.batch_size,
        )
        verdict = check(run.rule, chip_named(chip), setting=setting, inputs=inputs, label=resolved.rule.label)
        run.rule.detach()
    return verdict


def _clauses(verdict: Verdict) -> str:
    """The reasons of a verdict in one line; empty for a faithful rule."""
    reasons: Iterable[tuple[str, str]] = ((each.clause, each.text) for each in verdict.reasons)
    return "; ".join(f"{clause}: {text}" for clause, text in dict.fromkeys(reasons))
