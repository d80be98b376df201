"""`onchip hardware`: the energy tables, what each prices, and where its numbers were published."""

from typing import Annotated

import typer

from onchip.cli.shared.completion import names
from onchip.cli.shared.failing import failing
from onchip.cli.shared.terminal import say
from onchip.cost.energy import NOT_PUBLISHED, WORK, EnergyTable, UnitPrice, in_words, known_tables, table


def hardware(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One of them, to print its prices and their sources.",
            metavar="[NAME]",
            autocompletion=names("hardware", known_tables()),
        ),
    ] = None,
) -> None:
    """List the energy tables with what they price, or explain one."""
    with failing():
        if name is not None:
            say(_explained(table(name)))
            return
        width = max(map(len, known_tables()))
        for each in known_tables():
            prices = table(each)
            say(f"{each:<{width}}  {prices.title}: {prices.scope}")
            for line in (_numbers(prices), _source(prices)):
                say(f"{'':<{width}}  {line}")
        below = "What a table does not price is in no sum, and named beside it; `onchip hardware NAME` lists it."
        say("\n".join(["", *NOT_PUBLISHED.values(), below]))


def _numbers(prices: EnergyTable) -> str:
    return ", ".join(f"{_words(field)} {cited.value:g} pJ" for field, cited in prices.sources().items())


def _source(prices: EnergyTable) -> str:
    """The publications of the numbers, without what each is called there."""
    return "; ".join(dict.fromkeys(cited.source.rsplit(": ", 1)[0] for cited in prices.sources().values()))


def _words(field: str) -> str:
    """What a number is, from the name of its field, which ends with the unit."""
    return field.removesuffix("_pj").replace("_", " ")


def _explained(prices: EnergyTable) -> str:
    """A table with its prices by count, its sources, and what it leaves unpriced."""
    own = prices.prices()
    width = max(map(len, own))
    left_out = prices.unpriced(dict.fromkeys(WORK, 1))
    return "\n".join(
        [
            f"{prices.name}: {prices.title}. Prices {prices.scope}.",
            "",
            *(f"{_words(field)} {cited.value:g} pJ: {cited.source}" for field, cited in prices.sources().items()),
            "",
            "Prices by the counts of docs/costs.md:",
            *(f"  {count:<{width}}  {_price(price)}" for count, price in own.items()),
            "",
            f"Unpriced, and in no sum: {', '.join(in_words(left_out))} ({', '.join(left_out)}).",
        ]
    )


def _price(price: UnitPrice) -> str:
    if price.included_in:
        return f"in the price of {price.included_in}"
    parts = [(price.operations_pj, "pJ"), (price.memory_pj, "pJ of memory traffic")]
    return " + ".join(f"{value:.4g} {unit}" for value, unit in parts if value)
