"""A picture of the flow of information under a rule, drawn from its description and its certificate."""

from __future__ import annotations

from collections.abc import Sequence

from drawing import Drawing
from onchip.learning.description import ErrorPath, RuleDescription

HISTORY = {
    "none": "keeps nothing of the past",
    "traces": "keeps a trace per neuron",
    "state per synapse": "keeps a state per synapse",
    "whole sequence": "keeps the whole sequence",
    "spike times": "keeps spike times",
}
WEIGHTS = {
    "nothing": "",
    "forward weights": "{w}ᵀ",
    "signs": "sign({w})ᵀ",
    "refreshed copy": "{b}ᵀ, a copy",
    "fixed weights": "{b}, fixed",
    "learned weights": "{b}, learned",
    "estimate": "{b}, estimated",
    "noise": "· noise",
}
"""What errors pass through, by `ErrorPath.through`; {w} and {b} stand for forward and feedback weights."""

LAYERS = ("layer 1", "layer 2", "read-out")
TOPS = (330, 210, 90)
LEFT, WIDTH, HEIGHT = 20, 190, 54
ERRORS, BUS = 270, 402


def flow(description: RuleDescription, needed: Sequence[str]) -> Drawing:
    """The picture for a chain of two hidden layers, from the input at the bottom to the loss at the top.

    Args:
        description: of the rule on such a chain.
        needed: what else the update of the first layer depends on, as an audit found.
    """
    drawing = Drawing(430, 502, f"Flow of information under {description.rule}")
    middle = LEFT + WIDTH / 2
    for depth, (name, top) in enumerate(zip(LAYERS, TOPS, strict=True)):
        synapse = description.synapses[depth]
        drawing.box(LEFT, top, WIDTH, HEIGHT, [name, HISTORY[synapse.update.history]])
        drawing.arrow([(middle, top + HEIGHT + 66), (middle, top + HEIGHT + 2)], "forward")
        drawing.text(middle - 8, top + HEIGHT + 33, f"W{'₁₂₃'[depth]}", "forward", anchor="end")
        drawing.box(ERRORS, top + 9, 50, 36, [f"δ{'₁₂₃'[depth]}"], "error")
        drawing.arrow([(ERRORS, top + 27), (LEFT + WIDTH + 2, top + 27)], "error")
    drawing.text(middle, TOPS[0] + HEIGHT + 72, "input")
    drawing.text(LEFT, 472, "An update of layer 1 also depends on", "quiet", anchor="start", size=11)
    drawing.text(LEFT, 488, ", ".join(needed) or "nothing else", anchor="start", size=11)
    _top(drawing, description)
    for depth in (0, 1):
        for path in description.synapses[depth].paths:
            _error(drawing, path, depth)
    if description.noise:
        for top in TOPS[:2]:
            drawing.text(LEFT + WIDTH - 4, top - 12, "+ noise", "noise", anchor="end")
    return drawing


def _top(drawing: Drawing, description: RuleDescription) -> None:
    middle = LEFT + WIDTH / 2
    drawing.arrow([(middle, TOPS[2]), (middle, 48)], "forward")
    drawing.box(LEFT, 12, WIDTH, 34, ["output error"], "error")
    drawing.arrow([(LEFT + WIDTH, 29), (ERRORS + 25, 29), (ERRORS + 25, TOPS[2] + 7)], "error")
    origins = {path.origin for synapse in description.synapses[:-1] for path in synapse.paths}
    if "output error" in origins:
        drawing.curve([(ERRORS + 25, 29), (BUS, 29)], "error")
    elif origins & {"target", "loss"}:
        drawing.box(BUS - 50, 12, 74, 34, sorted(origins & {"target", "loss"}), "error")


def _error(drawing: Drawing, path: ErrorPath, depth: int) -> None:
    """How an error comes to the neurons of a hidden layer."""
    top, above = TOPS[depth], TOPS[depth + 1]
    weights = WEIGHTS[path.through]
    if path.origin == "layer above":
        text = weights.format(w=f"W{'₂₃'[depth]}", b=f"B{'₂₃'[depth]}")
        drawing.arrow([(ERRORS + 25, above + 45), (ERRORS + 25, top + 7)], "error")
        gap = (above + top + HEIGHT) / 2  # half way between the layers
        drawing.text(ERRORS + 33, gap, text, "error", anchor="start")
        _transport(drawing, path, gap + 4)
        _learns(drawing, path, gap + 15)
    elif path.origin == "local read-out":
        drawing.box(ERRORS + 70, top + 9, 82, 36, ["local", "read-out"], "error")
        drawing.arrow([(ERRORS + 70, top + 27), (ERRORS + 52, top + 27)], "error")
        drawing.arrow(
            [
                (LEFT + WIDTH - 20, top),
                (LEFT + WIDTH - 20, top - 14),
                (ERRORS + 111, top - 14),
                (ERRORS + 111, top + 7),
            ],
            "forward",
        )
        drawing.text(ERRORS + 111, top + 57, weights.format(w="", b="R" + "₁₂"[depth]), "error")
    else:
        drawing.arrow(
            [(BUS, 46 if path.origin != "output error" else 29), (BUS, top + 27), (ERRORS + 52, top + 27)], "error"
        )
        text = weights.format(w="", b=f"{'F' if path.through != 'estimate' else 'M'}{'₁₂'[depth]}")
        drawing.text(BUS - 6, top + 55, text, "error", anchor="end")
        _learns(drawing, path, top + 70, direct=True)


def _transport(drawing: Drawing, path: ErrorPath, height: float) -> None:
    """The copy of forward weights into the feedback."""
    if path.period is None and not path.copied:
        return
    often = "once" if path.period is None else "every step" if path.period == 1 else f"every {path.period:g} steps"
    what = {"": "copied", "all weights": "copied", "the sign of each weight": "signs,"}.get(path.scheme, "in part,")
    start = LEFT + WIDTH / 2 + 6
    drawing.arrow([(start, height), (ERRORS + 19, height)], "transport", dashed=True)
    drawing.text((start + ERRORS + 19) / 2, height - 10, f"{what} {often}", "transport")


def _learns(drawing: Drawing, path: ErrorPath, height: float, *, direct: bool = False) -> None:
    for number, way in enumerate(path.learning):
        x, anchor = (BUS - 6, "end") if direct else (ERRORS + 33, "start")
        drawing.text(x, height + 15 * number, SHORT[way.by], "noise", anchor=anchor, size=11)


SHORT = {
    "same update": "by the same update",
    "error times activity": "by error × activity",
    "response to noise": "from responses to noise",
    "noise phase": "in a noise phase",
    "response to spikes": "from spikes' randomness",
}
"""How feedback weights learn, in few words."""
