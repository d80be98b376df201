"""Whether a program is in the grammar of a chip's learning engine."""

from collections.abc import Iterator

from onchip.chips.facts import Fact
from onchip.chips.grammar import POST_TRACES, PRE_TRACES, TARGETS, Expression, Program
from onchip.chips.profile import FIXED, SUM_OF_PRODUCTS, Chip

__all__ = ["refusals"]


def refusals(program: Program, chip: Chip) -> Iterator[str]:
    """What in a program the engine of a chip cannot do; nothing where it can do all.

    Args:
        program: The program.
        chip: The chip. Its limits count for sums of products and fixed rules; other engines take any program.

    Example:
        >>> from onchip.chips import Program, Trace, chip, parse
        >>> hebb = Program((Trace("x1", "x0"),), (parse("dw = 0.3 * u0 * x1"),))
        >>> list(refusals(hebb, chip("loihi")))
        ['the scale 0.3 has a mantissa of more than 4 bits']
    """
    if chip.engine.grammar.value not in (SUM_OF_PRODUCTS, FIXED):
        return
    for what, names, most in (("pre", PRE_TRACES, chip.traces.pre), ("post", POST_TRACES, chip.traces.post)):
        used = [trace.name for trace in program.traces if trace.name in names]
        if (
            used
            and (most.known or chip.engine.grammar.value == SUM_OF_PRODUCTS)
            and (most.value is None or len(used) > most.value)
        ):
            yield f"{', '.join(used)}: the chip has {most.text} {what}synaptic traces"
    written = chip.neurons.written.value or ()
    for trace in program.traces if chip.engine.grammar.value == SUM_OF_PRODUCTS else ():
        if trace.written and trace.name not in written:
            yield f"{trace.name}: a neuron's program writes {chip.neurons.written.text}"
    yield from _unlike_periods(program)
    for expression in program.expressions:
        yield from _products(expression, chip)
    if program.epoch > 1 and not _at_most(program.epoch, chip.engine.epoch):
        yield f"an epoch of {program.epoch} time steps: the chip has {chip.engine.epoch.text} at most"
    uses_state = "t" in {each.target for each in program.expressions if each.products}
    if uses_state and not chip.synapses.state_bits.value:
        yield "dt: the chip's synapses have no tag"


def _unlike_periods(program: Program) -> Iterator[str]:
    periods = {f"u{p.decimation}" for each in program.expressions for p in each.products if p.decimation is not None}
    if len(periods) > 1:
        yield f"{' and '.join(sorted(periods))}: the periods of all expressions must be the same"


def _products(expression: Expression, chip: Chip) -> Iterator[str]:
    for product in expression.products:
        if not representable(product.scale, chip.engine.mantissa_bits.value):
            yield f"the scale {product.scale:g} has a mantissa of more than {chip.engine.mantissa_bits.text}"
        for factor in product.factors:
            if factor.sign and factor.variable not in TARGETS:
                yield f"{factor}: signs are of w, d and t only"


def representable(scale: float, bits: int | None) -> bool:
    """Whether a scale is a mantissa of so many bits, its sign included, times a power of 2; any is if bits is None."""
    if bits is None:
        return True
    numerator, _ = abs(scale).as_integer_ratio()  # over a power of 2
    odd = numerator >> ((numerator & -numerator).bit_length() - 1)
    return odd < 2 ** (bits - 1)


def _at_most(value: int, limit: Fact[int]) -> bool:
    return limit.value is not None and value <= limit.value
