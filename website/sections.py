"""Headed sections of our docstrings, `Limit:`, `Cost:` and `Reference:`, which mkdocstrings does not know."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"^(Limit|Cost|Reference|References): (.*(?:\n +.*)*)", re.MULTILINE)


class Sections(Extension):  # type: ignore[misc]
    """Writes them as paragraphs that begin with a bold word."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = SECTION.sub(_paragraph, obj.docstring.value).replace("Example:\n", "Examples:\n")


def _paragraph(section: re.Match[str]) -> str:
    return f"\n**{section[1]}.** " + re.sub(r"\n +", " ", section[2])
