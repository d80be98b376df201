"""Commands that refuse what the parser of options would accept in silence, and show examples in their help."""

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from onchip.cli.shared.examples import EXAMPLES
from onchip.cli.shared.failing import failing
from onchip.errors import RequestError


class Command(TyperCommand):
    """A command whose options are given once each, under one of their names, and never as empty text.

    Its options are shown in the order of their groups, each paragraph of its help as one, and examples at the end.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Refuse such options, then parse as any command does."""
        values, _, given = self.make_parser(ctx).parse_args(list(args))
        with failing():
            for parameter, times in Counter(given).items():
                names = " or ".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name
                if times > 1 and not parameter.multiple:
                    raise RequestError(f"got {names} {times} times; expected it once")
                value = values[parameter.name]
                if "" in (value if isinstance(value, (list, tuple)) else [value]):
                    raise RequestError(f"got empty text for {names}; expected a value, or leave it out")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help page; see the class."""
        self.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in (self.help or "").split("\n\n"))
        words, context = list[str](), ctx
        while context.parent is not None:
            words.insert(0, context.info_name)
            context = context.parent
        self.epilog = "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES[" ".join(words)])])
        super().format_help(ctx, formatter)
