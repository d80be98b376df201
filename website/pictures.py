"""The pictures of docs/concepts, drawn anew by `python website/pictures.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from drawing import Drawing

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "concepts"
STEPS = 24
INPUT = [1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
"""Spikes of one input, by time step."""

DECAY, THRESHOLD, WEIGHT = 0.8, 1.0, 0.7


def questions() -> Drawing:
    """The three questions, at the place in the network where each is asked."""
    drawing = Drawing(430, 250, "The weight of a synapse, its input, and the error at the neuron behind it")
    drawing.box(10, 150, 110, 54, ["input x[t]", "and its past"], "forward")
    drawing.box(185, 150, 90, 54, ["neuron"])
    drawing.arrow([(120, 177), (183, 177)], "forward")
    drawing.text(151, 164, "W", "forward")
    drawing.arrow([(275, 177), (420, 177)], "forward")
    drawing.box(165, 60, 130, 40, ["error δ[t]"], "error")
    drawing.arrow([(230, 100), (230, 148)], "error")
    drawing.arrow([(420, 80), (297, 80)], "error")
    drawing.text(230, 20, "ΔW = sum over t of δ[t] ⊗ x̂[t]", size=14)
    drawing.text(360, 64, "1: from where?", "error")
    drawing.text(65, 222, "2: what of the past?", "forward")
    drawing.text(230, 48, "3: in which code?", "error")
    return drawing


def membrane() -> tuple[list[float], list[int]]:
    """Potential and spikes of a leaky integrate-and-fire neuron that gets `INPUT`."""
    u, spikes, potentials = 0.0, [], []
    for x in INPUT:
        u = DECAY * u + WEIGHT * x
        potentials.append(u)
        spikes.append(int(u >= THRESHOLD))
        u -= THRESHOLD * spikes[-1]
    return potentials, spikes


def signals() -> Drawing:
    """A neuron over time, and the three kinds of signals that neurons send."""
    drawing = Drawing(430, 300, "Input spikes, the membrane potential, and what three kinds of neurons send")
    potentials, spikes = membrane()
    _row(drawing, 30, "input spikes", INPUT, "forward")
    drawing.text(10, 92, "membrane", anchor="start")
    _graph(drawing, 120, 45, [value / 1.4 for value in potentials], "ink")
    drawing.curve([(110, 120 - 45 / 1.4), (420, 120 - 45 / 1.4)], "quiet", dashed=True)
    drawing.text(420, 120 - 45 / 1.4 - 9, "threshold θ", "quiet", anchor="end", size=11)
    _row(drawing, 160, "time steps", spikes, "forward")
    drawing.text(10, 178, "LIF", "quiet", anchor="start", size=11)
    first = spikes.index(1)
    _row(drawing, 210, "spike time", [int(t == first) for t in range(STEPS)], "forward")
    drawing.text(10, 228, "TTFS", "quiet", anchor="start", size=11)
    chance = [int((7 * t) % 10 < 4) for t in range(STEPS)]
    _row(drawing, 260, "spike train", chance, "forward")
    drawing.text(10, 278, "Stochastic", "quiet", anchor="start", size=11)
    return drawing


def feedback() -> Drawing:
    """Four ways of an error to a hidden layer."""
    drawing = Drawing(430, 300, "Errors pass from layer to layer, directly from the output, from a target, or locally")
    for index, title in enumerate(("layer by layer", "direct", "target", "local")):
        x = 12 + 106 * index
        drawing.text(x + 45, 16, title, size=13)
        for top in (60, 140, 220):
            drawing.box(x, top, 52, 32, ["out" if top == 60 else "layer"])
        for top in (220, 140):
            drawing.arrow([(x + 26, top), (x + 26, top - 46)], "forward")
        drawing.arrow([(x + 26, 290), (x + 26, 254)], "forward")
        if title == "layer by layer":
            drawing.arrow([(x + 54, 76), (x + 80, 76), (x + 80, 156), (x + 54, 156)], "error")
            drawing.arrow([(x + 80, 156), (x + 80, 236), (x + 54, 236)], "error")
        elif title == "local":
            for top in (140, 220):
                drawing.box(x + 66, top + 4, 24, 24, ["R"], "error")
                drawing.arrow([(x + 66, top + 16), (x + 54, top + 16)], "error")
        else:
            start = 76 if title == "direct" else 40
            if title == "target":
                drawing.text(x + 80, 34, "label", "error")
            left = [(x + 54, 76)] if title == "direct" else []
            drawing.arrow([*left, (x + 80, start), (x + 80, 156), (x + 54, 156)], "error")
            drawing.arrow([(x + 80, 156), (x + 80, 236), (x + 54, 236)], "error")
    return drawing


def transport() -> Drawing:
    """When forward weights are sent to the feedback weights, and how many of them."""
    drawing = Drawing(430, 230, "Weights sent per training step under backpropagation and under three schedules")
    rows: list[tuple[str, Callable[[int], float]]] = [
        ("bp: all, always", lambda step: 1.0),
        ("every 8 steps", lambda step: float(step % 8 == 7)),
        ("a tenth, every 4", lambda step: 0.1 * (step % 4 == 3)),
        ("never", lambda step: 0.0),
    ]
    for index, (title, share) in enumerate(rows):
        base = 48 + 50 * index
        drawing.text(10, base - 10, title, anchor="start")
        drawing.curve([(130, base), (420, base)], "quiet")
        for step in range(STEPS):
            if share(step):
                x = 136 + 12 * step
                drawing.arrow([(x, base), (x, base - 30 * share(step))], "transport", head=False)
    drawing.text(275, 216, "training steps", "quiet")
    return drawing


def past() -> Drawing:
    """A presynaptic trace, and the updates that an error makes with it."""
    drawing = Drawing(430, 260, "Input spikes, their trace, an error over time, and the contributions to the update")
    trace, value = [], 0.0
    for x in INPUT:
        value = DECAY * value + x
        trace.append(value)
    error = [math.sin(0.55 * t) for t in range(STEPS)]
    _row(drawing, 30, "input x[t]", INPUT, "forward")
    drawing.text(10, 80, "trace x̂[t]", anchor="start")
    _graph(drawing, 96, 16, trace, "forward")
    drawing.text(10, 150, "error δ[t]", anchor="start")
    _graph(drawing, 150, 20, error, "error")
    drawing.text(10, 220, "δ[t] x̂[t]", anchor="start")
    for t, (one, other) in enumerate(zip(trace, error, strict=True)):
        x = 116 + 13 * t
        if abs(one * other) > 0.05:
            drawing.arrow([(x, 220), (x, 220 - 15 * one * other)], "ink", head=False)
    drawing.curve([(110, 220), (420, 220)], "quiet")
    return drawing


def codes() -> Drawing:
    """One error as real numbers, as signed spikes, and at random time steps."""
    drawing = Drawing(430, 230, "An error over time as real numbers, as signed spikes, and at random time steps")
    error = [math.sin(0.4 * t + 0.4) for t in range(STEPS)]
    spikes, left = [], 0.0
    for value in error:  # what is left over is sent later
        left += value
        spikes.append(int(abs(left) >= 1) * int(math.copysign(1, left)))
        left -= spikes[-1]
    some = [value if (7 * t) % 10 < 4 else 0.0 for t, value in enumerate(error)]
    for base, title, values in ((45, "real numbers", error), (115, "spikes", spikes), (190, "random steps", some)):
        drawing.text(10, base, title, anchor="start")
        drawing.curve([(110, base), (420, base)], "quiet")
        for t, value in enumerate(values):
            if abs(value) > 0.02:
                x = 116 + 13 * t
                drawing.arrow(
                    [(x, base), (x, base - (25 if title != "random steps" else 12) * value)], "error", head=False
                )
    return drawing


PLANS = {
    "bp": ({0: "F", 5: "U"}, {1: "F", 4: "E, U"}, {2: "F", 3: "E, U"}),
    "dfa": ({0: "F", 3: "E", 4: "U"}, {1: "F", 3: "E", 4: "U"}, {2: "F", 3: "U"}),
    "local_learning": ({0: "F", 1: "R", 2: "E", 3: "U"}, {1: "F", 2: "R", 3: "E", 4: "U"}, {2: "F", 3: "U"}),
}
"""What each of three layers does in which phase: forward, local read-out, error to layers below, update."""


def locking() -> Drawing:
    """What happens when in a training step of three layers."""
    drawing = Drawing(430, 300, "Phases of a training step under three rules: forward, error and update of each layer")
    for index, (title, layers) in enumerate(PLANS.items()):
        top = 24 + 92 * index
        drawing.text(10, top + 34, title.replace("_learning", ""), anchor="start", size=13)
        for layer, phases in enumerate(layers):
            y = top + 24 * (2 - layer)
            drawing.text(100, y + 10, f"layer {layer + 1}", "quiet", anchor="end", size=11)
            begin, end = min(phases), max(phases)
            drawing.curve([(110 + 50 * begin + 48, y + 10), (110 + 50 * end, y + 10)], "quiet", dashed=True)
            for phase, name in phases.items():
                drawing.box(110 + 50 * phase, y, 48, 20, [name], "forward" if name in "FR" else "error")
    drawing.text(260, 292, "phases, one after another; dashed: the layer waits", "quiet", size=11)
    return drawing


def audit() -> Drawing:
    """An audit: the same training twice, with one thing hidden in the second."""
    drawing = Drawing(430, 210, "An audit trains twice from one state, with one thing changed, and compares updates")
    drawing.box(10, 80, 90, 44, ["one state,", "one seed"])
    for y, text, kind in (
        (20, ["training as", "it is"], "forward"),
        (140, ["training with", "weights hidden"], "error"),
    ):
        drawing.arrow([(100, 102), (140, y + 24)], kind)
        drawing.box(142, y, 120, 48, text, kind)
        drawing.arrow([(262, y + 24), (308, 102)], kind)
    drawing.box(310, 80, 110, 44, ["updates equal,", "bit for bit?"])
    return drawing


def bill() -> Drawing:
    """From counts to energy."""
    drawing = Drawing(430, 190, "Counts of the engine times published prices give energy; what has no price is named")
    drawing.box(10, 60, 100, 60, ["training step", "of the engine"])
    drawing.arrow([(110, 90), (148, 90)])
    drawing.box(150, 60, 110, 60, ["ledger:", "counts"], "forward")
    drawing.arrow([(260, 90), (298, 90)])
    drawing.box(300, 10, 120, 44, ["published", "prices"], "transport")
    drawing.arrow([(360, 54), (360, 66)], "transport")
    drawing.box(300, 68, 120, 44, ["energy"])
    drawing.arrow([(205, 120), (205, 155), (298, 155)], "error")
    drawing.box(300, 135, 120, 44, ["no price: named,", "never 0"], "error")
    return drawing


PICTURES = {
    picture.__name__: picture
    for picture in (questions, signals, feedback, transport, past, codes, locking, audit, bill)
}


def _row(drawing: Drawing, base: float, title: str, values: Sequence[int], kind: str) -> None:
    """Spikes as strokes on a line of time."""
    drawing.text(10, base - 6, title, anchor="start")
    drawing.curve([(110, base), (420, base)], "quiet")
    for t, value in enumerate(values):
        if value:
            drawing.arrow([(116 + 13 * t, base), (116 + 13 * t, base - 18)], kind, head=False)


def _graph(drawing: Drawing, base: float, scale: float, values: Sequence[float], kind: str) -> None:
    """A function of time above a line."""
    drawing.curve([(110, base), (420, base)], "quiet")
    drawing.curve([(116 + 13 * t, round(base - scale * value, 2)) for t, value in enumerate(values)], kind)


def main() -> None:
    for name, picture in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(picture().svg() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
