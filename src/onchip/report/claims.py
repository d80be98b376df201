"""What the rules of records claim about the locality of their updates, in words that a reader can filter by."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from onchip.runs.record import Record

STATED = Path(__file__).parent / "stated.json"
"""What each rule states for each neuron with its usual options; `tests/report/test_claims.py` writes and checks it."""

WORDS = {
    "no_weight_transport": ("no weight transport", "without weight transport"),
    "separate_feedback": ("no symmetric feedback", "without symmetric feedback"),
    "backward_unlocked": ("no backward phase", "without a backward phase"),
    "update_unlocked": ("no update locking", "without update locking"),
    "online": ("online", "with online learning"),
    "temporally_causal": ("causal in time", "causal in time"),
    "unshared_feedback": ("unshared feedback weights", "with unshared feedback weights"),
    "batch_independent": ("independent of the batch", "independent of other samples of the batch"),
    "ternary_errors": ("ternary errors", "with ternary errors"),
}
"""Claim -> its name as a filter, and what follows `rules` in a sentence."""


def stated(record: Record) -> tuple[str, ...] | None:
    """Names of the claims that a run's rule states; None where that is not known.

    A record says it itself. Of an older one it is known if its rule has the usual options, numbers apart: which
    signals reach an update follows from a rule's parts. What may be a number or None chooses a part under some rules;
    the file names those options for which it does not.
    """
    if record.claims is not None:
        return record.claims
    usual = _usual().get(record.rule, {"options": {}, "free": [], "claims": {}})
    parts = usual["options"]
    for name, value in record.options.items():
        tuned = _is_number(value) and (_is_number(parts.get(name)) or name in usual["free"])
        if value != parts.get(name) and not tuned:
            return None
    found = usual["claims"].get(record.neuron.partition(":")[0])
    return None if found is None else tuple(found)


@cache
def _usual() -> dict[str, Any]:
    known: dict[str, Any] = json.loads(STATED.read_text(encoding="utf-8"))
    return known


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
