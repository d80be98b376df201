"""Expressions of learning engines from text."""

import math
import re
from collections.abc import Iterator

from onchip.chips.grammar import VARIABLES, Expression, Factor, Product
from onchip.errors import RequestError

__all__ = ["parse"]

NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
WORD = re.compile(rf"\s*({NUMBER}|sgn\b|[a-z]\d?\b|[-+*^()])")
LONGEST = 10_000


def parse(text: str) -> Expression:
    """An expression from text; the inverse of `str`.

    Numbers of a product are multiplied, `2^-7` is a power, factors may stand in any order. Of u_k, x0 and y0 in a
    product, u_k is the dependency, or else the first.

    Args:
        text: Such as `dw = -2^-7 * u0 * x1 * y1 + x0 * (y2 - 3) * sgn(w)`.

    Raises:
        RequestError: The text is not in the grammar.

    Example:
        >>> str(parse("dt = x1 * 3 * u2 - u2 * 0.5 * t"))
        'dt = 3 * u2 * x1 - 2^-1 * u2 * t'
    """
    head, equals, body = text.partition("=")
    target = head.strip()
    if not equals or target not in ("dw", "dd", "dt") or len(text) > LONGEST:
        raise _refused(text, "dw, dd or dt, then =, then a sum of products")
    if body.strip() == "0":
        return Expression(target[1], ())
    return Expression(target[1], tuple(_Reader(text, list(_tokens(text, body))).products()))


class _Reader:
    """Reads the products from words, from left to right."""

    def __init__(self, text: str, words: list[str]) -> None:
        self._text = text
        self._words = words[::-1]

    def products(self) -> Iterator[Product]:
        sign = -1.0 if self._met("-") else 1.0
        yield self._product(sign)
        while self._words:
            if self._met("-"):
                yield self._product(-1.0)
            elif self._met("+"):
                yield self._product(1.0)
            else:
                raise _refused(self._text, f"*, + or - before {self._words[-1]}")

    def _product(self, scale: float) -> Product:
        periods: list[str] = []
        factors: list[Factor] = []
        while True:
            word = self._next("a factor")
            if re.fullmatch(NUMBER, word):
                scale *= self._power(float(word))
            elif re.fullmatch(r"u\d", word):
                periods.append(word)
            else:
                factors.append(self._factor(word))
            if not self._met("*"):
                break
        if len(periods) > 1:
            raise _refused(self._text, f"one of {' and '.join(periods)} in a product")
        spike = next((factor for factor in factors if factor in (Factor("x0"), Factor("y0"))), None)
        if not periods and spike is None:
            raise _refused(self._text, "u0 to u9, x0 or y0 in each product, which says when it counts")
        if not periods and spike is not None:
            factors.remove(spike)
            periods = [spike.variable]
        if not math.isfinite(scale) or not scale:
            raise _refused(self._text, "finite numbers other than 0")
        return Product(scale, periods[0], tuple(factors))

    def _factor(self, word: str) -> Factor:
        if word == "sgn":
            self._expect("(")
            return self._sum(sign=True)
        if word == "(":
            return self._sum(sign=False)
        return Factor(self._variable(word))

    def _sum(self, *, sign: bool) -> Factor:
        """What follows an opening bracket, to the closing one."""
        variable = self._variable(self._next("a variable"))
        plus = 0.0
        if not self._met(")"):
            factor = -1.0 if self._met("-") else 1.0
            if factor > 0:
                self._expect("+")
            word = self._next("a number")
            if not re.fullmatch(NUMBER, word) or not math.isfinite(float(word)):
                raise _refused(self._text, f"a number, got {word}")
            plus = factor * self._power(float(word))
            self._expect(")")
        return Factor(variable, plus, sign)

    def _variable(self, word: str) -> str:
        if word not in VARIABLES:
            raise _refused(self._text, f"one of {', '.join(VARIABLES)}, got {word}")
        return word

    def _power(self, base: float) -> float:
        if not self._met("^"):
            return base
        sign = -1 if self._met("-") else 1
        word = self._next("a whole number")
        if not word.isdecimal() or int(word) > 9999 or not base:
            raise _refused(self._text, f"a power such as 2^-7, got ^{word}")
        try:
            return float(base ** (sign * int(word)))
        except OverflowError:
            raise _refused(self._text, "finite numbers") from None

    def _met(self, word: str) -> bool:
        found = bool(self._words) and self._words[-1] == word
        if found:
            self._words.pop()
        return found

    def _expect(self, word: str) -> None:
        if not self._met(word):
            raise _refused(self._text, f"{word} before {self._words[-1] if self._words else 'the end'}")

    def _next(self, what: str) -> str:
        if not self._words:
            raise _refused(self._text, f"{what} at the end")
        return self._words.pop()


def _tokens(text: str, body: str) -> Iterator[str]:
    position = 0
    body = body.rstrip()
    while position < len(body):
        found = WORD.match(body, position)
        if found is None:
            raise _refused(text, f"numbers, variables and + - * ^ ( ), got {body[position:].strip()[:20]!r}")
        position = found.end()
        yield found[1]


def _refused(text: str, expected: str) -> RequestError:
    return RequestError(f"the expression {text[:200]!r} is not in the grammar; expected {expected}")
