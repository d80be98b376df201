"""What a shell completes: names of rules, networks and so on, read from lists of exports without importing torch."""

import ast
from collections.abc import Callable, Sequence
from pathlib import Path

from onchip.runs.grammar import command_name

Complete = Callable[[str], list[str]]

SOURCE = Path(__file__).parents[2]
EXPORTS = {
    "rule": "rules/__init__.py",
    "net": "models/__init__.py",
    "neuron": "nn/neurons/__init__.py",
    "encoder": "encoding.py",
    "synapses": "devices/__init__.py",
    "data": "data/datasets/__init__.py",
}
"""Where the names are that an option or an argument takes, by its name."""


def names(option: str, choices: Sequence[str] = ()) -> Complete:
    """What completes an option, and in a list with commas the last of its values.

    Args:
        option: The option, of `EXPORTS` or not.
        choices: The values that it takes, if it is not of `EXPORTS`.
    """

    def complete(typed: str) -> list[str]:
        before, comma, last = typed.rpartition(",")
        known = _exported(option) if option in EXPORTS else choices
        return [f"{before}{comma}{name}" for name in known if name.startswith(last)]

    return complete


def _exported(option: str) -> list[str]:
    for node in ast.parse((SOURCE / EXPORTS[option]).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return sorted(command_name(name) for name in ast.literal_eval(node.value))
    return []
