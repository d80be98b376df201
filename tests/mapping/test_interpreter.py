"""The interpreter of the grammar, against sums written out in plain Python, and with the bits of a chip."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from onchip.chips.grammar import Expression, Factor, Product, Program, Trace
from onchip.chips.parsing import parse
from onchip.errors import RequestError, UnsupportedError
from onchip.mapping.interpreter import Interpreter
from onchip.mapping.precision import Precision

WRITTEN = "program: whatever"
TRACES = (
    Trace("x1", "x0", 2.0, 0.75),
    Trace("x2", "x0", 1.0, 0.5),
    Trace("y1", "y0", 3.0, 0.25),
    Trace("y2", WRITTEN),
    Trace("y3", WRITTEN),
)


def spikes(steps: int, neurons: int, seed: int) -> Tensor:
    return (torch.rand(steps, neurons, generator=torch.Generator().manual_seed(seed)) < 0.4).double()


def numbers(steps: int, neurons: int, seed: int) -> Tensor:
    return torch.randn(steps, neurons, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def given(steps: int, inputs: int, outputs: int) -> tuple[Tensor, dict[str, Tensor]]:
    post = {"y0": spikes(steps, outputs, 1), "y2": numbers(steps, outputs, 2), "y3": numbers(steps, outputs, 3)}
    return spikes(steps, inputs, 0), post


def by_hand(program: Program, weight: Tensor, x0: Tensor, post: dict[str, Tensor]) -> dict[str, list[list[float]]]:
    """What a program does, one synapse after another, in plain numbers."""
    outputs, inputs = weight.shape
    state = {"w": weight.tolist(), "t": [[0.0] * inputs for _ in range(outputs)]}
    for o in range(outputs):
        for i in range(inputs):
            traces = {trace.name: 0.0 for trace in program.traces}
            w, t, fired_pre, fired_post = state["w"][o][i], 0.0, 0.0, 0.0
            for step in range(len(x0)):
                pre, own = float(x0[step, i]), float(post["y0"][step, o])
                for trace in program.traces:
                    if trace.source == WRITTEN:
                        traces[trace.name] = float(post[trace.name][step, o])
                    else:
                        source = pre if trace.source == "x0" else own
                        traces[trace.name] = traces[trace.name] * trace.decay + trace.impulse * source
                fired_pre, fired_post = max(fired_pre, pre), max(fired_post, own)
                if (step + 1) % program.epoch:
                    continue
                epoch = (step + 1) // program.epoch
                values = {**traces, "x0": fired_pre, "y0": fired_post, "w": w, "t": t}
                changes = {"w": 0.0, "t": 0.0}
                for expression in program.expressions:
                    for product in expression.products:
                        k = product.decimation
                        value = product.scale
                        value *= (values[product.dependency] != 0) if k is None else (epoch % 2**k == 0)
                        for factor in product.factors:
                            number = values[factor.variable] + factor.plus
                            value *= ((number > 0) - (number < 0)) if factor.sign else number
                        changes[expression.target] += value
                w, t = w + changes["w"], t + changes["t"]
                fired_pre = fired_post = 0.0
            state["w"][o][i], state["t"][o][i] = w, t
    return state


PROGRAMS = {
    "traces": "dw = -2^-3 * u0 * x1 * y2 + 0.3 * u0 * x1 * y3",
    "pairs of spikes": "dw = 0.25 * x0 * y1 - 0.125 * y0 * x2",
    "both traces and spikes": "dw = u0 * x1 * x2 * y1 * (y2 + 0.5) - 3 * u0 * x0 * y0",
    "signs": "dw = u0 * sgn(y2) * x1 + u0 * sgn(x1 - 2) * y3",
    "decimation": "dw = u2 * x1 * y2 - 0.5 * u1 * y1",
    "constant": "dw = 0.125 * u1 - 0.5 * x0",
    "decay": "dw = u0 * x1 * y2 - 0.1 * u0 * w",
    "sign of the weight": "dw = 0.3 * y0 * x1 * sgn(w - 0.1)",
}


@pytest.mark.parametrize("epoch", [1, 3])
@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS)
def test_it_does_what_the_sum_of_products_says(text: str, epoch: int) -> None:
    program = Program(TRACES, (parse(text),), epoch)
    x0, post = given(13, 5, 4)
    weight = numbers(4, 5, 7)
    expected = by_hand(program, weight, x0, post)
    synapses = Interpreter(program, weight.clone())
    synapses.run(x0, post)
    torch.testing.assert_close(synapses.variables["w"], torch.tensor(expected["w"], dtype=torch.float64))


def test_a_tag_collects_what_a_weight_takes_over() -> None:
    program = Program(TRACES, (parse("dt = u0 * x1 * y2 - 0.25 * u0 * t"), parse("dw = 0.5 * u2 * t - 0.1 * u0 * w")))
    x0, post = given(11, 3, 2)
    weight = numbers(2, 3, 7)
    expected = by_hand(program, weight, x0, post)
    synapses = Interpreter(program, weight.clone())
    synapses.run(x0, post)
    for name in ("w", "t"):
        torch.testing.assert_close(synapses.variables[name], torch.tensor(expected[name], dtype=torch.float64))
    assert bool((synapses.variables["w"] != weight).all())


@pytest.mark.parametrize("epoch", [1, 2])
@pytest.mark.parametrize("text", PROGRAMS.values(), ids=PROGRAMS)
def test_a_sequence_in_pieces_is_the_whole_sequence(text: str, epoch: int) -> None:
    program = Program(TRACES, (parse(text),), epoch)
    x0, post = given(12, 5, 4)
    whole, pieces = (Interpreter(program, numbers(4, 5, 7)) for _ in range(2))
    whole.run(x0, post)
    pieces.run(x0[:7], {name: values[:7] for name, values in post.items()})
    for t in range(7, 12):
        pieces.step(x0[t], {name: values[t] for name, values in post.items()})
    torch.testing.assert_close(whole.variables, pieces.variables)
    torch.testing.assert_close(whole.traces, pieces.traces)


def test_rest_forgets_traces_and_begins_the_count_of_epochs_anew() -> None:
    program = Program(TRACES, (parse("dw = u1 * x1 * y2"),))
    x0, post = given(3, 5, 4)
    twice, once = Interpreter(program, torch.zeros(4, 5).double()), Interpreter(program, torch.zeros(4, 5).double())
    for _ in range(2):
        twice.rest()
        twice.run(x0, post)
    once.run(x0, post)
    torch.testing.assert_close(twice.variables["w"], 2 * once.variables["w"])


@pytest.mark.parametrize(
    "mutant",
    [
        lambda p: replace(p, expressions=(parse("dw = 2^-3 * u0 * x1 * y2"),)),
        lambda p: replace(p, expressions=(parse("dw = -2^-4 * u0 * x1 * y2"),)),
        lambda p: replace(p, expressions=(parse("dw = -2^-3 * u0 * x2 * y2"),)),
        lambda p: replace(p, traces=(Trace("x1", "x0", 2.0, 0.74), *TRACES[1:])),
        lambda p: replace(p, traces=(Trace("x1", "x0", 2.1, 0.75), *TRACES[1:])),
    ],
    ids=["sign", "scale", "trace", "decay", "impulse"],
)
def test_a_wrong_sign_scale_or_decay_shows(mutant: object) -> None:
    program = Program(TRACES, (parse("dw = -2^-3 * u0 * x1 * y2"),))
    assert callable(mutant)
    x0, post = given(9, 5, 4)
    right, wrong = (Interpreter(each, torch.zeros(4, 5).double()) for each in (program, mutant(program)))
    right.run(x0, post)
    wrong.run(x0, post)
    assert float((right.variables["w"] - wrong.variables["w"]).abs().max()) > 1e-3


def test_random_programs_survive_text_and_agree_with_the_sums() -> None:
    draw = random.Random(0)
    for _ in range(60):
        program = Program(TRACES, tuple(_random_expression(draw, target) for target in ("w", "t")), draw.choice([1, 2]))
        read = replace(program, expressions=tuple(parse(str(each)) for each in program.expressions))
        x0, post = given(7, 3, 2)
        weight = numbers(2, 3, 7)
        expected = by_hand(program, weight, x0, post)
        synapses = Interpreter(read, weight.clone())
        synapses.run(x0, post)
        torch.testing.assert_close(synapses.variables["w"], torch.tensor(expected["w"], dtype=torch.float64))


def _random_expression(draw: random.Random, target: str) -> Expression:
    variables = ["x0", "y0", "x1", "x2", "y1", "y2", "y3", "w", "t"]
    products = []
    for _ in range(draw.randint(1, 3)):
        factors = [
            Factor(draw.choice(variables), draw.choice([0.0, 0.5, -1.0]), sign=draw.random() < 0.3)
            for _ in range(draw.randint(0, 3))
        ]
        scale, dependency = draw.choice([-0.5, 0.3, 2.0**-6]), draw.choice(["x0", "y0", "u0", "u1", "u2"])
        products.append(Product(scale, dependency, tuple(factors)))
    return Expression(target, tuple(products))


ONE = Program((Trace("x1", "x0", 1.0, 0.5), Trace("y1", WRITTEN)), (parse("dw = -0.1 * u0 * x1 * y1"),))


def test_values_stay_on_their_grids() -> None:
    precision = Precision(trace_bits=3, weight_bits=4, bounds={"w": 0.9, "y1": 2.0}, seed=1)
    synapses = Interpreter(ONE, torch.linspace(-2, 2, 20).view(4, 5).clone(), precision)
    assert float(synapses.variables["w"].abs().max()) == pytest.approx(15 / 16)  # saturated
    for t in range(20):
        synapses.step(spikes(1, 5, t)[0].float(), {"y1": numbers(1, 4, t)[0].float()})
        weight, trace, written = synapses.variables["w"] * 16, synapses.traces["x1"] * 2, synapses.traces["y1"] * 2
        for value, largest in ((weight, 15), (trace, 7), (written, 7)):
            assert torch.equal(value, value.round())
            assert float(value.abs().max()) <= largest
        assert float(trace.min()) >= 0
        assert float(written.min()) >= 0  # a trace has no sign


def test_rounding_of_traces_and_weights_is_fair() -> None:
    trials, steps = 4000, 6
    x0, y1 = torch.ones(steps, trials), torch.full((steps, 1), 0.7)
    precision = Precision(trace_bits=7, weight_bits=8, bounds={"w": 4.0}, seed=3)
    exact, coarse = Interpreter(ONE, torch.zeros(1, 1)), Interpreter(ONE, torch.zeros(1, trials), precision)
    exact.run(x0[:, :1], {"y1": y1})
    coarse.run(x0, {"y1": y1})
    # y1 is shared by all trials and rounded once per step, by less than its quantum of 2^-6.
    got, expected = coarse.variables["w"], float(exact.variables["w"])
    shared = 0.1 * sum(2 - 0.5**t for t in range(steps)) * 2.0**-6
    assert abs(float(got.mean()) - expected) < 5 * float(got.std()) / trials**0.5 + shared
    assert float(got.std()) > 2.0**-7  # the quantum of the weight is 2^-6
    assert abs(float(coarse.traces["x1"].mean()) - float(exact.traces["x1"])) < 5 * 2.0**-6 / trials**0.5


def test_more_bits_come_closer_and_the_nearest_value_needs_no_chance() -> None:
    x0, post = spikes(30, 5, 0), {"y1": numbers(30, 4, 2).abs()}
    exact = Interpreter(ONE, numbers(4, 5, 7))
    exact.run(x0, post)
    errors = []
    for bits in (4, 8, 16, 30):
        precision = Precision(bits, bits, rounding="nearest", bounds={"w": 8.0, "y1": 4.0})
        runs = [Interpreter(ONE, numbers(4, 5, 7), precision) for _ in range(2)]
        for run in runs:
            run.run(x0, post)
        assert torch.equal(runs[0].variables["w"], runs[1].variables["w"])
        errors.append(float((runs[0].variables["w"] - exact.variables["w"]).abs().max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-7


def test_one_seed_gives_one_result() -> None:
    results = []
    for seed in (0, 0, 1):
        synapses = Interpreter(ONE, torch.zeros(4, 5), Precision(7, 8, seed=seed))
        synapses.run(spikes(20, 5, 0).float(), {"y1": numbers(20, 4, 2).float().abs()})
        results.append(synapses.variables["w"])
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_refuses_by_name() -> None:
    synapses = Interpreter(ONE, torch.zeros(4, 5))
    with pytest.raises(RequestError, match=r"got spikes of shape \(3, 4\); expected \(T, 5\)"):
        synapses.run(torch.zeros(3, 4), {})
    with pytest.raises(RequestError, match=r"got spikes of shape \(0, 5\)"):
        synapses.run(torch.zeros(0, 5), {"y1": torch.zeros(0, 4)})
    with pytest.raises(RequestError, match=r"got no y1, which the program uses"):
        synapses.run(torch.zeros(3, 5), {})
    with pytest.raises(RequestError, match=r"got y1 of shape \(3, 5\); expected \(3, 4\)"):
        synapses.run(torch.zeros(3, 5), {"y1": torch.zeros(3, 5)})
    with pytest.raises(RequestError, match=r"weights of shape \(4,\)"):
        Interpreter(ONE, torch.zeros(4))
    with pytest.raises(UnsupportedError, match="changes delays"):
        Interpreter(Program((), (parse("dd = u0"),)), torch.zeros(4, 5))
    with pytest.raises(RequestError, match="at least 1 bit"):
        Precision(trace_bits=0)
    with pytest.raises(RequestError, match="above 0"):
        Precision(bounds={"w": 0.0})
