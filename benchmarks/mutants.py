"""How many small bugs, planted at random in the package, do its tests notice?

    pip install -e ".[dev,mutants]"
    python benchmarks/mutants.py --count 100 --seed 15 mutants.csv

Mutations are those of cosmic-ray. A place in the code is drawn first, then one of the mutations that apply to it, so
that the dozen replacements of each operator do not crowd out the rest. Type annotations, the `*` before keyword-only
arguments and what no longer compiles are left out: no test could see them, or every import does.

Each mutant is planted in a copy of the repository. The tests of its own package run, nearest first, until one
fails; a package that is tested mostly through others has theirs, too. Rows already in the file are kept, so that an
interrupted sample goes on. Leave the repository as it is meanwhile. Outcomes are in tests/mutants/.
"""

from __future__ import annotations

import argparse
import ast
import csv
import difflib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

ROOT = Path(__file__).parent.parent
FORK = multiprocessing.get_context("fork")
COLUMNS = ("file", "line", "operator", "before", "after", "outcome", "killed by", "seconds")
LEFT_OUT = ("cli", "report")
# Tests that run after a package's own: where a package is tested mostly through others.
IMPORTERS = {
    "_files.py": ("runs", "kernels"),
    "certificates.py": ("audit", "cli/test_lists.py"),
    "encoding.py": ("nn",),
    "errors.py": ("nn",),
    "kernels": ("nn",),
    "learning": ("rules", "cost"),
    "losses.py": ("learning",),
    "models": ("cost",),
    "rules": ("learning",),
    "runs": ("training/test_sweep.py",),
    "surrogate.py": ("nn",),
}

# Slow tests of one module, which say nothing of the other modules of their package.
OF_ONE_MODULE = (
    "kernels/test_native.py",
    "kernels/test_fused.py",
    "nn/test_compiled_models.py",
    "training/test_executor.py",
)


class Mutant(NamedTuple):
    """A change of one file: where, by which operator of the library, at which of the places it applies to."""

    file: str
    line: int
    operator: str
    occurrence: int


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """From where to where type annotations reach."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for child in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if child is not None:
                found.append(((child.lineno, child.col_offset), (child.end_lineno, child.end_col_offset)))
    return found


def mutants(file: str) -> Iterator[tuple[tuple[int, int], Mutant]]:
    """All mutants of a file, each with its place in it."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast

    source = (ROOT / file).read_text(encoding="utf-8")
    hidden, nodes = annotations(source), list(ast_nodes(get_ast(source)))
    for name in sorted(plugins.operator_names()):
        if name.startswith("core/Variable"):
            continue  # which need arguments of their own
        operator: Any = plugins.get_operator(name)()
        occurrence = -1
        for node in nodes:
            for start, end in operator.mutation_positions(node):
                occurrence += 1
                star = node.parent is not None and node.parent.type in ("parameters", "lambdef", "param")
                if not star and not any(first <= start and end <= last for first, last in hidden):
                    yield start, Mutant(file, start[0], name, occurrence)


def mutated(mutant: Mutant) -> str | None:
    """The file's text with the change; none where it no longer compiles or does not change."""
    from cosmic_ray import plugins
    from cosmic_ray.mutating import mutate_code

    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    changed: str | None = mutate_code(source, plugins.get_operator(mutant.operator)(), mutant.occurrence)
    if changed is None:
        return None
    try:
        same = ast.dump(ast.parse(changed)) == ast.dump(ast.parse(source))
    except SyntaxError:
        return None
    return None if same else changed


def sample(count: int, seed: int) -> list[Mutant]:
    """Mutants at places drawn without replacement."""
    places: dict[tuple[str, tuple[int, int]], list[Mutant]] = defaultdict(list)
    for path in sorted((ROOT / "src/onchip").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if file.split("/")[2] not in LEFT_OUT:
            for start, mutant in mutants(file):
                places[file, start].append(mutant)
    draw = random.Random(seed)
    order = sorted(places)
    draw.shuffle(order)
    drawn: list[Mutant] = []
    for place in order:
        mutant = draw.choice(places[place])
        if mutated(mutant) is not None:
            drawn.append(mutant)
        if len(drawn) == count:
            break
    return drawn


def steps(file: str) -> Iterator[list[str]]:
    """Tests to run for a file, group by group: its own, its package's, those of packages that import it."""
    package, own = file.split("/")[2], f"test_{Path(file).stem.lstrip('_')}.py"
    tests = ROOT / "tests"
    area = package if (tests / package).is_dir() else f"test_{package.strip('_').removesuffix('.py')}.py"
    nearest = sorted(path.relative_to(tests).as_posix() for path in tests.rglob(own))
    first = [path for path in nearest if path.startswith((area.removesuffix(".py"), *IMPORTERS.get(package, ())))]
    if "kernels/fused/" in file:
        first = ["kernels/test_fused.py"]
    if first and first != [area]:
        yield first
    if (tests / area).exists():
        yield [area]
    for importer in IMPORTERS.get(package, ()):
        yield [importer]


class FirstFailure:
    """A plugin of pytest that notes the first test that fails, or the first file that cannot be loaded."""

    name = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.pytest_collectreport(report)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.name:
            self.name = report.nodeid.removeprefix("tests/")


def in_child(copy: Path, group: list[str], answer: Connection) -> None:
    """Runs tests in a process of its own, and sends the name of the one that failed, or an empty one."""
    os.setsid()
    os.chdir(copy)
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(silent, stream)
    sys.path.insert(0, str(copy / "src"))
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    os.environ["XDG_CACHE_HOME"] = str(copy.parent / "cache")  # of compiled kernels
    seen = FirstFailure()
    arguments = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", *(f"tests/{path}" for path in group)]
    arguments += [f"--ignore=tests/{path}" for path in OF_ONE_MODULE if path not in group]
    code = pytest.main(arguments, plugins=[seen])
    answer.send("" if code == 0 else seen.name or f"{group[0]}: pytest ends with {code!r}")


def run(mutant: Mutant, copy: Path, limit: float) -> tuple[str, str]:
    """The outcome for one mutant, and the test that failed."""
    target = copy / mutant.file
    original = target.read_text(encoding="utf-8")
    target.write_text(mutated(mutant) or "", encoding="utf-8")
    try:
        for group in steps(mutant.file):
            # Forked from here, where torch is loaded already: half of a short test's time is that import.
            receiving, sending = FORK.Pipe(duplex=False)
            child = FORK.Process(target=in_child, args=(copy, group, sending))
            child.start()
            sending.close()
            child.join(limit)
            if child.exitcode is None:
                os.killpg(child.pid or 0, signal.SIGKILL)
                child.join()
                return "time limit", group[0]
            try:
                failed = receiving.recv()
            except EOFError:
                return "killed", f"{group[0]}: the process ends with {child.exitcode}"
            if failed:
                return "killed", failed
        return "survived", ""
    finally:
        target.write_text(original, encoding="utf-8")


def changed_lines(mutant: Mutant) -> tuple[str, str]:
    """What stood there, and what the mutant puts in its place."""
    before = (ROOT / mutant.file).read_text(encoding="utf-8").splitlines()
    after = (mutated(mutant) or "").splitlines()
    changes = [line for line in difflib.ndiff(before, after) if line[:2] in ("- ", "+ ")]
    pick = [" ".join(line[2:].strip() for line in changes if line[0] == sign) for sign in "-+"]
    return pick[0], pick[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="CSV file of the outcomes")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--limit", type=float, default=300.0, help="seconds for one group of tests")
    parser.add_argument("--only", action="store_true", help="draw and print, but run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    drawn = sample(options.count, options.seed)
    known = set()
    if options.table.exists():
        with options.table.open(newline="", encoding="utf-8") as file:
            known = {(row["file"], row["operator"], row["after"]) for row in csv.DictReader(file)}
    with tempfile.TemporaryDirectory() as folder, options.table.open("a", newline="", encoding="utf-8") as file:
        copy = Path(folder) / "copy"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".hypothesis", "__pycache__"))
        writer = csv.writer(file, lineterminator="\n")
        if not known:
            writer.writerow(COLUMNS)
        for mutant in drawn:
            before, after = changed_lines(mutant)
            if (mutant.file, mutant.operator, after) in known:
                continue
            start = time.perf_counter()
            outcome, killer = ("", "") if options.only else run(mutant, copy, options.limit)
            seconds = time.perf_counter() - start
            writer.writerow([*mutant[:3], before, after, outcome, killer, f"{seconds:.0f}"])
            file.flush()


if __name__ == "__main__":
    main()
