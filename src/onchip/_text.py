"""Text from names and files of others, before it reaches a terminal, a page or a spreadsheet."""

import json
import re
import unicodedata


def printable(text: str) -> str:
    r"""The text with every character that is not itself seen, such as one that moves the cursor, as JSON escapes it.

    Ends of lines stay, and so do spaces. JSON stays the same JSON.

    Example:
        >>> print(printable("a\x1b[2Jb"))
        a\u001b[2Jb
    """
    return re.sub(r"[^\x20-\x7e\n]", lambda found: found[0] if _is_seen(found[0]) else json.dumps(found[0])[1:-1], text)


def one_line(text: str) -> str:
    """The text with single spaces in place of ends of lines and other white space, and otherwise `printable`."""
    return printable(" ".join(text.split()))


def inert(text: str) -> str:
    """Text that no spreadsheet takes for a formula, also one that splits lines at semicolons."""
    return re.sub(r"(^|;)(?=\s*[-=+@＝＋－＠].)", r"\1'", one_line(text))


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
