"""Records of format 1 under the names of today."""

import re
from typing import Any

from onchip.runs.config import OLD_NAMES

OPTIONS = {"centring": "centering"}
VALUES = {"uncentred": "uncentered"}
LEDGER = {
    "products_pull": "products_backward",
    "products_project": "products_direct",
    "products_learn": "products_feedback_update",
    "update_wait_phases": "update_locking_phases",
}


def modernized(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a record of format 1 as those of a record of format 2; the argument does not change."""
    settings = {OLD_NAMES.get(name, name): value for name, value in values["settings"].items()}
    if isinstance(settings.get("rule"), str):
        settings["rule"] = _renamed(settings["rule"])
    options = {
        OPTIONS.get(name, name): _renamed(value) if isinstance(value, str) else value
        for name, value in values["options"].items()
    }
    ledger = {LEDGER.get(name, name): count for name, count in values.get("ledger", {}).items()}
    renamed = {"label": _renamed(values["label"]), "options": options, "settings": settings, "ledger": ledger}
    return {**values, "format": 2, **renamed}


def _renamed(text: str) -> str:
    """A rule with its options, or the value of an option, under the names of today."""
    names = OPTIONS | VALUES
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: names[match[0]], text)
