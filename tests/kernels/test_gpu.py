"""Which kernels run on which device, and what happens where Triton cannot."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable

import pytest
import torch

from onchip import kernels
from onchip.errors import RequestError
from onchip.kernels import gpu, native
from onchip.kernels.lif import Membrane, backward, forward, weighted_sum
from onchip.kernels.trace import trace
from onchip.surrogate import Sigmoid

MEMBRANE = Membrane(0.5, 1.0, False, False)


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """This processor passes for a GPU."""
    monkeypatch.setattr(gpu, "_reached", lambda device: True)
    monkeypatch.setattr(gpu, "_broken", [])
    gpu._launcher.cache_clear()


def fails(error: Exception) -> Callable[[str], Callable[..., None]]:
    def launch(*arguments: object) -> None:
        raise error

    return lambda name: launch


def test_one_kind_of_kernels_insisted_on_is_not_had_everywhere() -> None:
    with kernels.forced("triton"), pytest.raises(RequestError, match="ONCHIP_KERNELS=triton and device 'cpu'"):
        kernels.active("cpu")
    with kernels.forced("native"), pytest.raises(RequestError, match="ONCHIP_KERNELS=native and device 'cuda'"):
        kernels.active("cuda:0")
    with kernels.forced("torch"):
        assert kernels.active("cuda") == "torch"


@pytest.mark.parametrize("choice", ["auto", "torch"])
def test_a_processor_has_the_compiled_kernels_that_can_be_had(choice: native.Choice) -> None:
    """Tests of compiled kernels are left out where this says torch."""
    with kernels.forced(choice):
        assert kernels.active("cpu") == native.active()


def test_a_failure_is_told_once_and_torch_goes_on(reached: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_launcher", fails(RuntimeError("ptxas:\nno such architecture sm_999")))
    drive = torch.randn(4, 3, 7) + 0.4
    with pytest.warns(UserWarning, match="Triton kernels are not used, .*RuntimeError: no such architecture sm_999"):
        spikes, potentials, _ = forward(drive.clone(), None, MEMBRANE, None, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = (
            spikes,
            backward(potentials.clone(), drive, MEMBRANE, Sigmoid(), None),
            trace(drive, 0.5),
            weighted_sum(drive, [1.0, 2.0, 3.0, 4.0]),
        )
        assert gpu.scan("trace", drive) is None
    monkeypatch.undo()
    expected = (
        forward(drive.clone(), None, MEMBRANE, None, None)[0],
        backward(potentials.clone(), drive, MEMBRANE, Sigmoid(), None),
        trace(drive, 0.5),
        weighted_sum(drive, [1.0, 2.0, 3.0, 4.0]),
    )
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


@pytest.mark.parametrize("name", ["backward", "trace", "weighted_sum"])
def test_whichever_kernel_fails_its_work_is_done(reached: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    work: dict[str, Callable[[], torch.Tensor]] = {
        "backward": lambda: backward(torch.ones(3, 2, 4), torch.ones(3, 2, 4), MEMBRANE, Sigmoid(), None),
        "trace": lambda: trace(torch.ones(3, 2, 4), 0.5),
        "weighted_sum": lambda: weighted_sum(torch.ones(3, 2, 4), [1.0, 2.0, 3.0]),
    }
    monkeypatch.setattr(gpu, "_launcher", fails(OSError("no driver")))
    with pytest.warns(UserWarning, match="OSError: no driver"):
        got = work[name]()
    monkeypatch.undo()
    assert torch.equal(got, work[name]())


def test_a_missing_triton_is_named(reached: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    for name in [name for name in sys.modules if name.startswith("onchip.kernels.fused")]:
        monkeypatch.delitem(sys.modules, name)
    with (
        kernels.forced("triton"),
        pytest.raises(RequestError, match=r"ModuleNotFoundError: .*triton.*Install a Triton"),
    ):
        trace(torch.ones(3, 2, 4), 0.5)
    with pytest.warns(UserWarning, match="Triton kernels are not used"):
        assert kernels.active("cpu") == "torch"


def test_too_little_memory_is_no_reason_to_give_triton_up(reached: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "_launcher", fails(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(torch.OutOfMemoryError):
        trace(torch.ones(3, 2, 4), 0.5)
    assert not gpu._broken
