"""`onchip compare` and `onchip train`."""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onchip import report
from onchip._text import one_line
from onchip.chips.reading import known_chips
from onchip.cli.shared.arguments import with_settings
from onchip.cli.shared.completion import names
from onchip.cli.shared.config import read_config
from onchip.cli.shared.failing import DONE, RUN_FAILED, failing
from onchip.cli.shared.interrupts import exit_code, interruptible
from onchip.cli.shared.output import chosen_columns, show_table
from onchip.cli.shared.processes import processes, silent_but_first
from onchip.cli.shared.progress import Bars, bars, reading
from onchip.cli.shared.terminal import mute, say
from onchip.errors import ProcessLostError, RequestError
from onchip.runs.code import SETTINGS, code_name, refuse_unnamed, short
from onchip.runs.config import RUN, TRAINING, RunConfig
from onchip.runs.launch import command
from onchip.runs.record import Record
from onchip.runs.request import combined
from onchip.runs.shards import parse_shard, shard_folder
from onchip.runs.sweep_config import RULES, SEEDS, SweepConfig

if TYPE_CHECKING:
    from onchip.learning.ranks import Ranks

CHIP_OPTIONS = "chip", "keep_unsupported"
SWEEP_OPTIONS = "rules", "seeds", "keep_weights", "shard", *CHIP_OPTIONS


def compare(
    context: typer.Context,
    rules: Annotated[
        str | None,
        typer.Option(
            "--rules",
            "--rule",
            help=f"Such as bp,fbp:period=10|100. If left out, {','.join(RULES)}.",
            rich_help_panel=TRAINING,
            autocompletion=names("rule"),
        ),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Number of seeds, or seeds such as 0,7.", rich_help_panel=RUN)] = str(
        SEEDS
    ),
    keep_weights: Annotated[
        bool,
        typer.Option("--keep-weights", help="Store the final weights of each run.", rich_help_panel=RUN),
    ] = False,
    chip: Annotated[
        str | None,
        typer.Option(
            help="Judge rules on a chip, such as loihi, and train them with its bits and without.",
            rich_help_panel=TRAINING,
            autocompletion=names("chip", known_chips()),
        ),
    ] = None,
    keep_unsupported: Annotated[
        bool,
        typer.Option(
            "--keep-unsupported",
            help="Train rules that the chip cannot run in full precision, instead of refusing them.",
            hidden=True,
            rich_help_panel=TRAINING,
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Runs at a time, each in a process.",
            show_default="1",
            rich_help_panel=RUN,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="dask:tcp://host:8786 or slurm:partition=gpu;time=60.",
            rich_help_panel=RUN,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            help="Part i of n of the runs, such as 0/4; report merges them.",
            hidden=True,
            rich_help_panel=RUN,
        ),
    ] = None,
    **_: Any,
) -> None:
    """Train one network under several rules, each under several seeds, and compare them.

    Commas separate rules, a colon begins a rule's options, semicolons separate those:
    bp,fa,fbp:period=100;transport=top:0.1 names three rules. Bars, or commas before numbers, separate values that
    are tried in turn: fbp:period=10,100;transport=full|sign names four. Quote such a text in a shell.
    """
    _run(context, one=False)


def train(context: typer.Context, **_: Any) -> None:
    """Train one network by one rule, and store its weights beside its record.

    Several processes, which share each batch: torchrun --nproc-per-node 4 -m onchip train, with the same options.
    """
    _run(context, one=True)


with_settings(compare, without=("rule", "seed"))
with_settings(train)


def _run(context: typer.Context, *, one: bool) -> None:
    """What both commands do: gather the settings, run them, report, and exit with the right code.

    Args:
        context: Has the command's options, and which of them were given.
        one: Whether it is a single run, whose weights are stored, instead of a comparison.
    """
    options = context.params
    with silent_but_first(), failing(), contextlib.ExitStack() as stack:
        stack.enter_context(interruptible())
        from onchip.runs.directory import RunDirectory, next_directory, slug
        from onchip.training import sweep as comparison  # torch takes seconds: only when something runs
        from onchip.training.builder import load_data
        from onchip.training.clusters import cluster
        from onchip.training.registry import distinct
        from onchip.training.selection import selected

        columns = chosen_columns(options["columns"])
        out, resume, force = options["out"], options["resume"], options["force"]
        if resume and (force or out is None):
            raise RequestError("--resume needs --out, the directory to continue in, and goes without --force")
        if (shard := options.get("shard")) is not None:
            if out is None:
                raise RequestError("--shard needs --out, the directory in which each part has its own")
            out = shard_folder(out, parse_shard(shard))
        asked = combined(_gathered(context, one, RunDirectory(out).config() if resume else None))
        config = asked.base
        if asked.rules is not None:
            rules = [rule.label for rule in distinct(asked.rules)]
            if one and len(rules) > 1:
                raise RequestError(f"train got {len(rules)} rules: {', '.join(rules)}; compare takes several")
        named = options.get("cluster")
        workers = None if named is None else cluster(named, options["jobs"])
        ranks = stack.enter_context(processes(config.device))
        with ranks.together():
            with reading():
                data = load_data(config, root=options["data_root"], download=options["download"])
            request, left_out = selected(asked, data)
        for reason in left_out:
            say(f"left out: {reason}", error=True)
        parts = [short(data.name), short(config.net), *(request.rules if one else ())]
        out = out or next_directory(Path("runs"), slug("-".join(parts)))
        with bars(len(request.runs())) as watch:
            coming = comparison.compare(
                request,
                data,
                out,
                resume=resume,
                force=force,
                jobs=options.get("jobs"),
                workers=workers,
                progress=watch,
                log=options["log"],
                ranks=ranks,
            )
            records, code = _followed(coming, watch, ranks, as_json=options["as_json"])
            coming.close()  # ends the workers, if Ctrl-C came between two records
        try:
            if records and ranks.first:
                order = {rule: place for place, rule in enumerate(request.rules)}
                records.sort(key=lambda record: (order.get(record.label, len(order)), bool(record.chip.get("bits"))))
                report.write(out, records)
                show_table(records, to_error=options["as_json"], columns=columns)
            say(f"results in {out}", error=True)
        except OSError as error:  # a full disk or a closed terminal, of which nothing more is said than has been
            code = code or _failed(error)
        if code == DONE and any(record.status == "failed" for record in records):
            code = RUN_FAILED
        if code != DONE:
            with contextlib.suppress(OSError):
                what = "interrupted; continue" if code != RUN_FAILED else "try again what failed"
                say(f"{what} with: {_again(context, out)}", error=True)
            raise typer.Exit(code)


def _again(context: typer.Context, out: Path) -> str:
    """The command that resumes, with all options of this one that `run.json` does not hold."""
    stored = {*RunConfig.__dataclass_fields__, *SWEEP_OPTIONS}
    stored |= {"config", "out", "resume", "force", "download"}
    stored -= {name for name in SETTINGS if code_name(str(context.params[name])) is not None}  # named each time
    words = ["onchip", str(context.command.name), "--out", str(out), "--resume"]
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in stored and _is_given(context, name):
            value = context.params[name]
            words += parameter.opts[:1] if value is True else [parameter.opts[0], str(value)]
    return shlex.join(command(words))


def _gathered(context: typer.Context, one: bool, earlier: SweepConfig | None) -> dict[str, Any]:
    """Settings of the run to resume, then those of the file, then those of the command line."""
    fields = set(RunConfig.__dataclass_fields__)
    known = fields if one else fields - {"rule", "seed"} | {*SWEEP_OPTIONS}
    given = {name: value for name, value in context.params.items() if name in known and _is_given(context, name)}
    from_file, before = (
        read_config(context.params["config"], sorted(known - {"shard"})),
        earlier.to_dict() if earlier else {},
    )
    refuse_unnamed(from_file, given, str(context.params["config"]))
    refuse_unnamed(before, given, str(context.params["out"]))
    options = {**from_file, **given}
    if one:  # a single run is a comparison of one rule under one seed
        default = RunConfig()
        before = {"rules": [default.rule], "seeds": [default.seed], **before}
        for singular, plural in (("rule", "rules"), ("seed", "seeds")):
            if singular in options:
                options[plural] = [options.pop(singular)]
        options["keep_weights"] = True
    return {**before, **options}


def _is_given(context: typer.Context, option: str) -> bool:
    """Whether an option stands on the command line, which its default does not."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def _followed(coming: Iterator[Record], watch: Bars, ranks: "Ranks", *, as_json: bool) -> tuple[list[Record], int]:
    """The records of runs as they finish, and the exit code: Ctrl-C ends them early, a lost process at the end."""
    records = []
    try:
        for record in coming:
            records.append(record)
            watch.finished(record)
            if as_json:
                say(record.to_json())
    except KeyboardInterrupt as interrupt:
        return records, exit_code(interrupt)
    except OSError as error:  # the disk is full, or a worker is lost
        return records, _failed(error)
    except ProcessLostError as error:
        if ranks.fails_first():
            mute(False)
            say(f"error: {one_line(str(error))}", error=True)
        return records, RUN_FAILED
    return records, DONE


def _failed(error: OSError) -> int:
    reason = f"{error.filename} cannot be written: {error.strerror}" if error.filename else str(error)
    with contextlib.suppress(OSError):
        say(f"error: {one_line(reason)}", error=True)
    return RUN_FAILED
