"""Memory that is kept costs no new page faults, here and in processes started from here."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from onchip import allocator

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")

FAULTS = """
import ctypes, resource
size, faults = 64 * 2**20, lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for _ in range(5):
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    libc.free(block)
print(faults() - before)
"""
BARE = {name: value for name, value in os.environ.items() if name not in (*allocator.SETTINGS, *allocator.OTHERS)}


def printed(program: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_block_is_faulted_in_once() -> None:
    """Five times by default, whatever the size of a page."""
    usual = int(printed(FAULTS, BARE))
    kept = int(printed("from onchip import allocator\nassert allocator.keep()\n" + FAULTS, BARE))
    assert kept < usual / 3


def test_processes_started_from_here_keep_it_too() -> None:
    program = f"""
import subprocess, sys
from onchip import allocator
assert allocator.keep()
print(subprocess.run([sys.executable, "-c", {FAULTS!r}], capture_output=True, text=True, check=True).stdout)
"""
    assert int(printed(program, BARE)) < int(printed(FAULTS, BARE)) / 3


@pytest.mark.parametrize("name", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_who_has_settings_of_their_own_keeps_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    before = dict(os.environ)
    assert not allocator.keep()
    assert dict(os.environ) == before


def test_importing_the_library_sets_nothing_and_the_command_line_does() -> None:
    tell = "import os; print('MALLOC_MMAP_MAX_' in os.environ)"
    assert printed(f"import onchip.nn; {tell}", BARE) == "False"
    call = "import sys, onchip.cli\nsys.argv = ['onchip', '--version']\ntry: onchip.cli.main()\nexcept SystemExit: pass"
    assert printed(f"{call}\n{tell}", BARE).endswith("True")
