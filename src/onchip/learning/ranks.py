"""The processes that train one network together, each on its share of every batch."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from onchip.errors import OnchipError, ProcessLostError, RequestError
from onchip.learning.random_streams import RandomStreams
from onchip.runs.launch import launched

Result = TypeVar("Result")

TIMEOUT = timedelta(minutes=10)
"""How long a process waits for another one that is alive; one that has ended is noticed at once."""


class Ranks:
    """This process among those that train one network together; a single one unless it comes from `Ranks.join`.

    All of them call the same methods in the same order. In a single process the methods return what they are given.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.

    Example:
        >>> Ranks().share(5), Ranks().part
        (1.0, (0, 1))
    """

    def __init__(self) -> None:
        self.rank, self.size = 0, 1
        self.streams = RandomStreams()
        self._control: Any = None  # the group for numbers on the CPU; None for that of all tensors

    @classmethod
    def join(cls, device: torch.device | str = "cpu") -> Ranks:
        """Joins the processes that `torchrun` started; one that was started without it stays alone.

        Args:
            device: Where the network is: the CPU, or `cuda`, which becomes the GPU of this process.

        Raises:
            RequestError: There are fewer GPUs than processes on this machine.
            ProcessLostError: The other processes did not come.
        """
        ranks = cls()
        if launched()[1] == 1 and not dist.is_initialized():
            return ranks
        try:
            device = torch.device(device)
        except RuntimeError as error:
            raise RequestError(f"device got {device!r}; expected cpu or cuda") from error
        if device.type == "cuda":
            torch.cuda.set_device(_own_gpu(device))
            torch.cuda.init()
        with _lost():
            if not dist.is_initialized():
                dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
            ranks.rank, ranks.size = dist.get_rank(), dist.get_world_size()
            if dist.get_backend() != "gloo":
                ranks._control = dist.new_group(backend="gloo", timeout=TIMEOUT)
        ranks.streams.seed(torch.initial_seed(), ranks.rank)
        return ranks

    def fails_first(self) -> bool:
        """Notes that this process ends with an error; whether it is the first one that does, and should say so."""
        if self.size == 1:
            return True
        with suppress(RuntimeError):
            return bool(dist.distributed_c10d._get_default_store().add("onchip/failed", 1) == 1)
        return self.first  # whoever keeps the count is gone

    def leave(self) -> None:
        """Closes the connections to the other processes."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    @property
    def part(self) -> tuple[int, int]:
        """(rank, size), as `onchip.data.batches` takes it."""
        return self.rank, self.size

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def share(self, count: int) -> float:
        """What part of all processes' samples, or targets, are the `count` of this one."""
        return count / max(self.total([count])[0], 1) if self.size > 1 else 1.0

    def sum_(self, *tensors: Tensor) -> None:
        """Adds up each tensor over the processes, in place; all of one type travel in one piece."""
        if self.size == 1:
            return
        groups: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor in tensors:
            groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
        for same in groups.values():
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
            self._reduce(flat, dist.ReduceOp.SUM)
            for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
                tensor.detach().copy_(part.view(tensor.shape))

    def largest(self, tensor: Tensor) -> Tensor:
        """The largest of the processes' numbers, for each entry."""
        if self.size == 1:
            return tensor
        found = tensor.clone()
        self._reduce(found, dist.ReduceOp.MAX)
        return found

    def total(self, counts: Sequence[int]) -> list[int]:
        """Sums of whole numbers over the processes."""
        if self.size == 1:
            return list(counts)
        numbers = torch.tensor(counts, dtype=torch.int64)
        self._reduce(numbers, dist.ReduceOp.SUM)
        return [int(number) for number in numbers]

    def mean(self, values: Tensor, axis: int) -> Tensor:
        """Mean along the axis of samples, which stays, over those of all processes."""
        if self.size == 1:
            return values.mean(axis, keepdim=True)
        summed = values.sum(axis, keepdim=True)
        self.sum_(summed)
        return summed / self.total([values.shape[axis]])[0]

    def whole(self, share: Tensor, axis: int) -> tuple[Tensor, slice]:
        """The shares of all processes, concatenated along an axis, and the place of this process's own in it."""
        if self.size == 1:
            return share, slice(0, share.shape[axis])
        lengths: list[int] = self.gather(share.shape[axis])
        start = sum(lengths[: self.rank])
        shape = [sum(lengths) if number == axis % share.dim() else length for number, length in enumerate(share.shape)]
        joined = share.new_zeros(shape)
        joined.narrow(axis, start, share.shape[axis]).copy_(share.detach())
        self.sum_(joined)
        return joined, slice(start, start + share.shape[axis])

    def gather(self, value: Result) -> list[Result]:
        """What each process has for a value, in the order of their ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with _lost():
            dist.all_gather_object(values, value, group=self._control)
        return values

    def at_first(self, call: Callable[[], Result]) -> Result:
        """The result of a call that the first process makes for all; what it raises, all raise."""
        if self.size == 1:
            return call()
        answer: list[Any] = [None, None]
        if self.first:
            try:
                answer[0] = call()
            except (OnchipError, OSError) as error:
                answer[1] = error
        with _lost():
            dist.broadcast_object_list(answer, src=0, group=self._control)
        if answer[1] is not None:
            raise answer[1]
        result: Result = answer[0]
        return result

    @contextmanager
    def together(self) -> Iterator[None]:
        """What one process raises in the block, all raise at its end; the block must not wait for other processes."""
        failed: Exception | None = None
        try:
            yield
        except (OnchipError, OSError) as error:
            if self.size == 1:
                raise
            failed = error
        found = next((error for error in self.gather(failed) if error is not None), None)
        if found is not None:
            raise found

    def apart(self) -> Any:
        """A block in which torch's random numbers are of this process's own, as noise of its samples must be."""
        return nullcontext() if self.size == 1 else self.streams.drawing("own")

    def alike(self) -> Any:
        """A block in which torch's random numbers are those of all processes, as what they must agree on."""
        return nullcontext() if self.size == 1 else self.streams.drawing("shared")

    def equalize(self, tensors: Sequence[Tensor]) -> None:
        """Gives all processes the first one's values."""
        for tensor in tensors if self.size > 1 else ():
            values = tensor.detach().contiguous()
            with _lost():
                dist.broadcast(values, 0, group=self._group(values))
            tensor.detach().copy_(values)

    def require_equal(self, tensors: Mapping[str, Tensor], what: str) -> None:
        """Refuses tensors that differ between processes.

        Raises:
            ProcessLostError: They differ; the message names the first one that does.
        """
        if self.size == 1:
            return
        found = self.gather({name: _digest(tensor) for name, tensor in tensors.items()})
        for rank, digests in enumerate(found):
            for name in found[0]:
                if digests.get(name) != found[0][name]:
                    raise ProcessLostError(
                        f"{what} {name!r} of process {rank} differ from those of process 0, so the processes no longer "
                        "train one network; begin again from the last checkpoint, and see whether something in the "
                        "program draws random numbers of its own"
                    )

    def _reduce(self, tensor: Tensor, how: Any) -> None:
        with _lost():
            dist.all_reduce(tensor, how, group=self._group(tensor))

    def _group(self, tensor: Tensor) -> Any:
        return self._control if tensor.device.type == "cpu" else None


ALONE = Ranks()
"""A single process."""


def only_given(ranks: Ranks | None) -> Ranks:
    """The processes that were given, or this one alone.

    Raises:
        RequestError: There are others, of which each would train a network of its own, into the same files.
    """
    _, size = launched()
    if ranks is None and size > 1:
        raise RequestError(
            f"this process is one of {size} that were started to train together; pass ranks=onchip.Ranks.join(), or "
            "ranks=onchip.Ranks() to train in each of them alone"
        )
    return ALONE if ranks is None else ranks


@contextmanager
def _lost() -> Iterator[None]:
    """Replaces what a lost connection raises."""
    try:
        yield
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ProcessLostError(
            f"another process that trains this network has ended, or is stuck ({reason:.200})"
        ) from error


def _own_gpu(device: torch.device) -> torch.device:
    if str(device) != device.type:
        raise RequestError(
            f"got the device {str(device)!r} for several processes; expected 'cuda', of which each has one"
        )
    local, here = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= here:
        raise RequestError(
            f"there are {here} GPUs on this machine, and this is process {local + 1} on it; start at most one process "
            f"per GPU: torchrun --nproc-per-node {max(here, 1)}"
        )
    return torch.device("cuda", local)


def _digest(tensor: Tensor) -> int:
    return zlib.crc32(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
