"""One training run: settings and data in, record out."""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from onchip import nn
from onchip.data import Dataset, SampleSource, batches
from onchip.errors import RequestError
from onchip.learning.ranks import ALONE, Ranks
from onchip.losses import predict
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Signal, mapped
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.runs.directory import feedback_file
from onchip.runs.record import Epoch, Record
from onchip.training.builder import build, describe
from onchip.training.failures import diverged, too_large
from onchip.training.gradients import gradients
from onchip.training.memory import first_line, ran_out
from onchip.training.model_folder import keep
from onchip.training.progress import ProgressListener
from onchip.training.randomness import own_randomness
from onchip.training.resolved import Given, Resolved, resolve
from onchip.training.resuming import restore
from onchip.training.run import Run


def train(
    config: RunConfig,
    data: Dataset,
    *,
    given: Given = Given(),
    save_to: Path | None = None,
    resume: bool = False,
    weights: Path | None = None,
    model: Path | None = None,
    watch: ProgressListener | None = None,
    ranks: Ranks = ALONE,
) -> Record:
    """Train one network by one rule, and measure it once on the test set.

    One seed gives the same first weights and the same order of samples under every rule. On a CPU, with
    one number of threads, it gives the same result bit for bit, interrupted and resumed or not: a resumed run takes
    the number of threads that it began with, unless `config.threads` names one. Several processes share each batch
    of `config.batch_size`; the first one writes all files.

    Args:
        config: The settings.
        data: The data set that they name, in its splits; see `onchip.training.builder.load_data`.
        given: Objects in place of names in the settings.
        save_to: Checkpoint file, written after each epoch; None writes none.
        resume: Continue from `save_to`, if it exists.
        weights: Safetensors file for the final weights; None writes none.
        model: Folder for the files that `onchip.load` reads; None writes none.
        watch: Receives the progress.
        ranks: The processes that train it together; all of them call this.

    Returns:
        The record, its status `ok`.

    Raises:
        RequestError: The settings do not fit each other or the data.
        UnsupportedError: The rule cannot train this network.
        DivergedError: The loss or a weight is no longer finite.
        CheckpointError: The checkpoint is damaged or of another run.
        DataError: A loader of the data fails.
        MemoryLimitError: The device has too little memory; the message names a batch that fits, determined by trial.
        ProcessLostError: Another of the processes has ended.

    Example:
        >>> from onchip.training.builder import load_data
        >>> config = RunConfig(rule="dfa", net="mlp", train_size=100, steps=2, epochs=1)
        >>> record = train(config, load_data(config))
        >>> record.ledger["weights_transported"]
        0
    """
    with ranks.together():
        resolved = resolve(config, data, given)
        _refuse_too_few(data, ranks)
    try:
        return _train(resolved, save_to, resume, weights, model, watch or ProgressListener(), ranks)
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        reason = first_line(error)
    # Only here, with the error and its traceback gone, is the memory free again.
    raise too_large(resolved, reason, ranks)


def _train(
    resolved: Resolved,
    save_to: Path | None,
    resume: bool,
    weights: Path | None,
    model: Path | None,
    watch: ProgressListener,
    ranks: Ranks,
) -> Record:
    begin, config = time.perf_counter(), resolved.config
    with own_randomness(config):
        run = build(resolved, ranks)
        if resume and save_to is not None and ranks.at_first(save_to.exists):
            restore(run, config, save_to)
        record = describe(resolved)
        if not _finished(run, config):
            run.continues()
        run.rule.expect(config.epochs * resolved.data.train.n_batches(config.batch_size))
        before = run.seconds
        data = resolved.data.to(config.device)
        watch.run_begins(config)
        while not _finished(run, config):
            epoch = len(run.history) + 1
            _train_epoch(run, data, epoch, watch)
            run.seconds = before + time.perf_counter() - begin
            run.rule.require_equal()
            if save_to is not None:
                state = {"spec": dataclasses.asdict(config), **run.state()}
                ranks.at_first(partial(checkpoint.save, save_to, state))
            watch.epoch_ended(run.history[-1])
        if run.best is not None:
            run.model.load_state_dict(run.best)
        encode = resolved.encoder(rank=ranks.rank)[0]
        test_accuracy = accuracy(run.model, data.test, encode, config.batch_size, ranks=ranks)
        bill = run.bill()
        run.rule.detach()
        if weights is not None and ranks.first:
            checkpoint.save(feedback_file(weights), {"feedback": run.rule.state_dict()})
            checkpoint.save_weights(weights, run.model.state_dict(), record.to_json())
    record = dataclasses.replace(
        record,
        status="ok",
        test_accuracy=test_accuracy,
        validation_accuracy=run.history[run.selected_epoch - 1].validation_accuracy,
        selected_epoch=run.selected_epoch,
        history=tuple(run.history),
        probes=run.probes.seen,
        provenance=tuple(run.provenance),
        ledger=bill,
        chip=run.chip(),
        claims=tuple(claim.name for claim in run.rule.claims.stated()),
        seconds=before + time.perf_counter() - begin,
        train_seconds=run.train_seconds,
        samples_per_second=len(data.train) * len(run.history) / run.train_seconds,
    )
    if model is not None and ranks.first:
        keep(model, resolved, run.model, run.rule, record)
    return record


def accuracy(
    model: nn.Sequential,
    split: SampleSource,
    encode: Callable[[Tensor], Signal],
    batch_size: int,
    *,
    ranks: Ranks = ALONE,
) -> float:
    """Share of a split, in [0, 1], that the bare model classifies correctly, by its output at steps with a target.

    Args:
        model: the network; it is left in training mode.
        split: samples and labels, on the model's device; at least one.
        encode: samples -> signal.
        batch_size: samples at a time.
        ranks: the processes that share each batch.
    """
    model.eval()
    last = build_graph(model).kind.last_step
    correct = torch.zeros((), dtype=torch.int64, device=split.device)
    with torch.no_grad(), ranks.apart():
        for samples, labels in batches(split, batch_size, shuffle=False, part=ranks.part):
            if not len(samples):  # of a last batch with fewer samples than there are processes
                continue
            per_step = labels.dim() == 2
            predicted = predict(model(encode(samples)), last=last, where=labels >= 0 if per_step else None)
            correct += (predicted == (labels.amax(0) if per_step else labels)).sum()
    model.train()
    return ranks.total([int(correct)])[0] / len(split)


def _train_epoch(run: Run, data: Dataset, epoch: int, watch: ProgressListener) -> None:
    """Train one epoch and add it to the history."""
    resolved, config = run.resolved, run.resolved.config
    steps = data.train.n_batches(config.batch_size)
    total_loss, ranks = 0.0, run.ranks
    watch.epoch_begins(epoch, steps)
    begin = time.perf_counter()
    augment = None if resolved.augment is None else run.augment
    drawn = batches(data.train, config.batch_size, generator=run.order, augment=augment, part=ranks.part)
    for step, (samples, labels) in enumerate(drawn):
        signal = run.encode(samples)
        value, loss = gradients(run.rule, resolved.loss, signal, labels, resolved.kind, config.chunk)
        if not math.isfinite(loss):
            raise diverged(run, config, epoch, step + 1, f"the loss is {loss}")
        before = time.perf_counter()
        _look(run, (epoch - 1) * steps + step, signal, labels)
        begin += time.perf_counter() - before  # measurements are no training
        if config.clip is not None:
            _clip(run, config.clip)
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.schedule.step()
        total_loss += value * ranks.total([len(samples)])[0]
        watch.stepped(value)
    if run.rule.nonfinite() is not None:  # a spike hides it from the loss: NaN >= threshold is just false
        raise diverged(run, config, epoch, steps, "found at the epoch's end")
    seconds = time.perf_counter() - begin
    run.train_seconds += seconds
    validated = None
    if len(data.validation):
        encode = resolved.encoder(rank=ranks.rank)[0]
        validated = accuracy(run.model, data.validation, encode, config.batch_size, ranks=ranks)
    _select(run, config, epoch, validated)
    run.history.append(Epoch(epoch, total_loss / len(data.train), validated, seconds))


def _look(run: Run, step: int, signal: Signal, labels: Tensor) -> None:
    """Measures the gradients where a probe is due, on the whole batch."""
    ranks, kind = run.ranks, run.resolved.kind
    if ranks.size > 1 and step in run.probes.at:
        axis = 1 if kind.over_time and isinstance(signal, Tensor) else 0
        signal = mapped(lambda share: ranks.whole(share, axis)[0], signal)
        labels = ranks.whole(labels, labels.dim() - 1)[0]
    run.probes.look(step, run.rule, run.model, signal, partial(run.resolved.loss, labels=labels))


def _refuse_too_few(data: Dataset, ranks: Ranks) -> None:
    if len(data.train) < ranks.size:
        raise RequestError(
            f"{ranks.size} processes share {len(data.train)} training samples; expected at least one for each. Start "
            "fewer processes"
        )


def _select(run: Run, config: RunConfig, epoch: int, validated: float | None) -> None:
    """Keep the weights of this epoch if they are the best so far by `select`."""
    if config.select == "last":
        run.selected_epoch = epoch
        return
    assert validated is not None, "RunConfig refuses 'best' without validation samples"
    if validated > max((earlier.validation_accuracy or 0.0 for earlier in run.history), default=-1.0):
        run.selected_epoch = epoch
        run.best = {name: value.clone() for name, value in run.model.state_dict().items()}


def _finished(run: Run, config: RunConfig) -> bool:
    """Whether all epochs are over, or validation has not improved for too many."""
    if len(run.history) == config.epochs:
        return True
    if config.patience is None or not run.history:
        return False
    best = max(run.history, key=lambda epoch: epoch.validation_accuracy or 0.0)  # the first of equals
    return len(run.history) - best.epoch >= config.patience


def _clip(run: Run, most: float) -> None:
    """Scale the gradients down to a norm, in place.

    Feedback that the optimizer trains is scaled with the network's own weights, whose norm alone counts: it
    may have to follow them exactly.
    """
    norm = get_total_norm([p.grad for p in run.model.parameters() if p.grad is not None])
    clip_grads_with_norm_(list(run.rule.parameters()), most, norm)
