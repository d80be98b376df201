"""Building compiled kernels: once, whole, and never in the way of who has no compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from onchip import kernels
from onchip.errors import RequestError
from onchip.kernels import native, store

# Not whether the kernels are active: sources that do not compile must fail here, as all other tests of them skip then.
HAS_COMPILER = any(map(shutil.which, [os.environ.get("CC") or "cc", "gcc", "clang"]))
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="needs a C compiler")


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder with nothing in it, a module that has loaded nothing yet, and a compiler that does not optimize.

    So a build takes a fifth of its time. All other tests of kernels run those that are built as usual.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(native.VARIABLE, raising=False)
    if HAS_COMPILER:
        quick = compiler(tmp_path_factory.mktemp("quick"), f'exec {native._compiler()} "$@" -O0')
        monkeypatch.setenv("CC", quick)
    for kept in (native._loaded, native._warn):
        kept.cache_clear()
    yield tmp_path
    for kept in (native._loaded, native._warn):
        kept.cache_clear()


def compiler(folder: Path, script: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@needs_compiler
def test_kernels_are_built_once_and_kept(fresh: Path) -> None:
    assert kernels.active() == "native"
    (built,) = store.folder().iterdir()
    assert built.is_relative_to(fresh)
    before = built.stat().st_mtime_ns
    native._loaded.cache_clear()
    assert kernels.active() == "native"
    assert built.stat().st_mtime_ns == before


@needs_compiler
def test_a_library_that_was_cut_short_is_built_again(fresh: Path) -> None:
    """In a process of its own: the system's loader crashes on some of these."""
    assert kernels.active() == "native"
    (built,) = store.folder().iterdir()
    whole = built.read_bytes()
    ran = subprocess.run([sys.executable, "-c", CUT_SHORT, built], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, 3 * "native\n"), ran.stderr
    assert built.read_bytes() == whole


CUT_SHORT = """
import sys
from pathlib import Path
from onchip import kernels
from onchip.kernels import native

built = Path(sys.argv[1])
whole = built.read_bytes()
for share in (0.0, 0.3, 0.999):
    damaged = built.with_name("damaged")  # a new file, as this process has the old one in its memory
    damaged.write_bytes(whole[: int(share * len(whole))])
    damaged.chmod(0o700)
    damaged.replace(built)
    native._loaded.cache_clear()
    print(kernels.active())
    assert built.read_bytes() == whole, share
"""


@needs_compiler
def test_a_library_without_the_functions_is_built_again(fresh: Path) -> None:
    native_compiler = native._compiler()
    (fresh / "empty.c").write_text("int nothing;")
    with tempfile.TemporaryDirectory(dir=store.opened()) as folder:
        library = Path(folder) / "empty.so"
        subprocess.run([native_compiler, "-shared", "-o", library, fresh / "empty.c"], check=True)
        kept = store.keep(library, f"kernels-{native._fingerprint(native_compiler)}")
    with pytest.raises(native.BuildError, match="has no function onchip_"):
        native._opened(kept)
    assert kernels.active() == "native"


def test_a_compiler_that_makes_another_library_is_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler(fresh, 'while [ "$1" != -o ]; do shift; done; echo no library > "$2"'))
    with pytest.warns(UserWarning, match="compiled kernels are not used"):
        assert kernels.active() == "torch"


@needs_compiler
def test_builds_at_the_same_time_do_not_disturb_each_other(fresh: Path) -> None:
    builds = [threading.Thread(target=native.build, args=(native._compiler(), "kernels-same")) for _ in range(3)]
    for thread in builds:
        thread.start()
    for thread in builds:
        thread.join()
    (path,) = store.folder().iterdir()
    assert ctypes.CDLL(str(path)).onchip_pack


@pytest.mark.parametrize("script", ["echo 'error: no such thing' >&2; exit 1", "exit 3", "kill -9 $$"])
def test_a_compiler_that_fails_is_told_once_and_torch_goes_on(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv("CC", compiler(fresh, script))
    with pytest.warns(UserWarning, match=r"compiled kernels are not used, torch does their work: .*failed"):
        assert kernels.active() == "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert kernels.active() == "torch"
    assert not list(store.folder().iterdir())


def test_a_missing_compiler_is_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with kernels.forced("native"), pytest.raises(RequestError, match=r"no-such-compiler\. Install a C compiler"):
        kernels.active()
    with pytest.warns(UserWarning, match="no C compiler named no-such-compiler"):
        assert kernels.active() == "torch"


def test_a_cache_that_cannot_be_written_is_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fresh / "onchip").write_text("a file where the folder would be")
    monkeypatch.setenv("CC", compiler(fresh, "exit 0"))
    with pytest.warns(UserWarning, match="not used"):
        assert kernels.active() == "torch"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.VARIABLE, "torch")
    assert kernels.active() == "torch"
    assert native.function("onchip_pack") is None
    monkeypatch.setenv(native.VARIABLE, "fast")
    with pytest.raises(RequestError, match="ONCHIP_KERNELS=fast; expected one of auto, native, triton, torch"):
        kernels.active()


def test_a_block_decides_over_the_environment_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.VARIABLE, "auto")
    with kernels.forced("torch"):
        assert kernels.active() == "torch"
    assert native.choice() == "auto"


@needs_compiler
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_torch_and_the_kernels_share_one_openmp() -> None:
    script = (
        "from onchip import kernels\nassert kernels.active() == 'native'\n"
        "print(len({line.split()[-1] for line in open('/proc/self/maps') if 'omp.so' in line or 'omp-' in line}))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ})
    assert ran.stdout.strip() == "1", ran.stderr
    assert torch.get_num_threads() >= 1


def test_sources_lie_beside_the_module() -> None:
    assert {source.name for source in native.SOURCES} >= {"popcount.c"}
