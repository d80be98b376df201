"""SVG files made ready to stand inside one HTML page, side by side and in the page's colors."""

from __future__ import annotations

import re
from xml.etree import ElementTree

__all__ = ["inline"]

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"


def inline(content: bytes, prefix: str, name: str) -> str:
    """An `<svg>` element for an HTML page.

    Args:
        content: an SVG file that this package has drawn.
        prefix: put before every id, so that ids of several drawings differ.
        name: what the drawing shows, for readers who do not see it.
    """
    root = ElementTree.fromstring(content)
    for unused in root.findall(f"{{{SVG}}}metadata"):
        root.remove(unused)
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, _renamed(key, value, prefix))
    del root.attrib["width"], root.attrib["height"]  # the page decides; the view box keeps the proportions
    root.set("role", "img")
    root.set("aria-label", name)
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", LINK)
    return ElementTree.tostring(root, encoding="unicode")


def _renamed(key: str, value: str, prefix: str) -> str:
    if key == "id":
        return prefix + value
    if key == f"{{{LINK}}}href":
        return value.replace("#", f"#{prefix}", 1)
    if key in ("d", "x", "y"):
        return re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", value)  # no screen shows more
    return value.replace("url(#", f"url(#{prefix}").replace("#000000", "currentColor")  # black, or white when dark
