"""Works through what waits for a GPU, in pieces of some minutes, on machines that are lent for a short time.

NOT YET RUN ON A GPU: no claim is made here. Without one, only its smallest pieces have run.

    python experiments/gpu.py --list                   what is done, running and waiting, with a guess at the minutes
    python experiments/gpu.py --data PATH              works for eight minutes from where the last call stopped
    python experiments/gpu.py --only conv5-opzo-short-0 --minutes 20
    python experiments/gpu.py --pack DIR --data PATH   code, pictures and state for a machine that has nothing
    python experiments/gpu.py --tiny --device cpu      the same pieces, tiny, without a GPU
    python experiments/gpu.py --table                  writes the table of docs/gpu.md from records/gpu.jsonl

First come tests/gpu, then the benchmarks, then runs on CIFAR-10 (JPEG): VGG-7 under `fbp`, the five-layer network under
direct rules, and SSNN-BP; for each rule first a short run, then one as long as the paper's. `--data` is the folder of
`cifar10-jpeg.tar.xz` or of `cifar10-jpeg`, one folder of pictures per class and split. The state of the queue is in the
folder `--out`, and nowhere else: take it along to the next machine. A training run goes on after its last epoch; a test
that has an outcome is not run again; a piece that failed waits for `--only` or for another commit. Nothing is
committed: copy `results.jsonl` to experiments/records/gpu.jsonl for that.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from _gpu_pack import LIMIT, lay_out, pack
from _gpu_queue import ROOT, Piece, State, code, pieces
from _gpu_tests import COMMIT, LEFT, OUTCOMES, UNTIL
from _gpu_worker import MARGIN
from _records import FOLDER, append_lines, read_lines
from _tables import write
from onchip.report.markdown import markdown_table

RECORDS = FOLDER / "gpu.jsonl"
EXPERIMENTS, BENCHMARKS = ROOT / "experiments", ROOT / "benchmarks"
STOPPING = 15.0
"""Seconds that a process gets to end by itself, before the end of the call."""
HANGS = 120.0
"""Seconds after which a test that does not end is taken to hang."""
LATE = "did not end in time, and was killed"
RESTARTS = 30
"""Processes of tests in one call, of which each may lose its device."""


class Call:
    """One call of the script.

    Args:
        options: The command line.
        begin: When it began, by `time.monotonic`.
    """

    def __init__(self, options: argparse.Namespace, begin: float) -> None:
        self.state, self.work = State(options.out.resolve()), options.work.resolve()
        self.device, self.tiny, self.data = options.device, options.tiny, options.data
        self.end = begin + 60.0 * options.minutes
        self.answer = self.state.out / ".answer"

    def left(self) -> float:
        """Seconds that a process may still take."""
        return self.end - STOPPING - time.monotonic()

    def run(self, piece: Piece) -> None:
        """Works on a piece, and stores what came of it."""
        print(f"{piece.name}: {piece.about}", flush=True)
        begin = time.monotonic()
        self.answer.unlink(missing_ok=True)
        if piece.config is not None:
            status, result = self._trained(piece)
        elif piece.command:
            status, result = self._measured(piece)
        else:
            status, result = self._tested(piece)
        entry = {"piece": piece.name, "status": status, "seconds": round(time.monotonic() - begin, 1), **result}
        append_lines(self.state.results, [{**entry, **self._about()}])
        print(f"{piece.name}: {status} after {entry['seconds']:.0f} s{self._reason(result)}", flush=True)

    def _about(self) -> dict[str, Any]:
        cuda = torch.device(self.device).type == "cuda" and torch.cuda.is_available()
        name = torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine()
        versions: dict[str, str | None] = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
        }
        versions["cudnn_tf32"] = str(torch.backends.cudnn.allow_tf32)
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return {"device": self.device, "device_name": name, "date": when, "code": code(), "versions": versions}

    def _reason(self, result: dict[str, Any]) -> str:
        error = str(result.get("error", "")).strip().splitlines()
        return f": {error[-1]}" if error else ""

    def _process(self, piece: Piece, arguments: list[str], **environment: str) -> str | None:
        """Runs a script to its end; None, or why that did not come."""
        folders = (ROOT / "src", EXPERIMENTS, BENCHMARKS, os.environ.get("PYTHONPATH", ""))
        own = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONUNBUFFERED": "1", **environment}
        with self.state.log(piece).open("ab") as log:
            place = log.tell()
            try:
                ended = subprocess.run(
                    [sys.executable, *arguments],
                    cwd=ROOT,
                    env={**os.environ, **own},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=max(1.0, self.left() + STOPPING - 5.0),
                ).returncode
            except subprocess.TimeoutExpired:
                return f"it {LATE}"
        if ended == 0:
            return None
        said = self.state.log(piece).read_bytes()[place:].decode(errors="replace").strip()
        return f"{said[-1500:]}\nexit status {ended}" if ended < 0 or not said else said[-1500:]

    def _trained(self, piece: Piece) -> tuple[str, dict[str, Any]]:
        if piece.config is not None and not self.tiny:
            lay_out(self.data, self.work)
        before, _ = self.state.epochs(piece)
        arguments = [str(EXPERIMENTS / "_gpu_worker.py"), piece.name, "--device", self.device]
        arguments += ["--out", str(self.state.out), "--work", str(self.work), "--answer", str(self.answer)]
        arguments += ["--until", f"{time.time() + self.left():.1f}", *(("--tiny",) if self.tiny else ())]
        error = self._process(piece, arguments)
        epochs, _ = self.state.epochs(piece)
        if error is not None:
            earlier = str(self.state.last(piece).get("error"))
            late = LATE in error and (epochs > before or LATE not in earlier)  # it may get on in another call
            return "stopped" if late else "failed", {"error": error, "epochs": epochs}
        answer = json.loads(self.answer.read_text(encoding="utf-8"))
        if answer["finished"]:
            self.state.checkpoint(piece).unlink(missing_ok=True)
            return "done", {"record": answer["record"], "epochs": epochs}
        if not answer["completed"] and self.left() < 0:
            minutes = (answer["seconds_per_epoch"] * MARGIN + STOPPING) / 60
            return "stopped", {
                "epochs": epochs,
                "error": f"no epoch was completed; one takes some {minutes:.1f} minutes, so give --minutes above that",
            }
        return "stopped", {"epochs": epochs}

    def _measured(self, piece: Piece) -> tuple[str, dict[str, Any]]:
        arguments = [str(BENCHMARKS / piece.command[0]), *piece.command[1:], "--json", str(self.answer)]
        # The other library's kernels for GPUs, without a fall-back that nobody notices.
        error = self._process(piece, arguments, SJ_LIF_CUDA_IMPLEMENTATION="triton")
        if error is not None:
            return "failed", {"error": error}
        return "done", {"result": json.loads(self.answer.read_text(encoding="utf-8"))}

    def _tested(self, piece: Piece) -> tuple[str, dict[str, Any]]:
        """Runs tests until all have an outcome; a test whose process dies has crashed."""
        running, error, waiting = self.answer.with_suffix(".test"), None, None
        arguments = ["-m", "pytest", "tests/gpu", "-p", "_gpu_tests", "-p", "no:cacheprovider", "-W", "default"]
        commit = json.dumps(code())
        for _ in range(RESTARTS):
            self.answer.unlink(missing_ok=True)
            until = time.time() + self.left()
            places = {OUTCOMES: str(self.state.tests), LEFT: str(self.answer)}
            error = self._process(piece, arguments, **places, **{UNTIL: f"{until:.1f}", COMMIT: commit})
            if running.exists():
                spent = round(time.time() - running.stat().st_mtime, 1)
                if _crashed(error) or spent > HANGS:  # else it was stopped because the call is over
                    crashed = {"test": running.read_text(encoding="utf-8"), "outcome": "crashed", "seconds": spent}
                    append_lines(self.state.tests, [{**crashed, "commit": commit, "message": error}])
                running.unlink()
            waiting = int(self.answer.read_text(encoding="utf-8")) if self.answer.exists() else None
            if waiting == 0 or self.left() < STOPPING or (waiting is None and not _crashed(error)):
                break
        outcomes = {entry["test"]: entry["outcome"] for entry in read_lines(self.state.tests)}  # the last of each
        counts = dict(sorted(Counter(outcomes.values()).items()))
        bad = {kind: counts[kind] for kind in ("failed", "crashed") if kind in counts}
        if waiting == 0:
            return ("failed", {"error": f"tests: {bad}", "result": counts}) if bad else ("done", {"result": counts})
        if waiting is None and error is not None and LATE not in error:
            return "failed", {"error": error, "result": counts}
        return "stopped", {"result": counts}


def _crashed(error: str | None) -> bool:
    """Whether a process of tests died, rather than refused to begin."""
    return error is not None and "exit status -" in error


def work(call: Call, queue: list[Piece], only: str | None) -> None:
    """Works on the next pieces that fit into the time that is left."""
    chosen = [piece for piece in queue if only in (None, piece.name)]
    for piece in chosen:
        if call.state.status(piece) == "done" or (only is None and call.state.status(piece) == "failed"):
            continue
        if call.left() < 60.0 * (0.0 if call.tiny else piece.least):
            print(f"{piece.name} waits: it needs {piece.least:g} minutes, and {call.left() / 60:.1f} are left")
            continue
        call.run(piece)


def listed(state: State, queue: list[Piece]) -> str:
    """What is done, running and waiting."""
    rows = []
    for piece in queue:
        epochs, _ = state.epochs(piece)
        size = state.checkpoint(piece).stat().st_size / 2**20 if state.checkpoint(piece).exists() else 0.0
        done = f"{epochs} epochs, checkpoint of {size:.1f} MiB" if size else ""
        rows.append((piece.name, state.status(piece), f"{state.minutes(piece):.0f}", done, piece.about))
    return markdown_table(("piece", "status", "minutes left", "so far", "what"), rows)


def tables() -> dict[str, str]:
    """The results that are committed, as docs/gpu.md shows them."""
    entries = read_lines(RECORDS)
    if not entries:
        return {"gpu": "No piece has run on a GPU yet."}
    rows = []
    for entry in {entry["piece"]: entry for entry in entries}.values():  # the last attempt of each
        commit = f"{str(entry['code']['commit'])[:9]}{'' if entry['code']['clean'] else ', changed'}"
        about = entry["device_name"], entry["date"][:10], commit
        rows.append((entry["piece"], entry["status"], found(entry), f"{entry['seconds']:.0f}", *about))
    header = "piece", "status", "result", "seconds of the last call", "device", "date", "commit"
    return {"gpu": markdown_table(header, rows)}


def found(entry: dict[str, Any]) -> str:
    """The result of a piece in a few words."""
    if entry["status"] != "done" and "result" not in entry:
        return f"{entry['epochs']} epochs" if "epochs" in entry else ""
    if "record" in entry:
        record = entry["record"]
        return f"{record['test_accuracy']:.2%} after {record['epochs']} epochs, {record['samples_per_second']:,.0f}/s"
    result = entry["result"]
    if "rows" not in result:
        return ", ".join(f"{count} {outcome}" for outcome, count in result.items())
    best = {"share_of_copy": "of a copy's GB/s", "images_per_second": "images/s"}
    return "; ".join(
        f"{name}: {row[key]:,.2f} {unit}"
        for name, row in result["rows"].items()
        for key, unit in best.items()
        if key in row
    )


def main() -> None:
    begin = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="how long this call may take")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--list", action="store_true", help="only say what is done, running and waiting")
    parser.add_argument("--only", metavar="NAME", help="one piece, also one that failed")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="the state of the queue")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ONCHIP_DATA", ".")))
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "gpu", help="for pictures, which can be lost")
    parser.add_argument("--tiny", action="store_true", help="tiny pieces, which prove nothing but that the script runs")
    parser.add_argument("--pack", type=Path, metavar="DIR", help="only put together what a bare machine needs")
    parser.add_argument("--wheels", type=Path, help="with --pack: packages that the machine lacks")
    parser.add_argument("--table", action="store_true", help="write the table in docs/gpu.md from the records")
    options = parser.parse_args()
    if options.table:
        write("gpu.md", tables())
        return
    if options.pack is not None:
        parts = pack(options.pack, options.data, options.out, options.wheels)
        rows = [(name, f"{size / 2**20:.2f}") for name, size in {**parts, "together": sum(parts.values())}.items()]
        print(markdown_table(("part", f"MiB, of {LIMIT / 2**20:.0f}"), rows))
        return
    queue = pieces(options.device, options.tiny)
    if options.only is not None and options.only not in {piece.name for piece in queue}:
        parser.error(f"got --only {options.only}; expected one of {', '.join(piece.name for piece in queue)}")
    call = Call(options, begin)
    if not options.list:
        work(call, queue, options.only)
    print(listed(call.state, queue))


if __name__ == "__main__":
    main()
