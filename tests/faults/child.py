"""What a process of the fault tests does: one command line, in a folder of its own."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

THREADS = 2


def main(folder: Path, arguments: tuple[str, ...], largest_file: int | None) -> None:
    """Run `onchip` as the leader of a session.

    Args:
        folder: The working directory; temporary files go to `tmp` in it, and output to `output`.
        arguments: The command line.
        largest_file: Bytes above which a write fails; None for any number.
    """
    import torch

    from onchip.cli import main as onchip
    from onchip.training import worker

    worker.begin(os.getppid(), by_signal=True)  # it ends with the tests
    for number in (signal.SIGHUP, signal.SIGTERM):  # whoever runs the tests may ignore them
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    os.chdir(folder)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
    output = os.open("output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if largest_file is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    torch.set_num_threads(THREADS)
    sys.argv = ["onchip", *arguments]
    onchip()
