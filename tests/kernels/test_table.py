"""The one table of what compiled code can do: every surrogate on every kernel, and numbers that all sides share."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from onchip import kernels, surrogate
from onchip.kernels import native
from onchip.kernels.lif import Membrane, backward, backward_local
from onchip.kernels.table import MACROS, NATIVE, TRITON, Formula, Past, compiled
from onchip.surrogate import Sigmoid, Surrogate

EXPORTED: list[Surrogate] = [getattr(surrogate, name)() for name in surrogate.__all__ if name != "Surrogate"]


def test_every_exported_surrogate_is_compiled_under_a_number_of_its_own() -> None:
    numbers = [found[0] for psi in EXPORTED if (found := compiled(psi)) is not None]
    assert sorted(numbers) == sorted(Formula) == list(range(len(EXPORTED)))


def test_a_subclass_may_compute_something_else() -> None:
    class Steeper(Sigmoid):  # type: ignore[misc]
        pass

    assert compiled(Steeper()) is None


@pytest.mark.skipif(kernels.active() != "native", reason="needs a C compiler")
@pytest.mark.parametrize("psi", EXPORTED, ids=repr)
@pytest.mark.parametrize("membrane", [Membrane(0.5, 1.0, h, d) for h in (False, True) for d in (False, True)], ids=repr)
def test_the_c_code_computes_what_the_surrogate_does(psi: Surrogate, membrane: Membrane) -> None:
    potentials, error = torch.randn(4, 3, 37) + 0.4, torch.randn(4, 3, 37)
    ways: list[Callable[..., Tensor]] = [backward, backward_local]
    for way in ways:
        with kernels.forced("native"):
            got = way(potentials.clone(), error, membrane, psi, None)
        with kernels.forced("torch"):
            expected = way(potentials.clone(), error, membrane, psi, None)
        torch.testing.assert_close(got, expected, rtol=2e-5, atol=1e-6)


def test_triton_has_the_numbers_of_the_table() -> None:
    pytest.importorskip("triton")
    from onchip.kernels.fused import errors, surrogates

    for module, table in ((surrogates, Formula), (errors, Past)):
        named = {name: getattr(module, name).value for name in table.__members__ if hasattr(module, name)}
        assert named
        assert named == {name: int(table[name]) for name in named}


def test_the_c_sources_use_every_macro_and_define_none_again() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in native.SOURCES)
    assert all(name in sources for name in MACROS if name != "RECTANGLE" or "CASES(RECTANGLE)" in sources)
    assert not any(f"{name} =" in sources.replace(f"= {name}", "") for name in MACROS)


def test_arguments_are_read_from_the_c_sources() -> None:
    signatures = native._signatures()
    assert {"onchip_forward", "onchip_backward", "onchip_static_drive", "onchip_pack"} <= set(signatures)
    letters = {type_: letter for letter, type_ in zip("pid", (ctypes.c_void_p, *native.TYPES.values()), strict=True)}
    assert "".join(letters[one] for one in signatures["onchip_forward"]) == "ppppiiiiiiiiidd"
    assert "".join(letters[one] for one in signatures["onchip_backward"]) == "ppiiiiiiiiidddd"


def test_what_each_takes() -> None:
    series = torch.zeros(2, 3, 4)
    assert NATIVE.take(series)
    assert TRITON.take(series, 8)
    assert TRITON.take(series.bfloat16())
    assert NATIVE.take(series.bfloat16())
    assert not NATIVE.take(series.half())
    assert not NATIVE.take(series.double())
    assert not TRITON.take(series.double())
    assert not TRITON.take(series, 9)
    assert not TRITON.take(torch.zeros(1).expand(2, TRITON.static_steps, math.ceil(TRITON.largest_step)))
