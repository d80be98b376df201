"""One training run: settings and data in, record out."""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from onchip import nn
from onchip.data import Dataset, SampleSource, batches
from onchip.errors import CheckpointError, DataError, DivergedError, MemoryLimitError
from onchip.losses import predict
from onchip.nn.graph_builder import build_graph
from onchip.nn.signals import Signal
from onchip.runs import checkpoint
from onchip.runs.config import RunConfig
from onchip.runs.directory import feedback_file
from onchip.runs.record import Epoch, Record
from onchip.training.builder import Given, Resolved, Run, build, describe, own_randomness, resolve
from onchip.training.gradients import gradients
from onchip.training.memory import first_line, fitting, ran_out, release
from onchip.training.model_folder import keep
from onchip.training.progress import ProgressListener


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
) -> Record:
    """Train one network by one rule, and measure it once on the test set.

    One seed gives the same first weights and the same order of samples under every rule. On a CPU, with
    one number of threads, it gives the same result bit for bit, interrupted and resumed or not: a resumed run takes
    the number of threads that it began with, unless `config.threads` names one.

    Args:
        config: The settings.
        data: The data set that they name, in its splits; see `onchip.training.builder.load_data`.
        given: Objects in place of names in the settings.
        save_to: Checkpoint file, written after each epoch; None writes none.
        resume: Continue from `save_to`, if it exists.
        weights: Safetensors file for the final weights; None writes none.
        model: Folder for the files that `onchip.load` reads; None writes none.
        watch: Receives the progress.

    Returns:
        The record, its status `ok`.

    Raises:
        RequestError: The settings do not fit each other or the data.
        UnsupportedError: The rule cannot train this network.
        DivergedError: The loss or a weight is no longer finite.
        CheckpointError: The checkpoint is damaged or of another run.
        DataError: A loader of the data fails.
        MemoryLimitError: The device has too little memory; the message names a batch that fits, determined by trial.

    Example:
        >>> from onchip.training.builder import load_data
        >>> config = RunConfig(rule="dfa", net="mlp", train_size=100, steps=2, epochs=1)
        >>> record = train(config, load_data(config))
        >>> record.ledger["weights_transported"]
        0
    """
    resolved = resolve(config, data, given)
    try:
        return _train(resolved, save_to, resume, weights, model, watch or ProgressListener())
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        reason = first_line(error)
    # Only here, with the error and its traceback gone, is the memory free again.
    raise _too_large(resolved, reason)


def _train(
    resolved: Resolved,
    save_to: Path | None,
    resume: bool,
    weights: Path | None,
    model: Path | None,
    watch: ProgressListener,
) -> Record:
    begin, config = time.perf_counter(), resolved.config
    with own_randomness(config):
        run = build(resolved)
        if resume and save_to is not None and save_to.exists():
            _restore(run, config, save_to)
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
            if save_to is not None:
                checkpoint.save(save_to, {"spec": dataclasses.asdict(config), **run.state()})
            watch.epoch_ended(run.history[-1])
        if run.best is not None:
            run.model.load_state_dict(run.best)
        test_accuracy = accuracy(run.model, data.test, resolved.encoder()[0], config.batch_size)
        run.rule.detach()
        if weights is not None:
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
        ledger=run.bill(),
        chip=run.chip(),
        seconds=before + time.perf_counter() - begin,
        train_seconds=run.train_seconds,
        samples_per_second=len(data.train) * len(run.history) / run.train_seconds,
    )
    if model is not None:
        keep(model, resolved, run.model, run.rule, record)
    return record


def accuracy(model: nn.Sequential, split: SampleSource, encode: Callable[[Tensor], Signal], batch_size: int) -> float:
    """Share of a split, in [0, 1], that the bare model classifies correctly, by its output at steps with a target.

    Args:
        model: the network; it is left in training mode.
        split: samples and labels, on the model's device; at least one.
        encode: samples -> signal.
        batch_size: samples at a time.
    """
    model.eval()
    last = build_graph(model).kind.last_step
    correct = torch.zeros((), dtype=torch.int64, device=split.device)
    with torch.no_grad():
        for samples, labels in batches(split, batch_size, shuffle=False):
            per_step = labels.dim() == 2
            predicted = predict(model(encode(samples)), last=last, where=labels >= 0 if per_step else None)
            correct += (predicted == (labels.amax(0) if per_step else labels)).sum()
    model.train()
    return int(correct) / len(split)


def _train_epoch(run: Run, data: Dataset, epoch: int, watch: ProgressListener) -> None:
    """Train one epoch and add it to the history."""
    resolved, config = run.resolved, run.resolved.config
    steps = data.train.n_batches(config.batch_size)
    total_loss = 0.0
    watch.epoch_begins(epoch, steps)
    begin = time.perf_counter()
    drawn = batches(data.train, config.batch_size, generator=run.order, augment=resolved.augment)
    for step, (samples, labels) in enumerate(drawn):
        signal = run.encode(samples)
        value, loss = gradients(run.rule, resolved.loss, signal, labels, resolved.kind, config.chunk)
        if not math.isfinite(loss):
            raise _diverged(run, config, epoch, step + 1, f"the loss is {loss}")
        before = time.perf_counter()
        run.probes.look((epoch - 1) * steps + step, run.rule, run.model, signal, partial(resolved.loss, labels=labels))
        begin += time.perf_counter() - before  # measurements are no training
        if config.clip is not None:
            _clip(run, config.clip)
        run.optimizer.step()
        run.optimizer.zero_grad()
        run.schedule.step()
        total_loss += value * len(samples)
        watch.stepped()
    if run.rule.nonfinite() is not None:  # a spike hides it from the loss: NaN >= threshold is just false
        raise _diverged(run, config, epoch, steps, "found at the epoch's end")
    seconds = time.perf_counter() - begin
    run.train_seconds += seconds
    validated = None
    if len(data.validation):
        validated = accuracy(run.model, data.validation, resolved.encoder()[0], config.batch_size)
    _select(run, config, epoch, validated)
    run.history.append(Epoch(epoch, total_loss / len(data.train), validated, seconds))


def _too_large(resolved: Resolved, reason: str) -> MemoryLimitError:
    """The error of a run for which memory did not suffice."""
    config, data, kind = resolved.config, resolved.data, resolved.kind
    tried = min(config.chunk or config.batch_size, len(data.train))

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
        remedy = f"a batch of {fits} fits. Use --batch-size {fits}"
        if not kind.spike_errors:  # whose errors depend on the batch
            remedy += f", or --chunk {fits} to learn from as many as now"
    return MemoryLimitError(
        f"{config.rule} with seed {config.seed} ran out of memory on {config.device!r} with a batch of {tried}: "
        f"{reason}; {remedy}"
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


def _diverged(run: Run, config: RunConfig, epoch: int, step: int, what: str) -> DivergedError:
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


def _restore(run: Run, config: RunConfig, path: Path) -> None:
    """Continue from a checkpoint, if the run has exactly its state afterwards."""
    try:
        state = checkpoint.load(path)
        _refuse_another_run(state.pop("spec", None), dataclasses.asdict(config))
        try:
            run.restore(state)
        except Exception as error:  # parts of torch raise whatever they stumble over
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise DataError(f"it does not fit the run ({reason:.200})") from error
        if checkpoint.digest(run.state()) != checkpoint.digest(state):
            raise DataError("it does not fit the run: some of its values are of other types or shapes")
    except DataError as error:
        raise CheckpointError(f"checkpoint {path.name} cannot be used: {error}; delete it to begin again") from error
    if config.threads is None:
        torch.set_num_threads(run.provenance[-1].threads)


def _refuse_another_run(stored: object, expected: dict[str, Any]) -> None:
    if stored == expected:
        return
    if not isinstance(stored, dict) or stored.keys() != expected.keys():
        raise DataError("it is of a run with other settings than this version has")
    name = next(name for name in expected if stored[name] != expected[name])
    raise DataError(f"it is of another run: its {name} is {stored[name]!r:.40}, expected {expected[name]!r:.40}")
