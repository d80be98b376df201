"""The gallery: a page for each rule, made from its docstring, its description, its certificate and records."""

from __future__ import annotations

from onchip import rules


def gallery() -> dict[str, str | bytes]:
    """The pages of the rules by their path in the site."""
    return {f"rules/{name}.md": f"# `{name}`\n\n::: onchip.rules.{name}\n" for name in rules.__all__}
