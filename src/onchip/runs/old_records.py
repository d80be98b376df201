"""Records of format 1 under the names of today."""

import re
from typing import Any

import msgspec

from onchip._types import converted
from onchip.runs.grammar import Scalar

SETTINGS = {"rates": "lr_scaling"}
OPTIONS = {"centring": "centering"}
VALUES = {"uncentred": "uncentered"}
LEDGER = {
    "products_pull": "products_backward",
    "products_project": "products_direct",
    "products_learn": "products_feedback_update",
    "update_wait_phases": "update_locking_phases",
}


class _Renamed(msgspec.Struct):
    """What has other names today."""

    label: str
    options: dict[str, Scalar]
    settings: dict[str, Scalar]
    ledger: dict[str, Any] = {}


def modernized(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record of format 1 as those of a record of format 2; the argument does not change.

    Raises:
        ValueError: One that has another name today is missing or of the wrong type.
    """
    old: _Renamed = converted(values, _Renamed)
    settings = {SETTINGS.get(name, name): value for name, value in old.settings.items()}
    if isinstance(settings.get("rule"), str):
        settings["rule"] = _renamed(str(settings["rule"]))
    options = {
        OPTIONS.get(name, name): _renamed(value) if isinstance(value, str) else value
        for name, value in old.options.items()
    }
    ledger = {LEDGER.get(name, name): count for name, count in old.ledger.items()}
    renamed = {"label": _renamed(old.label), "options": options, "settings": settings, "ledger": ledger}
    return {**values, "format": 2, **renamed}


def _renamed(text: str) -> str:
    """A rule with its options, or the value of an option, under the names of today."""
    names = OPTIONS | VALUES
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: names[match[0]], text)
