"""Functions that run in processes of their own, so that nothing which one of them leaves behind reaches another."""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

import torch

from onchip.errors import OnchipError
from onchip.runs.processes import end_with

Result = TypeVar("Result")

ISOLATES = sys.platform == "linux"
"""Whether functions get processes of their own; elsewhere they run one after another in this process.

Only a fork keeps functions that cannot be pickled, and after a fork only Linux lets math libraries go on.
"""


def isolated(functions: Sequence[Callable[[], Result]]) -> list[Result]:
    """The result of each function, computed in a fork of this process; as many at once as there are cores.

    Args:
        functions: They share nothing that they change. Their results and errors can be pickled.

    Raises:
        Exception: What the first function that failed raised.
    """
    torch.optim.SGD([torch.zeros(1)], lr=0.0)  # torch imports much with its first optimizer, and not once per fork
    if not ISOLATES:
        return [function() for function in functions]
    cores = os.cpu_count() or 1
    results = []
    for start in range(0, len(functions), cores):
        forks = [_Fork(function) for function in functions[start : start + cores]]
        try:
            results += [fork.result() for fork in forks]
        finally:
            for fork in forks:
                fork.end()
    return results


class _Fork(Generic[Result]):
    """A function that runs in a fork of this process."""

    def __init__(self, function: Callable[[], Result]) -> None:
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        # No daemon: a fork may fork again.
        self._process = context.Process(target=_run, args=(function, sender, os.getpid()))
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads. The child needs none of theirs: it has one thread.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._process.start()
        sender.close()

    def result(self) -> Result:
        """Waits for what the function returned, and raises what it raised."""
        try:
            result, error = self._receiver.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise OnchipError(f"a process of the audit died with exit code {code} before it had a result") from None
        if error is not None:
            raise error
        returned: Result = result
        return returned

    def end(self) -> None:
        """Ends the process, whether or not it has a result."""
        self._process.kill()  # with the forks that it has made
        self._process.join()
        self._receiver.close()


def _run(function: Callable[[], Result], sender: Connection, parent: int) -> None:
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, too, which ends this process
    torch.set_num_threads(1)  # threads of the parent do not exist here
    try:
        sender.send((function(), None))
    except Exception as error:  # the parent raises it
        sender.send((None, error))
    sender.close()
