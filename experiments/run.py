"""Runs the experiments by name.

    python experiments/run.py --list                  names them all
    python experiments/run.py NAME [options]          trains what its records lack; its own options follow
    python experiments/run.py NAME... --table         writes the tables in docs/ from the records
    python experiments/run.py [NAME...] --check       says which tables in docs/ are not those of the records
    python experiments/run.py [NAME...] --tiny        runs them from end to end on tiny data, in seconds

A tiny run trains, records and makes tables in a temporary folder, and changes no record and no page. What it finds is
of no value; that it ends is.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import runpy
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

import _records
import _tables
from _tiny import tiny

HERE = Path(__file__).resolve().parent
NO_EXPERIMENTS = ("run", "leaky", "embed_japanese_vowels")
ON_ITS_OWN = ("fbp_cifar10", "gpu")
"""Made for another machine: the paper's VGG-7, whose tiny run takes 40 s, and a queue that has a --tiny of its own."""
SEVERAL = ("SEEDS", "TUNING_SEEDS", "LEARNING_RATES", "RATES", "LENGTHS", "NETS", "BENCHES")
"""Constants of experiments of which a tiny run takes the first value alone."""
LIMITS = {"LONGEST": 1, "LEAST": 0.0}
"""Constants that bound a search or what is good enough, and their values in a tiny run."""


def names() -> list[str]:
    """All experiments."""
    return [path.stem for path in sorted(HERE.glob("[!_]*.py")) if path.stem not in NO_EXPERIMENTS]


def about(name: str) -> str:
    """The first line of its docstring."""
    return (ast.get_docstring(tree(name)) or "").split("\n")[0]


def tree(name: str) -> ast.Module:
    """Its code."""
    return ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))


def table_of(marker: str, text: str) -> str | None:
    """A table between its markers in the text of a page; None if the page has no such table."""
    _, begin, rest = text.partition(f"<!-- table: {marker} -->\n\n")
    return rest.partition("\n\n<!-- end of table -->")[0] if begin else None


def stale(name: str) -> list[str]:
    """Names of its tables that are not in the pages, or not as the records have them."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(_tables.DOCS.glob("*.md"))]
    module = importlib.import_module(name)
    if not hasattr(module, "tables"):
        return []
    return [marker for marker, table in module.tables().items() if table not in [table_of(marker, p) for p in pages]]


def train_tiny(name: str) -> None:
    """Runs an experiment as it would run, but tiny."""
    module = importlib.import_module(name)
    for several in SEVERAL:
        if isinstance(values := getattr(module, several, None), tuple):
            setattr(module, several, values[:1])
    for limit, value in LIMITS.items():
        if hasattr(module, limit):
            setattr(module, limit, value)
    sys.argv = [f"{name}.py"]
    asked = inspect.signature(getattr(module, "tune", lambda _: None)).parameters.values()
    if all(parameter.default is not parameter.empty for parameter in asked):
        module.tune()
    (module.main if hasattr(module, "main") else module.run)()


def write_tiny(name: str) -> None:
    """Makes its tables of the tiny records, in the copies of the pages.

    Raises:
        AssertionError: It wrote no record, or a text without a table.
    """
    module = importlib.import_module(name)
    if not hasattr(module, "tables"):
        return
    assert list(_records.FOLDER.glob(f"{name}*.jsonl")), f"{name} wrote no record"
    for marker, table in module.tables().items():
        for page in _tables.DOCS.glob("*.md"):
            if table_of(marker, page.read_text(encoding="utf-8")) is not None:
                _tables.write(page.name, {marker: table})


def in_order(chosen: Sequence[str]) -> list[str]:
    """These experiments, each after those that it imports, whose records it may read."""
    ordered: list[str] = []
    for name in chosen:
        imports = [node for node in ast.walk(tree(name)) if isinstance(node, ast.Import | ast.ImportFrom)]
        imported = {getattr(node, "module", None) or node.names[0].name for node in imports}
        ordered += [*in_order([other for other in names() if other in imported]), name]
    return list(dict.fromkeys(ordered))


def all_tiny(chosen: Sequence[str]) -> list[str]:
    """Runs experiments one after the other, and returns those that failed."""
    failed: list[str] = []
    ordered = in_order(chosen)
    if imported := set(ordered) & set(sys.modules):
        raise RuntimeError(f"{', '.join(imported)} would write to the true records; run this in a process of its own")
    with tempfile.TemporaryDirectory() as folder, tiny(Path(folder)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks that are silent, and of what tiny runs do not reach
        # Tables come last: some are of the records of several experiments.
        for work, done in ((train_tiny, "ran"), (write_tiny, "made its tables")):
            for name in ordered:
                begin = time.process_time()
                try:
                    work(name)
                except (Exception, SystemExit):
                    failed.append(name)
                    traceback.print_exc()
                what = "failed" if name in failed else done
                print(f"{name}: {what}, {time.process_time() - begin:.1f} s", flush=True)
    return failed


def main(words: Sequence[str]) -> int:
    known = names()
    chosen = [word for word in words if word in known]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; all, for --check and --tiny without any")
    parser.add_argument("--list", action="store_true", help="name all experiments")
    parser.add_argument("--check", action="store_true", help="compare tables in docs/ with the records")
    parser.add_argument("--tiny", action="store_true", help="run on tiny data, in a temporary folder")
    parser.add_argument("--table", action="store_true", help="write the tables in docs/")
    options, own = parser.parse_known_args(words)
    unknown = [name for name in options.names if name not in known]
    if unknown and len(chosen) != 1:
        parser.error(f"got {unknown[0]}; expected names out of: {', '.join(known)}")
    if options.list:
        width = max(map(len, known))
        print("\n".join(f"{name:{width}}  {about(name)}" for name in known))
        return 0
    if options.check:
        wrong = [f"{name}: {', '.join(left)}" for name in chosen or known if (left := stale(name))]
        print("\n".join(wrong) or "all tables in docs/ are those of the records")
        return int(bool(wrong))
    if options.tiny:
        return int(bool(all_tiny(chosen or [name for name in known if name not in ON_ITS_OWN])))
    if not chosen:
        parser.error(f"got no name; expected one out of: {', '.join(known)}")
    rest = [*own, *unknown, *(["--table"] if options.table else [])]
    for name in chosen:
        sys.argv = [str(HERE / f"{name}.py"), *rest]
        runpy.run_path(sys.argv[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
