"""Jobs of SLURM, through submitit."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Literal

from onchip._types import checked
from onchip.errors import RequestError, require
from onchip.training.clusters.base import Workers

__all__ = ["Slurm"]


class JobLost(Exception):
    """A job ended without a result: killed, out of memory, out of time, or preempted."""


@checked
class Slurm(Workers):
    """One job of SLURM per run; SLURM decides when it begins.

    A job that ends without a result, such as at its time limit, is submitted again and goes on from its last epoch.

    Args:
        partition: The partition; None for SLURM's default, as for all options that are left out.
        time: Time limit of a job, minutes.
        cpus: CPUs of a job, which are also the threads of its run.
        memory: Memory of a job, GB.
        gpus: GPUs of a job.
        account: The account that pays.
        qos: Quality of service.
        constraint: Features that a node must have.
        manager: `slurm`; or `local` for processes on this machine, to try this without SLURM.
        jobs: The number of jobs at a time; None for all.
    """

    lost = (JobLost,)

    def __init__(
        self,
        *,
        partition: str | None = None,
        time: int = 60,
        cpus: int = 1,
        memory: float | None = None,
        gpus: int = 0,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        manager: Literal["slurm", "local"] = "slurm",
        jobs: int | None = None,
    ) -> None:
        require(time >= 1, "cluster slurm", "time", time, "at least 1 minute")
        require(1 <= cpus <= 1024, "cluster slurm", "cpus", cpus, "1 to 1024 CPUs")
        require(memory is None or memory > 0, "cluster slurm", "memory", memory, "more than 0 GB")
        require(gpus >= 0, "cluster slurm", "gpus", gpus, "at least 0 GPUs")
        super().__init__(jobs)
        self._manager, self._cpus = manager, cpus
        self._options: dict[str, Any] = {
            "timeout_min": time,
            "cpus_per_task": cpus,
            "mem_gb": memory,
            "gpus_per_node": gpus or None,
        }
        if manager == "slurm":
            slurm = {"partition": partition, "account": account, "qos": qos, "constraint": constraint}
            self._options |= {f"slurm_{name}": value for name, value in slurm.items()}
        self._jobs: dict[Future[Any], Any] = {}
        self._executor: Any = None

    def __enter__(self) -> Slurm:
        try:
            import submitit
        except ImportError as error:
            raise RequestError(
                f"jobs of SLURM need the package submitit, and it cannot be imported ({error}); "
                "pip install 'onchip[slurm]'"
            ) from error
        if self._manager == "slurm" and shutil.which("sbatch") is None:
            raise RequestError("there is no SLURM on this machine: sbatch is not found; run this on its login node")
        self._submitit = submitit
        return self

    def __exit__(self, *error: object) -> None:
        for future, job in self._jobs.items():
            if not future.done():
                with contextlib.suppress(Exception):  # it may have ended just now
                    job.cancel(check=False)
        self._jobs, self._executor = {}, None

    @property
    def threads(self) -> int:
        return self._cpus

    def room(self, running: int) -> bool:
        return self.jobs is None or running < self.jobs

    def submit(self, folder: Path, call: Callable[..., Any], *arguments: Any) -> Future[Any]:
        if self._executor is None:
            self._executor = self._submitit.AutoExecutor(folder=folder / "jobs", cluster=self._manager)
            self._executor.update_parameters(
                name="onchip", **{name: value for name, value in self._options.items() if value is not None}
            )
        try:
            job = self._executor.submit(_outcome, call, *arguments)
        except self._submitit.core.utils.FailedJobError as error:
            raise RequestError(f"SLURM refuses the job: {self.reason(error)}") from error
        future: Future[Any] = Future()
        self._jobs[future] = job
        return future

    def gone(self, future: Future[Any]) -> str | None:
        job = self._jobs[future]
        if not job.done():
            return None
        del self._jobs[future]
        try:
            result, error = job.result()
        except (self._submitit.core.utils.UncompletedJobError, self._submitit.core.utils.FailedJobError) as lost:
            future.set_exception(JobLost(f"job {job.job_id}: {self.reason(lost)}"))
            return None
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
        return None

    def reason(self, error: BaseException) -> str:
        """The last line that says something."""
        lines = [line for line in str(error).splitlines() if line.strip(" -")]
        return lines[-1].strip() if lines else type(error).__name__


def _outcome(call: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a call returned or raised: submitit would pass on the text of an error alone."""
    try:
        return call(*arguments), None
    except Exception as error:
        return None, error
