"""The errors of runs that cannot go on, with what to do about it."""

import dataclasses

from onchip.data import batches
from onchip.errors import DivergedError, MemoryLimitError
from onchip.learning.ranks import Ranks
from onchip.runs.config import RunConfig
from onchip.training.builder import build
from onchip.training.gradients import gradients
from onchip.training.memory import fitting, release
from onchip.training.randomness import own_randomness
from onchip.training.resolved import Resolved
from onchip.training.run import Run


def too_large(resolved: Resolved, reason: str, ranks: Ranks) -> MemoryLimitError:
    """The error of a run for which memory did not suffice."""
    config, data, kind = resolved.config, resolved.data, resolved.kind
    tried = min(config.chunk or -(-config.batch_size // ranks.size), len(data.train))

    def step(batch: int) -> None:
        smaller = dataclasses.replace(config, batch_size=batch, chunk=None)
        with own_randomness(smaller):
            run, moved = build(dataclasses.replace(resolved, config=smaller)), data.to(smaller.device)
            samples, labels = next(batches(moved.train, batch, generator=run.order))
            samples, labels = samples[:batch], labels[..., :batch]  # a loader has batches of its own size
            for _ in range(2):  # the optimizer's own memory is there from the second step on
                gradients(run.rule, resolved.loss, run.encode(samples), labels, kind)
                run.optimizer.step()
                run.optimizer.zero_grad()

    fits = fitting(tried, step)
    release()
    remedy = "not even a batch of 1 fits; use a smaller network, fewer time steps or less data"
    if fits is not None:
        remedy = (
            f"a batch of {fits} fits. Use --batch-size {fits * ranks.size}, or --chunk {fits} to learn from as many "
        )
        remedy += "as now"
        if not config.recompute:
            remedy += ", or try --recompute"
    return MemoryLimitError(
        f"{config.rule} with seed {config.seed} ran out of memory on {config.device!r} with a batch of {tried}: "
        f"{reason}; {remedy}"
    )


def diverged(run: Run, config: RunConfig, epoch: int, step: int, what: str) -> DivergedError:
    """The error of a run that left the finite numbers."""
    layer = run.rule.nonfinite()
    where = f"{layer!r} is not finite"
    if layer is None:
        largest = {name: weight.abs().max().item() for name, weight in run.model.named_parameters()}
        layer = max(largest, key=largest.__getitem__)
        where = f"all weights are finite, but those of {layer!r} reach {largest[layer]:.3g}"
    return DivergedError(
        f"{config.rule} with seed {config.seed} diverged in epoch {epoch}, step {step}: {what}; {where}. "
        f"Try a learning rate below {config.lr:g}"
    )
